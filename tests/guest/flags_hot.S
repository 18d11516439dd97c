/* Flags from one block to the next: SETcc, Jcc and CMOVcc after each kind of instruction, and
 * instructions that use, keep or read flags at the start of a block. What they must see comes from
 * the flags that a cold copy pushes: POPF loads them in front of the same conditions.
 * [SDM 1 "Status Flags"], [SDM 1 "EFLAGS Condition Codes"] */
#include "guest.inc"
#define ROUNDS 40
#define INPUTS 6
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    call settings
    call jumps
    call moves
    call borders
    PASS()

    .macro input
    movq (%r12), %rax
    movq 8(%r12), %rcx
    cmpq %rcx, %rax
    btl $0, 16(%r12)            /* CF */
    .endm

/* A hot part for each input; in front of it R13 holds the flags and R14D the conditions that are
 * true, bit 0 for O to bit 15 for NLE, as the opcodes count. */
    .macro each_input op, hot
    movl $inputs, %r12d
1:  input
    \op
    pushfq
    popq %r13
    call conditions
    movl $ROUNDS, %r15d
2:  xorl %esi, %esi
    input
    \hot "\op"
    decl %r15d
    jnz 2b
    addl $24, %r12d
    cmpl $inputs_end, %r12d
    jne 1b
    .endm

    .macro each_op hot
    .irp op, "addb %cl, %al", "addl %ecx, %eax", "addq %rcx, %rax", "adcw %cx, %ax", \
        "adcq %rcx, %rax", "subb %cl, %al", "subl %ecx, %eax", "sbbl %ecx, %eax", \
        "sbbq %rcx, %rax", "cmpb %cl, %al", "cmpl %ecx, %eax", "cmpq %rcx, %rax", \
        "cmpq $0x7f, %rax", "incl %eax", "incq %rcx", "decb %al", "decl %ecx", "negl %eax", \
        "negq %rcx", "andl %ecx, %eax", "xorq %rcx, %rax", "orw %cx, %ax", "testl %eax, %eax", \
        "testq %rcx, %rax"
    each_input "\op", \hot
    .endr
    .irp op, "shll $1, %eax", "shlq %cl, %rax", "shrl %cl, %eax", "sarb %cl, %al", \
        "sarq $63, %rax", "shlb $8, %al; cmpb $0, %al", "roll $1, %eax", "rorq %cl, %rax", \
        "rcll $1, %eax", "rcrb $1, %al", "imull %ecx, %eax; seto %dl; cmpb $1, %dl", \
        "btq %rcx, %rax", "cmc", "clc", "notl %eax", "bswapl %eax", "leal 1(%rax), %eax", \
        "movl %ecx, %eax", "comisd %xmm0, %xmm1", "shldl $0, %ecx, %eax", \
        "cmpl %ecx, %eax; incl %eax", "addl %ecx, %eax; jmp 9f; 9:", \
        "cmpl %ecx, %eax; pushq %rax; popq %rdx", "addq %rcx, %rax; call 9f; jmp 8f; 9: ret; 8:"
    each_input "\op", \hot
    .endr
    .endm
    .macro each_condition what
    .set condition, 0
    .irp cc, o, no, b, nb, e, ne, be, nbe, s, ns, p, np, l, nl, le, nle
    \what \cc
    .set condition, condition + 1
    .endr
    .endm

/* RFLAGS in R13: R14D gets the conditions, by flags that were loaded */
    .macro known cc
    pushq %r13
    popfq
    set\cc %dl
    movzbl %dl, %edx
    shll $condition, %edx
    orl %edx, %r14d
    .endm
conditions:
    xorl %r14d, %r14d
    each_condition known
    ret

same_mask:
    cmpl %r14d, %esi
    EXPECT(e)
    ret

/* SETcc, all in a row, into registers and memory */
    .macro set cc
    set\cc answers + condition
    .endm
    .macro weigh cc
    movzbl answers + condition, %edx
    shll $condition, %edx
    orl %edx, %esi
    .endm
    .macro hot_set op
    \op
    each_condition set
    call weigh_answers
    .endm
weigh_answers:
    xorl %esi, %esi
    each_condition weigh
    jmp same_mask
settings:
    each_op hot_set
    ret

/* a Jcc after another, each in a block of its own; LEA leaves the flags alone */
    .macro jump cc
    j\cc 3f
    jmp 4f
3:  leal 1 << condition(%rsi), %esi
4:
    .endm
    .macro hot_jump op
    \op
    each_condition jump
    call same_mask
    .endm
jumps:
    each_op hot_jump
    ret

    .macro move cc
    movl $0, %edx
    cmov\cc weights + 4 * condition, %edx
    leal (%rsi,%rdx), %esi
    .endm
    .macro hot_move op
    \op
    each_condition move
    call same_mask
    .endm
moves:
    each_op hot_move
    ret

/* What a block may begin with, behind a Jcc: RDX from what it makes of the flags, and all flags
 * after it, against the same behind POPF. */
    .macro hot_border op
    .irp first, "pushfq; popq %rdx", "lahf; movzwl %ax, %edx", "adcl %edx, %edx", \
        "sbbl %edx, %edx", "rcll $1, %edx", "rcrq $1, %rdx", "incl %edx", "decl %edx", "cmc", \
        "setbe %dl", "cmovsl %r15d, %edx", "shll %cl, %edx", "movl $3, %edx"
    movl $0, %eax
    movl $0x20, %ecx            /* a count of 0 */
    movl $5, %edx
    pushq %r13
    popfq
    \first
    pushfq
    popq %r8
    movq %rdx, %r9
    input
    \op
    movl $0, %eax
    movl $0x20, %ecx
    movl $5, %edx
    js 3f
    nop
3:  \first
    pushfq
    popq %r10
    cmpq %rdx, %r9
    EXPECT(e)
    xorq %r8, %r10
    testl $ARITH_FLAGS, %r10d
    EXPECT(z)
    .endr
    .endm
borders:
    each_input "addl %ecx, %eax", hot_border
    each_input "subq %rcx, %rax", hot_border
    each_input "cmpb %cl, %al", hot_border
    each_input "incl %eax", hot_border
    each_input "andl %ecx, %eax", hot_border
    each_input "shll $1, %eax", hot_border
    each_input "negq %rax", hot_border
    each_input "adcl %ecx, %eax", hot_border
    ret

    .data
    .p2align 3
inputs:
    .quad 0, 0, 0
    .quad 1, -1, 1
    .quad 0x7fffffff, 1, 0
    .quad 0xffffffff80000000, 0xffffffff80000000, 1
    .quad 0x8000000000000000, 0x7f, 0
    .quad 0x123456789abcdeff, 0x20, 1
inputs_end:
weights:
    .set condition, 0
    .rept 16
    .long 1 << condition
    .set condition, condition + 1
    .endr
answers: .skip 16
