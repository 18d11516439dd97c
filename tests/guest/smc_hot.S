/* Self-modifying code that has run often: a store to it is seen by its next execution, be it in the
 * block that stores, in one that it jumps to, or in itself; data beside code is only data.
 * [SDM 3A "Self-Modifying Code"] */
#include "guest.inc"
#define DATA_PAGE  (REGION + 0x5000)
#define PAGE_A     (REGION + 0x8000)
#define PAGE_B     (REGION + 0x9000)
#define ALIAS_A    (REGION + 0x18000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()

    /* ahead in the own block: the immediate is a new one each time */
    movl $7, %ebx
    HOT(movl %ebx, 1f + 1; nop; nop; \
    1:  movl $0, %eax; cmpl %ebx, %eax; EXPECT(e); incl %ebx)

    /* ahead in the own block, by a store that went elsewhere for long */
    movl $2 * HOT_ROUNDS, %r14d
    xorl %esi, %esi
2:  movl $scratch, %edi
    movl $3f + 2, %ecx
    cmpl $HOT_ROUNDS, %r14d
    cmoveq %rcx, %rdi
    movb $2, (%rdi)
3:  addl $1, %esi               /* 83 C6 01, later 83 C6 02 */
    decl %r14d
    jnz 2b
    cmpl $3 * HOT_ROUNDS, %esi
    EXPECT(e)

    /* a successor, linked already: the store is in one block, the code in the next */
    xorl %esi, %esi
    xorl %edx, %edx
    xorl %ebx, %ebx
    HOT(testl $0x3f, %r15d; setz %al; addb %al, %bl; movb %bl, 6f + 2; jmp 5f; \
    5:  nop; \
    6:  addl $0, %esi; addl %ebx, %edx; cmpl %edx, %esi; EXPECT(e))
    cmpl $3, %ebx
    EXPECT(e)

    /* the block's own first instruction: it counts up, then another register, then down */
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $1000, %ebp
7:  incl %ecx                   /* FF C1; FF C2 is inc %edx, FF C9 dec %ecx */
    cmpl $600, %ebp
    jne 8f
    movb $0xc2, 7b + 1
8:  cmpl $300, %ebp
    jne 9f
    movb $0xc9, 7b + 1
9:  decl %ebp
    jnz 7b
    cmpl $401 - 299, %ecx
    EXPECT(e)
    cmpl $300, %edx
    EXPECT(e)
    /* each time, in one straight block */
    xorl %ecx, %ecx
    movl $1000, %ebp
1:  incl %ecx
    xorb $8, 1b + 1             /* inc and dec by turns */
    decl %ebp
    jnz 1b
    testl %ecx, %ecx
    EXPECT(z)

    call calls
    call strings
    call two_pages
    call beside
    PASS()

/* the target of a call, and its immediate */
calls:
    movl $1, %ebx
    HOT(call 2f; cmpl $1, %eax; EXPECT(e))
    HOT(movl %ebx, 2f + 1; call 2f; cmpl %ebx, %eax; EXPECT(e); incl %ebx)
    movl $3f - (1f + 5), 1f + 1 /* the CALL goes elsewhere */
    HOT(1: call 2f; cmpl $77, %eax; EXPECT(e))
    movl $2f - (1b + 5), 1b + 1
    movl $1, 2f + 1
    movl $1b, %edx
    movb $0xc3, 1b + 5          /* ends behind the call now */
    HOT(call *%rdx; cmpl $1, %eax; EXPECT(e))
    ret
2:  movl $1, %eax
    ret
3:  movl $77, %eax
    ret

/* REP STOSB, REP MOVSQ and PUSH onto code that has been running */
strings:
    HOT(call 2f; cmpl $0x11111111, %eax; EXPECT(e))
    movl $0x22, %eax
    HOT(movl $2f + 1, %edi; movl $4, %ecx; rep stosb; movl %eax, %ebx; call 2f; \
        imull $0x01010101, %ebx; cmpl %ebx, %eax; EXPECT(e); incb %al; movzbl %al, %eax)
    HOT(movl $3f, %esi; movl $2f, %edi; movl $1, %ecx; rep movsq; call 2f; \
        cmpl $0x33333333, %eax; EXPECT(e))
    movq 4f, %rax
    movq %rsp, %rbx
    HOT(movl $2f + 8, %esp; pushq %rax; jmp 1f; \
    1:  movq %rbx, %rsp; pushq %rax; call 2f; cmpl $0x44444444, %eax; EXPECT(e); popq %rax)
    /* the loop's own instruction, in front of and behind the one that pushes */
    movl $5f + 8, %ecx
    movq 5f, %rax
    movq 6f, %rdx
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    HOT(xchgq %rcx, %rsp; pushq %rax; \
    5:  incl %r8d; nop; nop; nop; nop; nop; addq $8, %rsp; xchgq %rcx, %rsp; xchgq %rax, %rdx)
    cmpl $HOT_ROUNDS / 2, %r8d
    EXPECT(e)
    cmpl $HOT_ROUNDS / 2, %r9d
    EXPECT(e)
    ret
    .p2align 3
2:  movl $0x11111111, %eax
    ret
    nop
    nop
3:  movl $0x33333333, %eax
    ret
    nop
    nop
4:  movl $0x44444444, %eax
    ret
    nop
    nop
6:  incl %r9d
    nop
    nop
    nop
    nop
    nop

/* a store that lies in two pages of code, and one through the other address of a page */
two_pages:
    COPY(end_of_a, PAGE_B - 4, end_of_b - end_of_a)
    MAP(ALIAS_A, PAGE_A + 7)
    movl $PAGE_B - 4, %edx
    xorl %eax, %eax
    HOT(call *%rdx)
    cmpl $(1 + 4) * HOT_ROUNDS, %eax
    EXPECT(e)
    xorl %eax, %eax             /* movb $4, %cl becomes movb $4, %ch */
    HOT(call *%rdx; movw $0xb502, PAGE_B - 1; call *%rdx; movw $0xb101, PAGE_B - 1)
    cmpl $(1 + 4 + 2 + 0x400) * HOT_ROUNDS, %eax
    EXPECT(e)
    xorl %eax, %eax
    HOT(call *%rdx; movb $3, ALIAS_A + 0xfff; SERIALIZE(); \
        call *%rdx; movb $1, ALIAS_A + 0xfff; SERIALIZE())
    cmpl $(1 + 4 + 3 + 4) * HOT_ROUNDS, %eax
    EXPECT(e)
    ret
end_of_a:                       /* the page's end is behind the 1 */
    cld
    addl $1, %eax
    movb $4, %cl
    addl %ecx, %eax
    xorl %ecx, %ecx
    ret
end_of_b:

/* stores beside hot code, on its page and in its line, change nothing of it */
beside:
    COPY(beside_code, DATA_PAGE, beside_end - beside_code)
    movl $DATA_PAGE, %edx
    xorl %eax, %eax
    HOT(call *%rdx)
    cmpl $HOT_ROUNDS, %eax
    EXPECT(e)
    cmpl $HOT_ROUNDS, DATA_PAGE + beside_datum - beside_code
    EXPECT(e)
    HOT(call *%rdx; incq DATA_PAGE + 0x800; pushq DATA_PAGE + 0x800; popq DATA_PAGE + 0x40)
    cmpl $HOT_ROUNDS, DATA_PAGE + 0x40
    EXPECT(e)
    incb DATA_PAGE + 2          /* the code after all: 83 C0 02 */
    xorl %eax, %eax
    HOT(call *%rdx)
    cmpl $2 * HOT_ROUNDS, %eax
    EXPECT(e)
    cmpl $3 * HOT_ROUNDS, DATA_PAGE + beside_datum - beside_code
    EXPECT(e)
    ret
beside_code:
    addl $1, %eax
    incl beside_datum(%rip)
    ret
beside_datum:
    .long 0
beside_end:
    .data
scratch: .long 0
