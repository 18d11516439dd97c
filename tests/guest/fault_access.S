/* Instructions that have run often fault in their memory access, across two pages of which the
 * first or the second is missing or read-only: RIP, CR2, error code, no register and no byte
 * changed. PUSH, POP, CALL, RET and the like leave RSP alone. [SDM 3A "Page-Fault Exceptions"] */
#include "guest.inc"
/* the second page's address; the first is in front of it */
#define FINE    (REGION + 0x4000)
#define NO_2ND  (REGION + 0x7000)
#define NO_1ST  (REGION + 0xa000)
#define RO_2ND  (REGION + 0xd000)
#define RO_1ST  (REGION + 0x10000)
#define READS 1         /* what an instruction does at RDI */
#define WRITES 2
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    fninit
    ON_IST(PF_VECTOR)
    MAP(NO_2ND, 0)
    MAP(NO_1ST - 0x1000, 0)
    MAP(RO_2ND, RO_2ND + 5)
    MAP(RO_1ST - 0x1000, RO_1ST - 0x1000 + 5)
    movl $0xf4f4f4f4, %eax
    movl %eax, NO_2ND - 4       /* what is there: the same everywhere */
    movl %eax, NO_1ST
    movl $places, %r13d
1:  call loads
    call stores
    call stacks
    addl $24, %r13d
    cmpl $places_end, %r13d
    jne 1b
    PASS()

/* Run an instruction at FINE + offset, the last time at a place of R13's entry. */
    .macro fault_case insn, kind, offset, where=rdi
    movl $-1, last_vector
    movl $3f, resume
    movq %rsp, %rbp
    movl $HOT_ROUNDS, %r15d
    movl $FINE + \offset, %edi
    movl (%r13), %ebx
    .if \offset
    addl $\offset, %ebx
    .endif
1:  decl %r15d
    cmovzl %ebx, %edi
    movl $0x11, %eax
    movl $0x22, %ecx
    movl $0x33, %edx
    movq %rdi, %\where
2:  \insn
3:  movq %rbp, %rsp
    testl %r15d, %r15d
    jnz 1b
    movl $2b, %r14d
    movl $\kind, %r10d
    call verify
    .endm

/* R14D: where it faulted; R10D: reads or writes. A read does not mind a page that is read-only. */
verify:
    movl $0, resume
    movl 8(%r13), %eax          /* P of the error code */
    testl $WRITES, %r10d
    jnz 1f
    testl %eax, %eax
    jz 2f
    EXPECT_EQ(-1, last_vector)
    ret
1:  orl $2, %eax
2:  EXPECT_VECTOR(PF_VECTOR)
    cmpl %eax, last_error
    EXPECT(e)
    cmpq %r14, fault_rip
    EXPECT(e)
    movl 16(%r13), %eax         /* the page that is to blame: the second begins at its start */
    testl %eax, %eax
    cmovzl %r11d, %eax
    cmpq %rax, fault_cr2
    EXPECT(e)
    EXPECT_EQQ(0x11, fault_rax)
    EXPECT_EQQ(0x22, fault_rcx)
    EXPECT_EQQ(0x33, fault_rdx)
    cmpq %rbx, fault_rdi
    EXPECT(e)
    movl (%r13), %eax           /* the present page has kept its byte */
    cmpl $NO_2ND, %eax
    jne 3f
    cmpl $0xf4f4f4f4, NO_2ND - 4
    EXPECT(e)
3:  cmpl $NO_1ST, %eax
    jne 4f
    cmpl $0xf4f4f4f4, NO_1ST
    EXPECT(e)
4:  ret

/* the first byte of all is the last of the first page */
loads:
    movl (%r13), %r11d
    decl %r11d
    .irp insn, "movw (%rdi), %ax", "movl (%rdi), %eax", "movq (%rdi), %rcx", \
        "movzwl (%rdi), %edx", "movslq (%rdi), %rax", "addl (%rdi), %eax", "cmpq (%rdi), %rdx", \
        "testw $7, (%rdi)", "imull (%rdi), %ecx", "cmovcl (%rdi), %eax", "btl $3, (%rdi)", \
        "movups (%rdi), %xmm0", "movq (%rdi), %xmm1", "fldl (%rdi); fstp %st", \
        "fildl (%rdi); fstp %st", "popcntl (%rdi), %eax", "movbel (%rdi), %eax", \
        "bsfq (%rdi), %rcx", "mull (%rdi)", "crc32l (%rdi), %eax", "lddqu (%rdi), %xmm3"
    fault_case "\insn", READS, -1
    .endr
    ret
stores:
    movl (%r13), %r11d
    decl %r11d
    .irp insn, "movw %ax, (%rdi)", "movl %eax, (%rdi)", "movq %rcx, (%rdi)", "movq $-3, (%rdi)", \
        "movbel %eax, (%rdi)", "movups %xmm0, (%rdi)", "movq %xmm0, (%rdi)", \
        "movhps %xmm0, (%rdi)", "fnstcw (%rdi)", "fistl (%rdi)", "stmxcsr (%rdi)", \
        "movntil %eax, (%rdi)", "addl %eax, (%rdi)", "adcq $1, (%rdi)", "subw %cx, (%rdi)", \
        "xorl %edx, (%rdi)", "incl (%rdi)", "decq (%rdi)", "negw (%rdi)", "notl (%rdi)", \
        "shll $3, (%rdi)", "rorq %cl, (%rdi)", "sarw $1, (%rdi)", "shldl $3, %ecx, (%rdi)", \
        "btsl $5, (%rdi)", "lock btcq $1, (%rdi)", "xchgl %eax, (%rdi)", "xchgw %cx, (%rdi)", \
        "xaddl %ecx, (%rdi)", "lock xaddq %rdx, (%rdi)", "cmpxchgl %ecx, (%rdi)", \
        "lock cmpxchgq %rdx, (%rdi)", "lock orl $1, (%rdi)"
    fault_case "\insn", WRITES, -1
    .endr
    ret

/* RSP is RDI: 4 above the boundary for what pushes, 4 below for what pops. R11D: the first byte. */
stacks:
    movl (%r13), %r11d
    subl $4, %r11d
    .irp insn, "pushq %rax", "pushq $7", "pushq %rsp", "pushfq", "call 3f", "call *%r9"
    movl $3f, %r9d
    fault_case "\insn", WRITES, 4, rsp
    movq fault_rsp, %rax
    cmpq %rbx, %rax
    EXPECT(e)
    .endr
    cmpl $0, 8(%r13)            /* pages that can be read hold no return addresses */
    jne memory_to_memory
    movq $2, FINE - 4           /* flags that POPF may take, and return addresses */
    .irp insn, "popq %rsi", "popq %rsp", "popfq"
    fault_case "\insn", READS, -4, rsp
    call rsp_kept
    .endr
    .irp insn, "ret", "ret $16", "jmp *(%rsp)", "call *(%rdi)"
    movq $3f, FINE - 4
    .ifc "\insn", "call *(%rdi)"
    fault_case "\insn", READS, -4, rsi
    .else
    fault_case "\insn", READS, -4, rsp
    call rsp_kept
    .endif
    .endr
    /* memory to stack and back: a good stack stays where it is, too */
memory_to_memory:
    fault_case "pushq (%rdi)", READS, -4, rsi
    fault_case "popq (%rdi)", WRITES, -4, rsi
    ret
rsp_kept:
    movq fault_rsp, %rax
    cmpq %rbx, %rax
    EXPECT(e)
    ret

    .data
    .p2align 3
places: /* second page, P of the error code, CR2 (0: the first byte) */
    .quad NO_2ND, 0, NO_2ND
    .quad NO_1ST, 0, 0
    .quad RO_2ND, 1, RO_2ND
    .quad RO_1ST, 1, 0
places_end:
