/* MONITOR and MWAIT: a store to the line before MWAIT, or an interrupt, ends the wait.
 * [SDM 2B "MWAIT - Monitor Wait"] */
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
    cli
    /* no MONITOR before: falls through */
    xorl %eax, %eax
    xorl %ecx, %ecx
    mwait
    /* a store in between disarms */
    movl $line, %eax
    xorl %edx, %edx
    monitor
    incl line
    xorl %eax, %eax
    mwait
    /* an interrupt with IF 1 */
    movl $0xb, APIC_DIVIDE
    movl $IRQ_VECTOR, APIC_LVT_TIMER
    movl $line, %eax
    monitor
    movl $50000, APIC_INITIAL
    xorl %eax, %eax
    sti
    mwait
    cli
    EXPECT_EQ(1, fault_count)
    /* with ECX[0] an interrupt ends it although IF is 0, and stays pending */
    movl $line, %eax
    xorl %ecx, %ecx
    monitor
    movl $50000, APIC_INITIAL
    xorl %eax, %eax
    movl $1, %ecx
    mwait
    EXPECT_EQ(1, fault_count)
    sti
    nop
    cli
    EXPECT_EQ(2, fault_count)
    /* ECX bits that do not exist */
    movl $line, %eax
    movl $2, %ecx
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movl $0, hook; monitor)
    ENTER_USER(user)
user:
    movl $1f, resume
    xorl %ecx, %ecx
    monitor
1:  EXPECT_EQ(UD_VECTOR, last_vector)
    jmp pass
    .data
    .p2align 6
line: .skip 64
