/* Breakpoints and single steps that come to code after it has run often, and go again.
 * [SDM 3B "Debug Registers"], [SDM 3B "Single-Step Exception Condition"] */
#include "guest.inc"
#define LOOPS 5
#define ALIAS (REGION + 0x3000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $trap, hook
    call hot

    /* an instruction in the middle of a block: a fault in front of it, each time round */
    movl $in_the_middle, %eax
    call execution
    call hot
    movl $first, %eax           /* of a block that is the target of a jump */
    call execution
    movl $last, %eax            /* behind the branch that ends it */
    movl $1, %r12d
    call expect_at
    HOT(movl $in_the_middle, %eax; movl $LOOPS, %r12d; call expect_at; \
        movl $LOOPS, %ecx; call f)
    call hot

    /* DR7 is written in front of the code, in its own straight line */
    movl $1f, %eax
    movq %rax, %dr0
    movl $0x400, %eax
    movl $0, traps
    HOT(testl $0x1f, %r15d; setz %al; shll $1, %eax; movzbl %al, %eax; orl $0x400, %eax; \
        movq %rax, %dr7; incl %ebx; decl %ebx; \
    1:  incl %ebx; xorl %eax, %eax; movl $0x400, %eax; movq %rax, %dr7; incl %edx)
    EXPECT_EQ(HOT_ROUNDS / 32, traps)
    EXPECT_EQQ(1b, seen_rip)

    /* the same code at another linear address has no breakpoint */
    COPY(f, ALIAS + 0x100, f_end - f)
    MAP(ALIAS + 0x1000, ALIAS + 7)
    movl $ALIAS + 0x1100 + in_the_middle - f, %eax
    movq %rax, %dr0
    movl $0x402, %eax
    movq %rax, %dr7
    movl $0, traps
    movl $ALIAS + 0x100, %esi
    HOT(movl $LOOPS, %ecx; call *%rsi)
    EXPECT_EQ(0, traps)
    movl $LOOPS, %ecx
    addl $0x1000, %esi
    call *%rsi
    EXPECT_EQ(LOOPS, traps)

    /* stores to a datum: a trap behind each */
    movl $datum, %eax
    movq %rax, %dr1
    call hot
    movl $0x00d00408, %eax      /* G1: writes, four bytes */
    movq %rax, %dr7
    movl $0, traps
    HOT(movl $1, %ecx; call f; movl datum, %eax)
    EXPECT_EQ(HOT_ROUNDS, traps)
    EXPECT_EQQ(behind_store, seen_rip)
    testl $2, seen_dr6
    EXPECT(nz)
    HOT(movl $0x00d00408, %eax; movq %rax, %dr7; incl datum; movl $0x400, %eax; movq %rax, %dr7; \
        incl datum)
    EXPECT_EQ(2 * HOT_ROUNDS, traps)
    call hot
    EXPECT_EQ(0, traps)

    call steps
    PASS()

/* counts, and lets the instruction run */
trap:
    EXPECT_VECTOR(DB_VECTOR)
    incl traps
    movq fault_rip, %rax
    movq %rax, seen_rip
    movq %dr6, %rax
    movl %eax, seen_dr6
    xorl %eax, %eax
    movq %rax, %dr6
    orl $0x10000, LONG_RFLAGS(%rbp)
    ret

/* the code in question: ECX times round, EAX counts */
f:  xorl %eax, %eax
first:
    incl %eax
    nop
in_the_middle:
    addl $2, %eax
    movl %eax, datum
behind_store:
    decl %ecx
    jnz first
last:
    ret
f_end:

/* without breakpoints, often */
hot:
    movl $0x400, %eax
    movq %rax, %dr7
    movl $0, traps
    HOT(movl $LOOPS, %ecx; call f; cmpl $3 * LOOPS, %eax; EXPECT(e))
    EXPECT_EQ(0, traps)
    ret
execution: /* of the instruction at EAX, LOOPS times */
    movl $LOOPS, %r12d
expect_at:
    movq %rax, %rbx
    movq %rax, %dr0
    movl $0x402, %eax           /* G0 */
    movq %rax, %dr7
    movl $0, traps
    movl $LOOPS, %ecx
    call f
    cmpl $3 * LOOPS, %eax
    EXPECT(e)
    movl $0x400, %eax
    movq %rax, %dr7
    cmpl %r12d, traps
    EXPECT(e)
    cmpq %rbx, seen_rip
    EXPECT(e)
    testl $1, seen_dr6
    EXPECT(nz)
    ret

steps:
    /* TF by POPF: a trap behind each instruction of the hot code */
    HOT(movl $0, traps; movl $2, %ecx; pushfq; orl $0x100, (%rsp); popfq; call f; \
        pushfq; andl $~0x100, (%rsp); popfq; \
        cmpl $1 + 1 + 2 * 6 + 1 + 3, traps; EXPECT(e); cmpl $6, %eax; EXPECT(e))
    testl $0x4000, seen_dr6
    EXPECT(nz)
    call hot
    /* TF by IRET, one instruction only: the handler clears it */
    movl $once, hook
    movl %ss, %edx
    HOT(movl $LOOPS, %ecx; xorl %eax, %eax; movq %rsp, %rbx; pushq $1f; movq %rsp, %rsi; \
        pushq %rdx; pushq %rsi; pushq $0x102; pushq $CODE64; pushq $in_the_middle; iretq; \
    1:  cmpl $3 * LOOPS - 1, %eax; EXPECT(e))
    EXPECT_EQ(HOT_ROUNDS, traps)
    EXPECT_EQQ(in_the_middle + 3, seen_rip)
    /* RF by IRET: no breakpoint at the first instruction, but when it comes round */
    movl $trap, hook
    movl $0, traps
    movl $in_the_middle, %eax
    movq %rax, %dr0
    movl $0x402, %eax
    movq %rax, %dr7
    HOT(movl $3, %ecx; pushq $1f; movq %rsp, %rsi; \
        pushq %rdx; pushq %rsi; pushq $0x10002; pushq $CODE64; pushq $in_the_middle; iretq; \
    1:  nop)
    EXPECT_EQ(2 * HOT_ROUNDS, traps)
    call hot
    /* MOV SS in front of a hot block holds a breakpoint at it back, once */
    movl $1f, %eax
    movq %rax, %dr0
    movl %ss, %edx
    HOT(testl $1, %r15d; setz %al; movzbl %al, %eax; leal 0x400(,%rax,2), %eax; movq %rax, %dr7; \
        testl $2, %r15d; jz 2f; movw %dx, %ss; \
    1:  incl %ebx; movl $0x400, %eax; movq %rax, %dr7; jmp 3f; \
    2:  movw %dx, %ds; jmp 1b; \
    3:  nop)
    EXPECT_EQ(HOT_ROUNDS / 4, traps)
    ret
once:
    EXPECT_VECTOR(DB_VECTOR)
    incl traps
    movq fault_rip, %rax
    movq %rax, seen_rip
    andl $~0x100, LONG_RFLAGS(%rbp)
    ret
    .data
    .p2align 3
seen_rip: .quad 0
traps: .long 0
seen_dr6: .long 0
datum: .long 0
