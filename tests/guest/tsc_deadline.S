/* TSC-deadline mode: an interrupt when the TSC reaches IA32_TSC_DEADLINE, which then reads 0.
 * [SDM 3A "TSC-Deadline Mode"] */
#include "guest.inc"
#define TSC_DEADLINE 0x6e0
    .text
    .code32
    .globl test
tick:
    rdtsc
    movl %eax, when
    movl $0, APIC_EOI
    ret
test:
    movl $tick, hook
    movl $1, %eax
    cpuid
    btl $24, %ecx
    EXPECT(c)
    APIC_ON()
    movl $0x40000 | IRQ_VECTOR, APIC_LVT_TIMER
    mfence
    rdtsc
    addl $500000, %eax
    adcl $0, %edx
    movl %eax, %esi
    movl $TSC_DEADLINE, %ecx
    wrmsr
    rdmsr
    cmpl %esi, %eax
    EXPECT(e)
    sti
    hlt
    cli
    EXPECT_EQ(1, fault_count)
    movl when, %eax
    subl %esi, %eax             /* not before, and soon after */
    cmpl $100000, %eax
    EXPECT(b)
    rdmsr
    orl %edx, %eax
    EXPECT(z)

    /* a deadline in the past fires at once; 0 disarms */
    movl $1, %eax
    xorl %edx, %edx
    wrmsr
    sti
    nop
    nop
    cli
    EXPECT_EQ(2, fault_count)
    rdtsc
    addl $100000, %eax
    adcl $0, %edx
    movl $TSC_DEADLINE, %ecx
    wrmsr
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr
    sti
    movl $300000, %ecx
1:  loop 1b
    cli
    EXPECT_EQ(2, fault_count)
    ret
    .data
when: .long 0
