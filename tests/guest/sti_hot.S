/* The shadow of STI in code that runs often: an interrupt that waits is taken behind the instruction
 * that follows, whatever that one is: one that clears IF again, faults, halts, returns, branches, has
 * a shadow of its own, or lies in another page. [SDM 2B "STI - Set Interrupt Flag"] */
#include "guest.inc"
#define REG(x) (APIC_##x - APIC)(%rdi)
#define SELF() movl $0, REG(ICR_HIGH); movl $(0x44000 | IRQ_VECTOR), REG(ICR)
#define FRAME(flags, to) \
    movq %rsp, %rax; pushq %rdx; pushq %rax; pushq $(flags); pushq $CODE64; pushq $to
#define BORDER (REGION + 0x2000)
    .text
    .code32
    .globl test
    .macro window at            /* one more, and there */
    incl %r12d
    cmpl %r12d, ticks
    EXPECT(e)
    cmpq $\at, fault_rip
    EXPECT(e)
    .endm
    .macro none                 /* it still waits */
    cmpl %r12d, ticks
    EXPECT(e)
    .endm
    .macro drain
    sti
    nop
1:  cli
    window 1b
    .endm
test:
    ENTER_LONG()
    movl $hook_64, hook
    xorl %r12d, %r12d
    movl $APIC, %edi
    movl $0x1ff, REG(SVR)
    movl %ss, %edx

    HOT(SELF(); sti; 1: cli; none)
    drain
    HOT(SELF(); sti; sti; 1: nop; cli; window 1b)
    HOT(SELF(); sti; nop; 1: nop; cli; window 1b; sti; nop; none; cli)
    HOT(SELF(); sti; hlt; 1: cli; window 1b)
    HOT(SELF(); FRAME(0x202, 1f); sti; iretq; 1: nop; cli; window 1b)
    HOT(SELF(); FRAME(2, 1f); sti; iretq; 1: nop; nop; none)
    drain
    HOT(SELF(); sti; movl %edx, %ss; 1: nop; nop; cli; window 1b)
    HOT(SELF(); pushq $2; sti; popfq; nop; nop; none)
    drain
    HOT(SELF(); sti; jmp 1f; nop; 1: cli; window 1b)
    HOT(SELF(); sti; call 1f; jmp 2f; 1: nop; cli; ret; 2: window 1b)
    HOT(SELF(); sti; rdtsc; 1: cli; window 1b)
    movl %ss, %edx
    /* NOP becomes STI and is NOP again; what is in the shadow becomes
     * MOV SS and JMP again, or another MOV AL */
    HOT(SELF(); movl $0x90fb, %eax; testl $1, %r15d; jnz 3f; movl $0x9090, %eax; \
    3:  movw %ax, 1f; jmp 1f; \
    1:  nop; nop; 2: nop; cli; testl $1, %r15d; jz 4f; window 2b; jmp 5f; 4: none; 5:)
    HOT(SELF(); movl $0x00eb, %eax; testl $1, %r15d; jnz 3f; movl $0xd28e, %eax; \
    3:  movw %ax, 1f + 1; jmp 1f; \
    1:  sti; jmp 2f; 2: nop; nop; cli; window 2b)
    HOT(SELF(); movl %r15d, %eax; shll $16, %eax; addl $0x9000b0fb, %eax; movl %eax, 1f; jmp 1f; \
    1:  sti; movb $0x12, %al; 2: nop; cli; window 2b)
    /* IF is 1 already: no shadow */
    HOT(sti; nop; SELF(); jmp 1f; 1: sti; nop; cli; incl %r12d; cmpl %r12d, ticks; EXPECT(e))
    /* without one that waits: IF is 1 in between */
    HOT(sti; pushfq; cli; popq %rax; testl $0x200, %eax; EXPECT(nz); none)
    /* a fault: the handler first, behind its IRET the interrupt */
    movl $0, faults
    HOT(SELF(); sti; ud2; 1: nop; cli; window 1b)
    EXPECT_EQ(HOT_ROUNDS, faults)
    /* single step: the trap is no part of the shadow */
    HOT(SELF(); pushfq; orl $0x100, (%rsp); popfq; sti; nop; nop; pushfq; andl $~0x100, (%rsp); \
        popfq; cli; incl %r12d; cmpl %r12d, ticks; EXPECT(e))
    cmpl $0, traps
    EXPECT(nz)
    /* what follows begins in the next page, or ends there */
    movl $BORDER - 1, %ebx
    call border
    movl $BORDER - 2, %ebx
    call border
    movl $BORDER - 3, %ebx
    call border
    PASS()

border:
    movl %edi, %r13d
    movl $piece, %esi
    movl %ebx, %edi
    movl $piece_end - piece, %ecx
    rep movsb
    movl %r13d, %edi
    SERIALIZE()
    leal 3(%rbx), %ecx
    HOT(SELF(); call *%rbx; incl %r12d; cmpl %r12d, ticks; EXPECT(e); cmpq %rcx, fault_rip; \
        EXPECT(e))
    ret
piece:
    sti
    incl %eax
    nop
    cli
    ret
piece_end:

hook_64:
    cmpl $UD_VECTOR, last_vector
    je 1f
    cmpl $DB_VECTOR, last_vector
    je 2f
    EXPECT_VECTOR(IRQ_VECTOR)
    incl ticks
    movl $APIC, %ecx
    movl $0, APIC_EOI - APIC(%rcx)
    ret
1:  incl faults
    addq $2, LONG_RIP(%rbp)
    ret
2:  incl traps
    ret
    .data
    .p2align 2
ticks: .long 0
faults: .long 0
traps: .long 0
