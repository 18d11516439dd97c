/* Exceptions other than page faults out of code that runs often: #DE, #GP and #SS of addresses that
 * are not canonical, #GP of misaligned SSE operands, #AC at CPL 3, #UD. RIP is the instruction's,
 * and nothing has changed. [SDM 3A "Exception and Interrupt Reference"] */
#include "guest.inc"
#define DATA  (REGION + 0x3000)
#define USER  (REGION + 0x4000)
#define STACK (REGION + 0x8000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    ON_IST(GP_VECTOR)
    ON_IST(SS_VECTOR)
    fninit
    call divisions
    call addresses
    call stacks
    call vectors
    call user_part              /* does not return */

/* RDI is \good, and \bad the last time; flags come from CMP of RAX with RCX. */
    .macro fault_case insn, vector, good, bad, where=rdi, rdx=0
    movl $-1, last_vector
    movl $3f, resume
    movq %rsp, %rbp
    movl $HOT_ROUNDS, %r15d
    movabsq $\bad, %rbx
    movabsq $\good, %rdi
1:  decl %r15d
    cmovzq %rbx, %rdi
    movl $3f, DATA              /* for RET and JMP */
    movl $100, %eax
    movl $\rdx, %edx
    movl $7, %ecx
    movq %rdi, %\where
    cmpl %ecx, %eax
2:  \insn
3:  movq %rbp, %rsp
    testl %r15d, %r15d
    jnz 1b
    movl $2b, %r14d
    movl $\vector, %r13d
    movq %rbx, %r12
    movl $\rdx, %r11d
    call verify
    .ifc \where, rsp
    cmpq %r12, fault_rsp
    EXPECT(e)
    .endif
    .endm

verify:
    movl $0, resume
    cmpl %r13d, last_vector
    EXPECT(e)
    EXPECT_EQ(0, last_error)
    cmpq %r14, fault_rip
    EXPECT(e)
    EXPECT_EQQ(100, fault_rax)
    EXPECT_EQQ(7, fault_rcx)
    cmpq %r11, fault_rdx
    EXPECT(e)
    cmpq %r12, fault_rdi
    EXPECT(e)
    movl $100, %eax
    cmpl $7, %eax
    pushfq
    popq %rdx
    xorl last_flags, %edx
    testl $ARITH_FLAGS, %edx
    EXPECT(z)
    ret

/* a zero divisor, and a quotient that does not fit */
divisions:
    .irp insn, "divb %dil", "divw %di", "divl %edi", "divq %rdi", "idivb %dil", "idivw %di", \
        "idivl %edi", "idivq %rdi"
    fault_case "\insn", DE_VECTOR, 3, 0
    .endr
    fault_case "divl %edi", DE_VECTOR, 50, 5, r8, 7
    fault_case "divq %rdi", DE_VECTOR, 50, 7, r8, 7
    fault_case "idivq %rdi", DE_VECTOR, 50, 13, r8, 7
    fault_case "idivl %edi", DE_VECTOR, 50, 14, r8, 7
    movq $3, DATA + 8
    movq $0, DATA + 16
    fault_case "divl (%rdi)", DE_VECTOR, DATA + 8, DATA + 16
    /* the handler mends the divisor */
    movl $mend, hook
    xorl %esi, %esi
    HOT(movl $100, %eax; xorl %edx, %edx; movl %r15d, %ecx; andl $7, %ecx; divl %ecx; \
        addl %eax, %esi)
    movl $0, hook
    EXPECT_EQ(DE_VECTOR, last_vector)
    cmpl $(100 + 50 + 33 + 25 + 20 + 16 + 14 + 10) * (HOT_ROUNDS / 8), %esi
    EXPECT(e)
    ret
mend: /* where the divisor would be 0, it is 10: it is in RCX, below RAX in start.S's frame */
    EXPECT_VECTOR(DE_VECTOR)
    movl $10, 16(%rbp)
    ret

/* [SDM 1 "Canonical Addressing"] */
addresses:
    .irp insn, "movl (%rdi), %eax", "movl %eax, (%rdi)", "incl (%rdi)", "lock xaddl %ecx, (%rdi)", \
        "cmpl %eax, (%rdi)", "movups (%rdi), %xmm0", "jmp *(%rdi)", "call *(%rdi)", \
        "movl (%rdi,%rdx,4), %eax", "pushq (%rdi)", "movb 0x18(%rdi), %al", "movb %al, 0x18(%rdi)"
    fault_case "\insn", GP_VECTOR, DATA, 0x800000000000
    fault_case "\insn", GP_VECTOR, DATA, 0x8000000000400000
    fault_case "\insn", GP_VECTOR, DATA, 0xffff000000000000
    .endr
    /* an access that begins in the canonical half and ends outside */
    fault_case "movq (%rdi), %rax", GP_VECTOR, DATA, 0x7ffffffffffc
    fault_case "movw %ax, (%rdi)", GP_VECTOR, DATA, 0x7fffffffffff
    /* branches to such an address fault where they are */
    .irp insn, "jmp *%r8", "call *%r8"
    fault_case "\insn", GP_VECTOR, 3f, 0x800000000000, r8
    .endr
    ret

/* through RSP, and through RBP as a base */
stacks:
    .irp insn, "pushq %rax", "pushq $1", "pushfq", "call 3f"
    fault_case "\insn", SS_VECTOR, DATA + 0x40, 0x800000000040, rsp
    fault_case "\insn", SS_VECTOR, DATA + 0x40, 0x8000000000400040, rsp
    .endr
    .irp insn, "popq %rsi", "popq %rsp", "ret", "ret $8", "movl (%rsp), %eax", "movl %eax, 8(%rsp)"
    fault_case "\insn", SS_VECTOR, DATA, 0xffff700000000000, rsp
    .endr
    ret

/* operands of 16 bytes that must be aligned */
vectors:
    .irp insn, "movaps (%rdi), %xmm0", "movaps %xmm0, (%rdi)", "movdqa (%rdi), %xmm1", \
        "movapd %xmm1, (%rdi)", "addps (%rdi), %xmm2", "pxor (%rdi), %xmm3", \
        "paddb (%rdi), %xmm4", "mulpd (%rdi), %xmm5", "movntps %xmm0, (%rdi)", \
        "pshufd $1, (%rdi), %xmm6"
    fault_case "\insn", GP_VECTOR, DATA + 0x40, DATA + 0x48
    fault_case "\insn", GP_VECTOR, DATA + 0x40, DATA + 0xff8
    .endr
    fault_case "fxsave (%rdi)", GP_VECTOR, DATA + 0x200, DATA + 0x208
    ret

/* #AC: CPL 3, CR0.AM and RFLAGS.AC, all three */
user_part:
    movq %cr0, %rax
    btsl $18, %eax
    movq %rax, %cr0
    COPY(user, USER, user_end - user)
    movl $misaligned, hook
    ENTER_USER64(USER, STACK)
misaligned:
    cmpl $GP_VECTOR, last_vector
    je 1f
    EXPECT_VECTOR(AC_VECTOR)
    EXPECT_EQ(0, last_error)
    EXPECT_EQ(USER_CODE64, last_cs)
    cmpq %r14, fault_rip
    EXPECT(e)
    testl $1 << 18, last_flags
    EXPECT(nz)
    incl misalignments
    movq %r13, LONG_RIP(%rbp)
    ret
1:  cmpl $(user_end - user - 1) + USER, last_eip    /* its HLT */
    EXPECT(e)
    EXPECT_EQ(ACCESSES * HOT_ROUNDS, misalignments)
    PASS()

    .set accesses, 0
user:
    movl $DATA + 0x40, %edi
    .irp insn, "movw (%rdi), %ax", "movl (%rdi), %eax", "movq %rax, (%rdi)", "addl $1, (%rdi)", \
        "pushq (%rdi); popq %rcx", "lock incq (%rdi)", "cmpw $0, (%rdi)", "fldl (%rdi); fstp %st"
    leaq 2f(%rip), %r14
    leaq 3f(%rip), %r13
    movl $HOT_ROUNDS, %r15d     /* aligned, AC = 1; AC = 0, misaligned; both */
1:  pushfq
    orl $1 << 18, (%rsp)
    popfq
    \insn
    pushfq
    andl $~(1 << 18), (%rsp)
    popfq
    incl %edi
    \insn
    pushfq
    orl $1 << 18, (%rsp)
    popfq
2:  \insn
    ud2
3:  decl %edi
    pushfq
    andl $~(1 << 18), (%rsp)
    popfq
    decl %r15d
    jnz 1b
    .set accesses, accesses + 1
    .endr
    hlt
user_end:
    .set ACCESSES, accesses
    .data
    .p2align 2
misalignments: .long 0
