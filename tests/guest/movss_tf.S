/* MOV SS and POP SS hold debug traps and interrupts back until the next instruction is through; a
 * trap that comes due on MOV SS itself is lost. [SDM 3A "Masking Exceptions and Interrupts When
 * Switching Stacks"], [SDM 3B "Single-Step Exception Condition"] */
#include "guest.inc"
    .text
    .code32
    .globl test
trap:
    movl traps, %ecx
    movl last_eip, %eax
    movl %eax, where(, %ecx, 4)
    incl traps
    movl %dr6, %eax
    movl %eax, last_dr6
    ret
irq:
    movl %ebx, seen
    movl $0, APIC_EOI
    ret
test:
    movl $trap, hook
    movw %ss, %ax
    pushfl
    orl $0x100, (%esp)
    popfl
a:  nop
b:  movw %ax, %ss
c:  nop
d:  nop
e:  pushfl
    andl $~0x100, (%esp)
f:  popfl
g:  nop
    EXPECT_EQ(DB_VECTOR, last_vector)
    EXPECT_EQ(6, traps)
    EXPECT_EQ(b, where)         /* after a */
    EXPECT_EQ(d, where + 4)     /* after c, none after b */
    EXPECT_EQ(e, where + 8)
    EXPECT_EQ(g, where + 20)    /* TF was 1 when POPF began */
    testl $0x4000, last_dr6
    EXPECT(nz)

    /* interrupts */
    movl $irq, hook
    APIC_ON()
    xorl %ebx, %ebx
    SELF_IPI(IRQ_VECTOR)
    pushl %ss
    pushfl
    orl $0x200, (%esp)
    movw %ss, %ax
    sti
    movw %ax, %ss               /* in STI's shadow; opens one of its own, or not: then here */
    incl %ebx
    incl %ebx
    cli
    addl $8, %esp
    cmpl $1, seen
    EXPECT(be)

    /* MOV to any other segment register has no shadow */
    movl $trap, hook
    movl $0, traps
    movw %ds, %ax
    pushfl
    orl $0x100, (%esp)
    popfl
h:  movw %ax, %ds
i:  pushfl
    andl $~0x100, (%esp)
    popfl
    EXPECT_EQ(4, traps)
    EXPECT_EQ(i, where)
    ret
    .data
    .p2align 2
traps: .long 0
where: .skip 64
last_dr6: .long 0
seen: .long -1
