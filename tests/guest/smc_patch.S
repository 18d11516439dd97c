/* Instructions that are rewritten again and again, but for what they are: immediates and displacements
 * of all kinds, wholly and in part, by a store in front of them, into a function elsewhere, through
 * another address; and opcodes that leave the length as it is. Each store is seen by the next
 * execution. [SDM 3A "Self-Modifying Code"] */
#include "guest.inc"
#define PAGE_A     (REGION + 0x8000)
#define PAGE_B     (REGION + 0x9000)
#define ALIAS_A    (REGION + 0x18000)
#define WALK       (REGION + 0x40000)
#define NEXT()     leal 0x3459(%rbx,%rbx,4), %ebx
#define SAME(a, b) cmpq a, b; EXPECT(e)
#define CODE(...)  __VA_ARGS__
/* RAX and RDX are the same; what `code` does to RDX, with EBX or a part of it stored at its byte `at`
 * before, is what `model` does to RAX, and to the flags but AF */
#define VALUE(store, at, code, model) \
    HOT(store, 1f + (at); imull $0x01234567, %ebx, %eax; movl %eax, %edx; movl %eax, %ebp; stc; \
    1:  CODE code; pushfq; popq %rdi; movl %r15d, %ecx; movl %ebp, %eax; stc; \
        CODE model; pushfq; popq %rsi; SAME(%rax, %rdx); \
        andl $0x8c5, %esi; andl $0x8c5, %edi; SAME(%rsi, %rdi); NEXT())
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $1, %ebx
    call sizes
    call kinds
    call slots
    call steps
    call displacements
    call branches
    call parts
    call opcodes
    call own
    call elsewhere
    call turns
    PASS()

sizes:
    VALUE(movl %ebx, 2, (addl $0x12345678, %edx), (addl %ebx, %eax))
    VALUE(movl %ebx, 3, (addq $0x12345678, %rdx), (movslq %ebx, %rcx; stc; addq %rcx, %rax))
    VALUE(movw %bx, 3, (addw $0x1234, %dx), (addw %bx, %ax))
    VALUE(movb %bl, 2, (addb $0x12, %dl), (addb %bl, %al))
    VALUE(movb %bl, 2, (addb $0x12, %dh), (addb %bl, %ah))
    VALUE(movb %bl, 2, (addl $0x12, %edx), (movsbl %bl, %ecx; stc; addl %ecx, %eax))
    VALUE(movb %bl, 3, (addq $0x12, %rdx), (movsbq %bl, %rcx; stc; addq %rcx, %rax))
    ret

kinds:
    VALUE(movl %ebx, 2, (orl $0x12345678, %edx), (orl %ebx, %eax))
    VALUE(movl %ebx, 2, (adcl $0x12345678, %edx), (adcl %ebx, %eax))
    VALUE(movl %ebx, 2, (sbbl $0x12345678, %edx), (sbbl %ebx, %eax))
    VALUE(movl %ebx, 2, (andl $0x12345678, %edx), (andl %ebx, %eax))
    VALUE(movl %ebx, 2, (subl $0x12345678, %edx), (subl %ebx, %eax))
    VALUE(movl %ebx, 2, (xorl $0x12345678, %edx), (xorl %ebx, %eax))
    VALUE(movl %ebx, 2, (cmpl $0x12345678, %edx), (cmpl %ebx, %eax))
    VALUE(movl %ebx, 2, (testl $0x12345678, %edx), (testl %ebx, %eax))
    VALUE(movl %ebx, 1, (movl $0x12345678, %edx), (movl %ebx, %eax))
    VALUE(movl %ebx, 3, (movq $0x12345678, %rdx), (movslq %ebx, %rax))
    VALUE(movl %ebx, 4, (movabsq $0x123456789abcdef0, %rdx), \
          (pushfq; movl %ebx, %eax; shlq $16, %rax; addq const, %rax; popfq))
    VALUE(movb %bl, 1, (movb $0x12, %dl), (movb %bl, %al))
    VALUE(movb %bl, 1, (movb $0x12, %dh), (movb %bl, %ah))
    VALUE(movw %bx, 2, (movw $0x1234, %dx), (movw %bx, %ax))
    VALUE(movl %ebx, 2, (imull $0x12345678, %edx; testl %edx, %edx), \
          (imull %ebx, %eax; testl %eax, %eax))
    VALUE(movb %bl, 2, (imull $0x12, %edx; testl %edx, %edx), \
          (movsbl %bl, %ecx; imull %ecx, %eax; testl %eax, %eax))
    VALUE(movb %bl, 2, (shll $5, %edx; testl %edx, %edx), \
          (movl %ebx, %ecx; shll %cl, %eax; testl %eax, %eax))
    VALUE(movb %bl, 2, (rorl $5, %edx; testl %edx, %edx), \
          (movl %ebx, %ecx; rorl %cl, %eax; testl %eax, %eax))
    VALUE(movb %bl, 3, (btcl $5, %edx; testl %edx, %edx), (btcl %ebx, %eax; testl %eax, %eax))
    VALUE(movl %ebx, 1, (pushq $0x12345678; popq %rdx), (movslq %ebx, %rax))
    VALUE(movl %ebx, 7, (movl $0x12345678, scratch; movl scratch, %edx), (movl %ebx, %eax))
    ret

/* registers that native code has in memory, and those that it has not */
slots:
    HOT(movl %ebx, 1f + 3; movl %ebx, 2f + 3; movl %ebx, 3f + 3; movl %ebx, 4f + 2; \
        movl $5, %r10d; movq $-5, %r13; movl $5, %eax; movq $-5, %rcx; \
    1:  subl $0x12345678, %r10d; subl %ebx, %eax; SAME(%rax, %r10); \
    2:  xorq $0x12345678, %r13; movslq %ebx, %rdx; xorq %rdx, %rcx; SAME(%rcx, %r13); \
    3:  cmpl $0x12345678, %r10d; setg %al; cmpl %ebx, %r10d; setg %cl; cmpb %al, %cl; EXPECT(e); \
    4:  movl $0x12345678, %r11d; movl %ebx, %eax; SAME(%rax, %r11); NEXT())
    ret

/* the step of a pointer that walks through pages, whose frames do not lie in a row; each word there is
 * its number */
steps:
    movl $WALK, %esi
    movl $test_pt + PTE_AT(WALK), %edi
1:  movl %esi, %eax
    xorl $0x1000, %eax
    orl $7, %eax
    movq %rax, (%rdi)
    invlpg (%rsi)
    addl $0x1000, %esi
    addl $8, %edi
    cmpl $WALK + 0x10000, %esi
    jb 1b
    movl $WALK, %edi
    xorl %eax, %eax
1:  movq %rax, (%rdi, %rax, 8)
    incl %eax
    cmpl $0x2000, %eax
    jb 1b
    .irp first, 0, 1 /* the short step is the one when the loop becomes hot, or the long one */
    HOT(leal \first(%r15), %eax; andl $1, %eax; shll $12, %eax; addl $8, %eax; \
        movl %eax, 1f + 3; movl $WALK, %esi; movl $15, %ecx; xorl %edx, %edx; \
    2:  addq (%rsi), %rdx; addq 8(%rsi), %rdx; addq 16(%rsi), %rdx; \
    1:  addq $0x12345678, %rsi; decl %ecx; jnz 2b; \
        imull $315, %eax, %eax; shrl $3, %eax; addl $45, %eax; cmpq %rax, %rdx; EXPECT(e))
    .endr
    ret

displacements:
    VALUE(movl %ebx, 2, (leal 0x12345678(%rdx), %edx; testl %edx, %edx), \
          (addl %ebx, %eax; testl %eax, %eax))
    movl $1, %ebx
    HOT(movl %r15d, %ecx; andl $7, %ecx; leal 4*0x4(%rcx,%rcx,2), %eax; movb %al, 1f + 3; \
        movl $table, %edx; \
    1:  movzbl 0x12(%rdx), %esi; cmpb %al, %sil; EXPECT(e))
    /* RIP-relative: the distance is from the instruction's end */
    HOT(movl %r15d, %ecx; andl $31, %ecx; leal table - 2f(%rcx), %eax; movl %eax, 1f + 3; \
    1:  movzbl table + 3(%rip), %esi; \
    2:  cmpb %cl, %sil; EXPECT(e))
    ret

branches:
    /* JMP rel32, each time elsewhere */
    xorl %esi, %esi
    movl $3f - 2f, %ecx
    movl $4f - 2f, %edx
    HOT(movl %ecx, 1f + 1; xchgl %ecx, %edx; \
    1:  jmp . + 0x12345; \
    2:  ud2; \
    3:  addl $1, %esi; jmp 5f; \
    4:  addl $1000, %esi; \
    5:  nop)
    cmpl $1001 * HOT_ROUNDS / 2, %esi
    EXPECT(e)
    /* Jcc rel8, every 32nd time */
    xorl %esi, %esi
    movl $3f - 2f, %ecx
    movl $4f - 2f, %edx
    HOT(testl $31, %r15d; jnz 9f; movb %cl, 1f + 1; xchgl %ecx, %edx; \
    9:  testl %esp, %esp; \
    1:  jnz 4f; \
    2:  ud2; \
    3:  addl $1, %esi; jmp 5f; \
    4:  addl $1000, %esi; \
    5:  nop)
    cmpl $(1000 * (8 + 3 * 32) + 3 * 32), %esi
    EXPECT(e)
    /* CALL rel32, and how much its RET removes */
    xorl %esi, %esi
    movl $3f - 2f, %ecx
    movl $4f - 2f, %edx
    movq %rsp, %rbp
    HOT(movl %ecx, 1f + 1; xchgl %ecx, %edx; pushq %rax; pushq %rax; \
    1:  call . + 0x12345; \
    2:  leaq 16(%rsp), %rsp; cmpq %rsp, %rbp; EXPECT(e); \
        movl %r15d, %eax; andl $1, %eax; shll $3, %eax; movw %ax, 6f + 1; pushq %rax; call 5f; \
        xorl $8, %eax; addq %rax, %rsp; cmpq %rsp, %rbp; EXPECT(e))
    cmpl $1001 * HOT_ROUNDS / 2, %esi
    EXPECT(e)
    ret
3:  addl $1, %esi
    ret
4:  addl $1000, %esi
    ret
5:  nop
6:  ret $0x1234

/* a byte or two of an immediate; the end of one instruction and all of the next */
parts:
    VALUE(movb %bl, 3, (addl $0x12345678, %edx), \
          (movzbl %bl, %ecx; shll $8, %ecx; orl $0x12340078, %ecx; stc; addl %ecx, %eax))
    VALUE(movw %bx, 4, (addl $0x12345678, %edx), \
          (movzwl %bx, %ecx; shll $16, %ecx; orl $0x5678, %ecx; stc; addl %ecx, %eax))
    HOT(movzbl %bl, %eax; shlq $16, %rax; addq rewritten, %rax; shlq $32, %rax; movl %ebx, %ecx; \
        addq %rcx, %rax; xorl %edx, %edx; movq %rax, 1f + 2; \
    1:  addl $0x12345678, %edx; addl $0x12, %edx; nop; \
        movsbl %bl, %eax; addl %ebx, %eax; SAME(%rax, %rdx); NEXT())
    ret

/* other instructions of that length, whose costs differ */
opcodes:
    xorl %esi, %esi
    HOT(movl $3, %eax; movl $7, %edx; movl %r15d, %ecx; andl $1, %ecx; movb 8f(%rcx), %cl; \
        movb %cl, 1f + 1; cmpl %eax, %edx; \
    1:  imull %edx, %eax; addl %eax, %esi)
    cmpl $(21 + 3) * HOT_ROUNDS / 2, %esi /* IMUL, CMOVE */
    EXPECT(e)
    ret
8:  .byte 0xaf, 0x44

/* an instruction that changes its own immediate or displacement works with what it was */
own:
    HOT(movl %ebx, 1f + 7; \
    1:  addl $0x12345678, 1b + 7; leal (%rbx,%rbx), %eax; cmpl %eax, 1b + 7; EXPECT(e); NEXT())
    movl $1f + 3, %ecx
    HOT(movl %ecx, 1f + 3; movl $scratch, %eax; \
    1:  xchgl %eax, 0x12345678; cmpl %eax, %ecx; EXPECT(e); cmpl $scratch, 1b + 3; EXPECT(e))
    ret

/* in a function on a page of its own; rewritten there, and through another address */
elsewhere:
    COPY(function, PAGE_A, function_end - function)
    MAP(ALIAS_A, PAGE_A + 7)
    movl $PAGE_A, %edx
    HOT(movl %ebx, PAGE_A + 1; call *%rdx; SAME(%rax, %rbx); NEXT())
    HOT(movl %ebx, PAGE_A + 1; call *%rdx; SAME(%rax, %rbx); call *%rdx; SAME(%rax, %rbx); NEXT())
    HOT(movl %ebx, ALIAS_A + 1; SERIALIZE(); call *%rdx; SAME(%rax, %rbx); NEXT())
    movl $ALIAS_A, %ecx
    HOT(movl %ebx, PAGE_A + 1; SERIALIZE(); call *%rcx; SAME(%rax, %rbx); NEXT())
    /* the same bytes again */
    HOT(movl PAGE_A + 1, %eax; movl %eax, PAGE_A + 1; call *%rdx; cmpl PAGE_A + 1, %eax; EXPECT(e))
    ret
function:
    movl $0x12345678, %eax
    ret
function_end:

/* A page that is written for long and run by turns: new functions in new lines, old ones changed
 * meanwhile, through both addresses; then cleared, and filled again. */
turns:
    movl $PAGE_B, %edi
    movl $64, %r14d
1:  call make
    movl %ebx, 1(%rdi)
    call *%rdi
    SAME(%rax, %rbx)
    movl $PAGE_B, %edx          /* the first one, changed behind the new one */
    movl %r14d, 1(%rdx)
    call *%rdx
    cmpl %r14d, %eax
    EXPECT(e)
    movl %ebx, 1(%rdi)
    addl $64, %edi
    NEXT()
    decl %r14d
    jnz 1b
    MAP(ALIAS_A, PAGE_B + 7)
    movl $20, %r14d
2:  movl $ALIAS_A + 32, %edi    /* beside the first one, by the other address */
    call make
    movl $PAGE_B, %edx
    call *%rdx
    movl %ebx, ALIAS_A + 1
    SERIALIZE()
    call *%rdx
    SAME(%rax, %rbx)
    movl $ALIAS_A, %ecx
    call *%rcx
    SAME(%rax, %rbx)
    NEXT()
    decl %r14d
    jnz 2b
    movl $10, %r14d
3:  movl $PAGE_B, %edi
    movl $0xc3c3c3c3, %eax      /* RET everywhere */
    movl $1024, %ecx
    rep stosl
    movl $77, %eax
    movl $PAGE_B, %edx          /* a block at each byte */
    movl $0x1000, %ecx
4:  call *%rdx
    incl %edx
    decl %ecx
    jnz 4b
    movb %al, PAGE_B + 0x800
    movb $0xc3, PAGE_B + 0x800
    movl $PAGE_B, %edx
    HOT(call *%rdx; cmpl $77, %eax; EXPECT(e))
    movl $PAGE_B, %edi
    call make
    movl %ebx, 1(%rdi)
    HOT(call *%rdx; SAME(%rax, %rbx))
    NEXT()
    decl %r14d
    jnz 3b
    ret
/* mov $?, %eax; ret at RDI, by many stores */
make:
    movl $60, %ecx
8:  movb $0xb8, (%rdi)
    movb $0xc3, 5(%rdi)
    movb %cl, 6(%rdi)
    decl %ecx
    jnz 8b
    ret

    .data
    .p2align 3
const:     .quad 0x123400000000def0
rewritten: .quad 0x9000c283         /* add $0, %edx; nop */
table:     .byte 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
           .byte 32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47
scratch:   .long 0
