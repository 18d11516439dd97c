/* STI keeps interrupts off for one more instruction. [SDM 2B "STI - Set Interrupt Flag"] */
#include "guest.inc"
    .text
    .code32
    .globl test
count:
    movl 24(%ebp), %eax         /* EDX */
    movl %eax, seen
    movl $0, APIC_EOI
    ret
test:
    APIC_ON()
    movl $count, hook
    xorl %edx, %edx
    SELF_IPI(IRQ_VECTOR)
    sti
    incl %edx                   /* in the shadow */
    incl %edx
    cli
    EXPECT_EQ(1, fault_count)
    EXPECT_EQ(IRQ_VECTOR, last_vector)
    EXPECT_EQ(1, seen)

    /* STI, CLI: never open */
    SELF_IPI(IRQ_VECTOR)
    sti
    cli
    nop
    nop
    EXPECT_EQ(1, fault_count)

    /* a second STI does not prolong the shadow of the first */
    movl $0, %edx
    sti
    sti
    incl %edx
    cli
    EXPECT_EQ(2, fault_count)
    EXPECT_EQ(0, seen)

    /* no shadow where IF was 1 already; POPF has none */
    SELF_IPI(IRQ_VECTOR)
    xorl %edx, %edx
    pushfl
    orl $0x200, (%esp)
    popfl
    incl %edx
    cli
    EXPECT_EQ(3, fault_count)
    EXPECT_EQ(0, seen)

    /* STI; HLT: the interrupt ends the HLT */
    SELF_IPI(IRQ_VECTOR)
    sti
    hlt
    cli
    EXPECT_EQ(4, fault_count)
    ret
    .data
seen: .long -1
