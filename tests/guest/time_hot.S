/* The time-stamp counter in code that runs often: it never goes back, and counts what code costs in
 * the same way whether it is hot or not; so a sum of many differences is sent for comparing runs.
 * [SDM 3B "Time-Stamp Counter"] */
#include "guest.inc"
#define PAGE (REGION + 0x3000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    fninit
    /* code without a memory access that could miss costs the same each time, cold or hot */
    HOT(addl %ecx, %ebx; imull %ebx, %ecx; call lap; call constant)
    HOT(movl $50, %ecx; \
    1:  addl %ecx, %ebx; decl %ecx; jnz 1b; call lap; call constant)
    /* walks, faults, divisions, strings, x87 and SSE: into the sum */
    HOT(movl PAGE, %eax; call sum; invlpg PAGE; movl PAGE, %eax; call sum; \
        addl $1, PAGE; call sum)
    HOT(MAP(PAGE, 0); EXPECT_FAULT(PF_VECTOR, movl PAGE, %eax); call sum; MAP(PAGE, PAGE + 7))
    HOT(movl $100, %eax; xorl %edx, %edx; divl %r15d; call sum; movl $PAGE, %edi; \
        movl %r15d, %ecx; rep stosb; call sum; movl %r15d, %ecx; movl $PAGE, %esi; \
        rep lodsb; call sum)
    HOT(fld1; fldpi; fdivp; fsin; fstp %st; call sum; cvtsi2sdl %r15d, %xmm0; \
        sqrtsd %xmm0, %xmm1; divsd %xmm1, %xmm0; call sum)
    /* a loop whose length changes; self-modifying code */
    HOT(movl %r15d, %ecx; \
    1:  testl $3, %ecx; jz 2f; incl %ebx; \
    2:  decl %ecx; jnz 1b; call sum)
    HOT(movb %r15b, 1f + 2; call sum; \
    1:  addl $0, %ebx; call sum)
    movl total, %ebx
    movw $SERIAL, %dx
    movl $4, %ecx
3:  movb %bl, %al
    outb %al, %dx
    shrl $8, %ebx
    decl %ecx
    jnz 3b
    PASS()

/* EAX: cycles since the last call */
lap:
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, %rdx
    subq last, %rax
    EXPECT(a)
    movq %rdx, last
    ret
/* after the first rounds */
constant:
    cmpl $HOT_ROUNDS - 3, %r15d
    cmoval %eax, %r12d
    cmpl %eax, %r12d
    EXPECT(e)
    ret
sum:
    call lap
    imull $69069, total, %edx
    addl %eax, %edx
    movl %edx, total
    ret
    .data
    .p2align 3
last: .quad 0
total: .long 0
