/* Interrupts in code that runs often: they come at all, even in loops without an end, and leave
 * RIP, flags and registers as they were; STI, POPF, MOV to CR8 and IRET open the window where the
 * manual says. [SDM 3A "Interrupt and Exception Handling"], [SDM 3A "Masking Maskable Hardware
 * Interrupts"] */
#include "guest.inc"
#define INTERRUPTS 1500
#define REG(x) (APIC_##x - APIC)(%rdi)
#define SELF() movl $0, REG(ICR_HIGH); movl $(0x44000 | IRQ_VECTOR), REG(ICR)
#define NMI() movl $0, REG(ICR_HIGH); movl $0x4400, REG(ICR)
#define FAR_PAGE (REGION + 0x5000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $APIC, %edi
    movl $0x1ff, REG(SVR)
    movl $0xb, REG(DIVIDE)      /* by 1 */
    movl $IRQ_VECTOR, REG(LVT_TIMER)

    /* what the loop computes without interrupts ... */
    call compute
    movq %rax, want
    movq %rdx, want + 8
    /* ... and with one every few hundred cycles */
    movl $tick, hook
1:  movl $5, REG(INITIAL)
    sti
    call compute
    cli
    cmpq %rax, want
    EXPECT(e)
    cmpq %rdx, want + 8
    EXPECT(e)
    cmpl $INTERRUPTS, ticks
    jb 1b
    movl $0, REG(INITIAL)
    sti
    nop
    nop
    cli

    call endless
    call windows
    call nmis
    PASS()

/* Hot code of several blocks, with flags alive across their borders. Between `compared` and
 * `compared_end` the flags are those of CMP RCX, RBX. */
compute:
    movl $6000, %r15d
    xorl %eax, %eax
    xorl %edx, %edx
    movl $12345, %ebx
    movl $54321, %ecx
2:  addq %rbx, %rax
    adcq %rcx, %rdx
    imulq $69069, %rbx, %rbx
    incq %rbx
    rolq $7, %rcx
    xorq %rbx, %rcx
    cmpq %rcx, %rbx
compared:
    jmp 3f
3:  movl %ebx, %esi
    jg 4f
    jmp 5f
4:  leaq 3(%rax), %rax
5:  movl %ecx, %r8d
    jmp 6f
6:  jb 7f
compared_end:
    rcrq $1, %rdx
7:  sbbq $1, %rax
    decl %r15d
    jnz 2b
    ret

/* the timer: what it interrupted must make sense, then the next in 2 to 9 ticks, each of some
 * cycles */
tick:
    EXPECT_VECTOR(IRQ_VECTOR)
    incl ticks
    testl $0x200, last_flags
    EXPECT(nz)
    movl $APIC, %ecx
    movl $0, APIC_EOI - APIC(%rcx)
    imull $1664525, seed, %eax
    addl $1013904223, %eax
    movl %eax, seed
    shrl $29, %eax
    addl $2, %eax
    movl %eax, APIC_INITIAL - APIC(%rcx)
    movq fault_rip, %rax
    cmpq $compared, %rax
    jb 1f
    cmpq $compared_end, %rax
    jae 1f
    incl borders
    movq fault_rcx, %rax
    cmpq %rax, fault_rbx
    pushfq
    popq %rax
    xorl last_flags, %eax
    testl $ARITH_FLAGS, %eax
    EXPECT(z)
1:  stc                         /* nothing of ours remains */
    sbbq %rax, %rax
    ret

/* loops that only the interrupt ends */
endless:
    cmpl $10, borders           /* of `compared`: some */
    EXPECT(a)
    movq %rsp, in_endless
    movl $leave, hook
    movw $0xfeeb, FAR_PAGE      /* jmp . */
    movl $FAR_PAGE, %edx
    movl $30, %ebx
1:  movl $2f, resume_at
    movl $200, REG(INITIAL)
    sti
    jmp .
2:  movl $3f, resume_at
    movl $200, REG(INITIAL)
    sti
8:  jmp 9f
    nop
9:  jmp 8b
3:  movl $4f, resume_at
    movl $200, REG(INITIAL)
    sti
    jmp *%rdx
4:  movl $5f, resume_at
    movl $200, REG(INITIAL)
    xorl %eax, %eax
    sti
8:  call 9f                     /* calls and returns */
    jmp 8b
9:  incl %eax
    ret
5:  movl $6f, resume_at
    movl $200, REG(INITIAL)
    movl $8f, %ecx
    sti
8:  testl %ecx, %ecx            /* never 0 */
    jz 9f
    jmp *%rcx
9:  ud2
6:  decl %ebx
    jnz 1b
    ret
leave:
    EXPECT_VECTOR(IRQ_VECTOR)
    movl $APIC, %ecx
    movl $0, APIC_EOI - APIC(%rcx)
    movl resume_at, %ecx
    movq %rcx, LONG_RIP(%rbp)
    andl $~0x200, LONG_RFLAGS(%rbp)
    movq in_endless, %rcx
    movq %rcx, LONG_RSP(%rbp)
    ret

/* One that waits is taken behind the instruction that follows STI; at once after POPF, MOV to CR8
 * and IRET. */
    .macro window at
    incl %r12d
    cmpl %r12d, ticks
    EXPECT(e)
    cmpq $\at, fault_rip
    EXPECT(e)
    .endm
windows:
    movl $window_tick, hook
    movl $0, ticks
    xorl %r12d, %r12d
    movl $APIC, %edi
    HOT(SELF(); sti; incl %ebx; \
    1:  nop; cli; window 1b)
    HOT(SELF(); pushfq; orl $0x200, (%rsp); popfq; \
    1:  incl %ebx; cli; window 1b)
    movl %ss, %edx
    HOT(SELF(); movq %rsp, %rax; pushq %rdx; pushq %rax; pushq $0x202; pushq $CODE64; pushq $1f; \
        iretq; \
    1:  incl %ebx; cli; window 1b)
    movl $15, %ecx
    xorl %edx, %edx
    HOT(movq %rcx, %cr8; SELF(); sti; nop; nop; movq %rdx, %cr8; \
    1:  incl %ebx; cli; window 1b)
    movl %ss, %edx
    HOT(SELF(); sti; movl %edx, %eax; \
    1:  cli; window 1b)
    /* none is taken while IF is 0, however long that is */
    SELF()
    HOT(incl %ebx; cmpl %r12d, ticks; EXPECT(e))
    sti
    nop
1:  cli
    window 1b
    ret
window_tick:
    EXPECT_VECTOR(IRQ_VECTOR)
    incl ticks
    movl $APIC, %ecx
    movl $0, APIC_EOI - APIC(%rcx)
    ret

/* NMIs at a loop; one during the handler waits for its IRET */
nmis:
    movl $nmi, hook
    movl $0, ticks
    HOT(NMI(); jmp 1f; \
    1:  movl $300, %ecx; \
    2:  cmpl $-1, %ebx; adcl $0, %ebx; decl %ecx; jnz 2b)
    EXPECT_EQ(HOT_ROUNDS * 2, ticks)
    ret
nmi:
    EXPECT_VECTOR(2)
    incl ticks
    testl $1, ticks
    jz 1f
    NMI()
    movl $50, %ecx
2:  decl %ecx
    jnz 2b
    testl $1, ticks             /* not yet */
    EXPECT(nz)
1:  ret
    .data
    .p2align 3
want: .quad 0, 0
in_endless: .quad 0
resume_at: .long 0
seed: .long 1
ticks: .long 0
borders: .long 0
