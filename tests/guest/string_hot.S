/* String instructions that run often: all sizes, both directions, overlapping, across pages, and
 * with a fault in the middle, where RCX, RSI and RDI say what is left. What memory must hold comes
 * from a loop of plain loads and stores. [SDM 1 "String Instructions"], [SDM 2B
 * "REP/REPE/REPZ/REPNE/REPNZ"] */
#include "guest.inc"
#define BORDER  (REGION + 0x4000)   /* between two pages; 64 bytes on each side count */
#define MODEL   (REGION + 0x14000)
#define GONE    (REGION + 0x21000)
#define ROUNDS  50
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    .irp size, 1, 2, 4, 8
    .irp step, \size, -\size
    movl $\size, %r8d
    movq $\step, %r9
    .if \size == 1
    movl $movs_b, %r10d
    .elseif \size == 2
    movl $movs_w, %r10d
    .elseif \size == 4
    movl $movs_l, %r10d
    .else
    movl $movs_q, %r10d
    .endif
    call moves
    .endr
    .endr
    call others
    cld
    call faults
    PASS()

movs_b: rep movsb
    ret
movs_w: rep movsw
    ret
movs_l: rep movsl
    ret
movs_q: rep movsq
    ret

/* both memories the same, something in each byte */
fill:
    xorl %eax, %eax
1:  leal 0x5a(%rax,%rax,4), %edx
    movb %dl, BORDER - 64(%rax)
    movb %dl, MODEL - 64(%rax)
    incl %eax
    cmpl $128, %eax
    jne 1b
    ret

/* R8D: the size, R9: the step, R10: REP MOVS; for each line of the table */
moves:
    movl $table, %r12d
1:  movl $ROUNDS, %r15d
    call fill
    call model
2:  call refill
    movslq (%r12), %rsi
    addq $BORDER, %rsi
    movslq 4(%r12), %rdi
    addq $BORDER, %rdi
    movl 8(%r12), %ecx
    testq %r9, %r9
    jns 3f
    std
3:  call *%r10
    cld
    testq %rcx, %rcx
    EXPECT(z)
    cmpq %rsi, %r13
    EXPECT(e)
    cmpq %rdi, %r14
    EXPECT(e)
    call same
    decl %r15d
    jnz 2b
    addl $12, %r12d
    cmpl $table_end, %r12d
    jne 1b
    ret

/* the same by hand, in the model; R13 and R14: what RSI and RDI must be in the end */
model:
    movslq (%r12), %rsi
    movslq 4(%r12), %rdi
    movl 8(%r12), %ecx
    jmp 3f
1:  movl %r8d, %edx             /* an element, loaded as a whole */
    movq MODEL(%rsi), %rax
2:  movb %al, MODEL(%rdi)
    shrq $8, %rax
    incq %rdi
    decl %edx
    jnz 2b
    subq %r8, %rdi
    addq %r9, %rsi
    addq %r9, %rdi
    decl %ecx
3:  testl %ecx, %ecx
    jnz 1b
    leaq BORDER(%rsi), %r13
    leaq BORDER(%rdi), %r14
    ret

/* BORDER's bytes again as `fill` made them */
refill:
    movl $0x5a, %edx
    xorl %eax, %eax
1:  movb %dl, BORDER - 64(%rax)
    addl $5, %edx
    incl %eax
    cmpl $128, %eax
    jne 1b
    ret
same:
    movq $-64, %rax
1:  movq BORDER(%rax), %rdx
    cmpq %rdx, MODEL(%rax)
    EXPECT(e)
    addq $8, %rax
    cmpq $64, %rax
    jne 1b
    ret

/* STOS, LODS, SCAS and CMPS */
others:
    movabsq $0x1122334455667788, %rbx
    HOT(movq %rbx, %rax; movl $BORDER - 12, %edi; movl $3, %ecx; rep stosq; \
        cmpq %rbx, BORDER - 4; EXPECT(e); cmpl $BORDER + 12, %edi; EXPECT(e); \
        movl $BORDER - 3, %edi; movl $3, %ecx; rep stosw; \
        cmpl $0x77887788, BORDER - 1; EXPECT(e); \
        std; movl $BORDER + 1, %edi; movl $3, %ecx; movb $9, %al; rep stosb; cld; \
        cmpl $0x09090977, BORDER - 2; EXPECT(e))
    HOT(movl $BORDER - 1, %esi; movl $2, %ecx; rep lodsb; cmpb BORDER, %al; EXPECT(e); \
        lodsl; cmpl BORDER + 1, %eax; EXPECT(e); cmpl $BORDER + 5, %esi; EXPECT(e))
    /* no repetition: nothing happens, no flag changes */
    HOT(xorl %ecx, %ecx; stc; repe cmpsb; EXPECT(c); cmpl %ecx, %ecx; repne scasq; EXPECT(e))
    call fill
    movb $0xff, BORDER + 20
    HOT(movl $BORDER - 30, %edi; movl $100, %ecx; movb $0xff, %al; cld; repne scasb; EXPECT(e); \
        cmpl $BORDER + 21, %edi; EXPECT(e); cmpl $100 - 51, %ecx; EXPECT(e))
    HOT(movl $BORDER - 60, %esi; movl $MODEL - 60, %edi; movl $120, %ecx; repe cmpsb; EXPECT(a); \
        cmpl $BORDER + 21, %esi; EXPECT(e); cmpl $120 - 81, %ecx; EXPECT(e))
    HOT(std; movl $BORDER + 60, %esi; movl $MODEL + 60, %edi; movl $50, %ecx; repe cmpsl; cld; \
        EXPECT(ne); cmpl $BORDER + 16, %esi; EXPECT(e))
    HOT(movl $BORDER - 32, %esi; movl $MODEL - 32, %edi; movl $4, %ecx; repe cmpsq; EXPECT(e); \
        testl %ecx, %ecx; EXPECT(z); cmpsb; EXPECT(e); scasb; pushfq; popq %rax)
    /* 32-bit addresses: the upper halves count for nothing, and become 0 */
    HOT(movl $BORDER, %esi; btsq $40, %rsi; movl $BORDER + 8, %edi; btsq $41, %rdi; \
        movl $8, %ecx; btsq $42, %rcx; addr32 rep movsb; \
        cmpq $BORDER + 8, %rsi; EXPECT(e); cmpq $BORDER + 16, %rdi; EXPECT(e); \
        testq %rcx, %rcx; EXPECT(z))
    ret

/* The page GONE is missing each time; the handler sees how far it came, and mends. */
    .macro fault_case insn, size, from, to, count, cr2, left
    movl $\left, %r12d
    movl $\cr2, %r13d
    movl $2f, %r14d
    movl $0, faulted
    HOT(MAP(GONE, 0); movl $\from, %esi; movl $\to, %edi; movl $\count, %ecx; movb $1, %al; \
    2:  \insn; testl %ecx, %ecx; EXPECT(z))
    .if \from
    cmpq $\from + \size * \count, %rsi
    EXPECT(e)
    .endif
    .if \to
    cmpq $\to + \size * \count, %rdi
    EXPECT(e)
    .endif
    EXPECT_EQ(HOT_ROUNDS, faulted)
    .endm
faults:
    movl $mend, hook
    fault_case "rep movsb", 1, GONE-32, BORDER, 64, GONE, 32
    fault_case "rep movsb", 1, BORDER, GONE-32, 64, GONE, 32
    fault_case "rep movsq", 8, GONE-32, BORDER, 8, GONE, 4
    fault_case "rep movsl", 4, BORDER, GONE-6, 8, GONE, 7   /* the second lies in both pages */
    fault_case "rep movsw", 2, GONE-5, BORDER, 9, GONE, 7
    fault_case "rep stosb", 1, 0, GONE-3, 64, GONE, 61
    fault_case "rep stosq", 8, 0, GONE-9, 64, GONE, 63
    fault_case "rep lodsl", 4, GONE-16, 0, 64, GONE, 60
    fault_case "rep movsb", 1, GONE, BORDER, 5, GONE, 5
    movl $3f, %r14d
    movl $30, %r12d
    movl $GONE, %r13d
    movb $7, GONE
    movb $0, GONE - 1
    HOT(MAP(GONE, 0); movl $GONE - 2, %edi; movl $32, %ecx; movb $7, %al; \
    3:  repne scasb; EXPECT(e); cmpl $29, %ecx; EXPECT(e))
    movl $3f, %r14d
    movl $12, %r12d
    movl $GONE + 0xfff, %r13d   /* downwards: the page's last byte comes first */
    HOT(MAP(GONE, 0); movl $GONE + 0x1003, %edi; movl $16, %ecx; std; \
    3:  rep stosb; cld; testl %ecx, %ecx; EXPECT(z); cmpl $GONE + 0xff3, %edi; EXPECT(e))
    ret
mend:
    EXPECT_VECTOR(PF_VECTOR)
    incl faulted
    cmpq %r13, fault_cr2
    EXPECT(e)
    cmpq %r14, fault_rip
    EXPECT(e)
    cmpq %r12, fault_rcx
    EXPECT(e)
    MAP(GONE, GONE + 7)
    ret
    .data
    .p2align 2
table: /* source and destination from BORDER, count */
    .long -40, 20, 3
    .long -5, 8, 2
    .long -20, -19, 4           /* overlapping by all but a byte, either way */
    .long -19, -20, 4
    .long -3, 0, 4
    .long 8, 0, 4
    .long 0, 8, 4
    .long -1, -1, 3
    .long 7, -9, 1
    .long 3, 5, 0
table_end:
faulted: .long 0
