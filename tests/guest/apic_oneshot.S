/* The local APIC's timer: one-shot counts down once, periodic again and again, masked is silent.
 * [SDM 3A "APIC Timer"] */
#include "guest.inc"
    .text
    .code32
    .globl test
tick:
    movl $0, APIC_EOI
    ret
test:
    movl $tick, hook
    APIC_ON()
    movl $0xb, APIC_DIVIDE              /* by 1 */
    movl $IRQ_VECTOR, APIC_LVT_TIMER    /* one-shot */
    movl $100000, APIC_INITIAL
    movl APIC_CURRENT, %eax
    cmpl $100000, %eax
    EXPECT(be)
    cmpl $0, %eax
    EXPECT(ne)
    sti
    hlt
    cli
    EXPECT_EQ(1, fault_count)
    EXPECT_EQ(IRQ_VECTOR, last_vector)
    EXPECT_EQ(0, APIC_CURRENT)
    sti
    movl $100000, %ecx
1:  loop 1b
    cli
    EXPECT_EQ(1, fault_count)           /* once */

    /* periodic */
    movl $0x20000 | IRQ_VECTOR, APIC_LVT_TIMER
    movl $50000, APIC_INITIAL
    movl $5, %ebx
2:  sti
    hlt
    cli
    decl %ebx
    jnz 2b
    EXPECT_EQ(6, fault_count)

    /* an initial count of 0 stops it */
    movl $0, APIC_INITIAL
    EXPECT_EQ(0, APIC_CURRENT)
    sti
    movl $100000, %ecx
3:  loop 3b
    cli
    EXPECT_EQ(6, fault_count)

    /* masked */
    movl $0x10000 | IRQ_VECTOR, APIC_LVT_TIMER
    movl $100, APIC_INITIAL
    sti
    movl $100000, %ecx
4:  loop 4b
    cli
    EXPECT_EQ(6, fault_count)

    /* a task priority at or above the vector's class holds it back */
    movl $0x30, APIC_TPR
    movl $IRQ_VECTOR, APIC_LVT_TIMER
    movl $100, APIC_INITIAL
    sti
    movl $100000, %ecx
5:  loop 5b
    EXPECT_EQ(6, fault_count)
    movl $0, APIC_TPR
    SOON()
    cli
    EXPECT_EQ(7, fault_count)
    ret
