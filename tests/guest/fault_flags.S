/* RFLAGS and registers at a page fault in the middle of hot code are those that the instructions in
 * front of it have left, even where later ones overwrite them all; after the handler has repaired
 * the cause the loop goes on as if nothing had been. What is right comes from a cold copy of each
 * instruction. [SDM 3A "Exception Classifications": faults] */
#include "guest.inc"
#define GOOD (REGION + 0x3000)
#define BAD  (REGION + 0x4ff8)
#define ROUNDS 64
#define INPUTS 6
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    fninit
    MAP(BAD, 0)
    movl $repair, hook
    movl $BAD, %ebx
    call live
    call dead
    call stores
    call chains
    EXPECT_EQ(FAULTS, fault_count)
    PASS()

/* checks, makes RDI good, and goes on with the instruction that faulted */
repair:
    EXPECT_VECTOR(PF_VECTOR)
    EXPECT_EQQ(BAD, fault_cr2)
    cmpq %r14, fault_rip
    EXPECT(e)
    movl last_flags, %eax
    andl $ARITH_FLAGS, %eax
    cmpl want_flags, %eax
    EXPECT(e)
    movq fault_rax, %rax
    cmpq want_rax, %rax
    EXPECT(e)
    movq fault_rcx, %rax
    cmpq want_rcx, %rax
    EXPECT(e)
    movq fault_rdx, %rax
    cmpq want_rdx, %rax
    EXPECT(e)
    cmpl $BAD, %edi
    EXPECT(e)
    cmpl %r9d, fault_rax        /* what followed the instruction has been done */
    EXPECT(e)
    movl $GOOD, %edi
    ret

    .macro input
    movq (%r12), %rax
    movq 8(%r12), %rcx
    movl $5, %edx
    cmpq %rcx, %rax
    btl $0, 16(%r12)            /* CF */
    .endm

    .set faults, 0
    .macro hot_case op, access, tail
    movl $inputs, %r12d
1:  input                       /* cold: what flags and registers must be */
    \op
    pushfq
    popq %r8
    andl $ARITH_FLAGS, %r8d
    movl %r8d, want_flags
    movq %rax, want_rax
    movq %rcx, want_rcx
    movq %rdx, want_rdx
    movl $ROUNDS, %r15d
    movl $GOOD, %edi
    movl $3f, %r14d
2:  decl %r15d
    cmovzl %ebx, %edi           /* the last time */
    input
    \op
    movl %eax, %r9d
    leaq 1(%rax), %r10
3:  \access
    \tail
    testl %r15d, %r15d
    jnz 2b
    addl $24, %r12d
    cmpl $inputs_end, %r12d
    jne 1b
    .set faults, faults + INPUTS
    .endm

    .macro tail_live
    pushfq
    popq %r8
    andl $ARITH_FLAGS, %r8d
    cmpl want_flags, %r8d
    EXPECT(e)
    .endm
    .macro tail_dead
    addl $1, %r11d
    cmpl $0x100, %r11d
    .endm

    .macro each_op access, tail
    .irp op, "addb %cl, %al", "addw %cx, %ax", "addl %ecx, %eax", "addq %rcx, %rax", \
        "adcb %cl, %al", "adcw %cx, %ax", "adcl %ecx, %eax", "adcq %rcx, %rax", \
        "subb %cl, %al", "subw %cx, %ax", "subl %ecx, %eax", "subq %rcx, %rax", \
        "sbbb %cl, %al", "sbbw %cx, %ax", "sbbl %ecx, %eax", "sbbq %rcx, %rax", \
        "cmpb %cl, %al", "cmpl $1, %eax", "cmpq %rcx, %rax", "cmpw $-1, %ax", \
        "incb %al", "incw %ax", "incl %eax", "incq %rax", \
        "decb %ah", "decw %ax", "decl %eax", "decq %rax", \
        "negb %al", "negl %eax", "negq %rax", "notl %eax", \
        "andb %cl, %al", "andl %ecx, %eax", "orq %rcx, %rax", "xorl %eax, %eax", \
        "testb %al, %al", "testl %ecx, %eax", "testq %rax, %rax"
    hot_case "\op", "\access", "\tail"
    .endr
    .irp op, "shlb $1, %al", "shll $5, %eax", "shlq $63, %rax", "shlw $3, %ax", "shrb $7, %al", \
        "shrl $1, %eax", "shrq $33, %rax", "sarb $1, %al", "sarl $31, %eax", "sarq $2, %rax", \
        "shll %cl, %eax", "shrq %cl, %rax", "sarl %cl, %eax", "shlb %cl, %al", "roll $1, %eax", \
        "rorl $1, %eax", "rolq %cl, %rax", "rcll $1, %eax", "rcrq $1, %rax", \
        "shldl $3, %ecx, %eax", "shrdq $7, %rcx, %rax", "imull %ecx, %eax", \
        "imulq $77, %rcx, %rax", "mull %ecx", "imulq %rcx", "btl $7, %eax", "btsq %rcx, %rax", \
        "btrl %ecx, %eax", "btcw $15, %ax", "bsfl %ecx, %eax", "bsrq %rcx, %rax", \
        "popcntl %ecx, %eax", "xaddl %ecx, %eax", "cmpxchgl %edx, %ecx", "stc", "clc", "cmc", \
        "sahf", "comisd %xmm0, %xmm1", "ptest %xmm0, %xmm0"
    hot_case "\op", "\access", "\tail"
    .endr
    .endm

live:
    each_op "movl (%rdi), %r11d", tail_live
    ret
dead:
    each_op "movl (%rdi), %r11d", tail_dead
    ret

/* the fault is in a store, or in an instruction that itself writes or uses the flags */
stores:
    .irp access, "movq %r10, (%rdi)", "addl %r10d, (%rdi)", "adcl (%rdi), %r11d", \
        "sbbb $1, (%rdi)", "incl (%rdi)", "lock xaddl %r11d, (%rdi)", \
        "lock cmpxchgl %ecx, (%rdi)", "setc (%rdi)", "cmovcl (%rdi), %r11d", "shll %cl, (%rdi)", \
        "rcrl $1, (%rdi)", "negl (%rdi)", "cmpl %ecx, (%rdi)", "btsl $3, (%rdi)", \
        "imull (%rdi), %r11d", "shldl $4, %r10d, (%rdi)", "xchgl %r11d, (%rdi)", \
        "movups (%rdi), %xmm2", "movsd %xmm2, (%rdi)", "addsd (%rdi), %xmm2", \
        "ucomisd (%rdi), %xmm2", "fildl (%rdi); fstp %st", "testb $1, (%rdi)", \
        "pushq (%rdi); popq %r11"
    hot_case "addl %ecx, %eax", "\access", tail_dead
    hot_case "decq %rax", "\access", tail_dead
    .endr
    ret

/* several in a row: some flags come from one, some from another */
chains:
    .irp op, "cmpl %ecx, %eax; incl %eax", "addq %rcx, %rax; decl %edx", \
        "shll $1, %eax; incl %ecx", "cmpl %ecx, %eax; sbbl %eax, %eax", \
        "negl %eax; adcl $0, %edx", "addl %ecx, %eax; adcl %edx, %edx; adcl %eax, %ecx", \
        "btl $3, %eax; incl %ecx; shll $0, %eax", "cmpl %ecx, %eax; setl %dl; movzbl %dl, %eax", \
        "testl %eax, %eax; bswapl %eax; notl %ecx", "cmpl %ecx, %eax; cmovll %ecx, %eax", \
        "addl %ecx, %eax; movl %eax, %edx; shlb %cl, %dl", "subl %ecx, %eax; lahf; sahf", \
        "cmpl %ecx, %eax; xchgl %ecx, %eax; leal (%rax,%rcx), %edx", \
        "mull %ecx; jc 9f; nop; 9: incl %eax", "decl %eax; jnz 9f; incl %eax; 9: movl %eax, %edx", \
        "cmpl %ecx, %eax; jl 9f; jg 9f; stc; 9: rcll $1, %edx", \
        "andl %ecx, %eax; jmp 9f; 9: pushq %rax; popq %rdx", \
        "addl %ecx, %eax; pushfq; xorl %edx, %edx; popfq", \
        "cmpb %cl, %al; movb $8, %dl; shrb %cl, %dl; cmc"
    hot_case "\op", "movl (%rdi), %r11d", tail_live
    hot_case "\op", "movb %al, (%rdi)", tail_dead
    .endr
    ret
    .set FAULTS, faults

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
    .if inputs_end - inputs - 24 * INPUTS
    .error "INPUTS"
    .endif
want_rax: .quad 0
want_rcx: .quad 0
want_rdx: .quad 0
want_flags: .long 0
