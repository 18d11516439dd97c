/* Code that changes each time it runs, thousands of times, beside code and data that must not
 * notice. Nothing here is a matter of luck: all counts are exact.
 * [SDM 3A "Self-Modifying Code"] */
#include "guest.inc"
#define ROUNDS 6000
    .text
    .code32
    .globl test
test:
    ENTER_LONG()

    /* a store into the own block, behind and ahead */
    xorl %eax, %eax
    xorl %edx, %edx
    movl $ROUNDS, %ecx
1:  addl $1, %eax
    xorb $3, 1b + 2             /* 1 and 2 by turns */
    xorb $3, 2f + 2
2:  addl $1, %edx               /* 2 and 1 */
    decl %ecx
    jnz 1b
    cmpl $ROUNDS / 2 * 3, %eax
    EXPECT(e)
    cmpl $ROUNDS / 2 * 3, %edx
    EXPECT(e)

    /* the same through two blocks that jump to each other */
    xorl %eax, %eax
    movl $ROUNDS, %ecx
3:  addl $1, %eax
    xorb $3, 4f + 2
    jmp 4f
    nop
4:  addl $1, %eax
    xorb $3, 3b + 2
    decl %ecx
    jnz 3b
    cmpl $ROUNDS * 3, %eax      /* 1 + 2, then 2 + 1 */
    EXPECT(e)

    /* a branch that turns its condition: jz and jnz, taken each time */
    xorl %edx, %edx
    movl $ROUNDS, %ecx
    xorl %eax, %eax
5:  testl $1, %ecx
6:  jz 7f                       /* 0F 84 or 74; ECX begins even */
    jmp 8f
7:  incl %edx
    xorb $1, 6b
    decl %ecx
    jnz 5b
8:  cmpl $ROUNDS, %edx
    EXPECT(e)

    /* code made anew at the same place, as a compiler at run time does: mov $n, %eax; ret */
    movl $ROUNDS, %ebx
    movb $0xb8, made
    movb $0xc3, made + 5
    movl $made, %edx
1:  movl %ebx, made + 1
    call *%rdx
    cmpl %ebx, %eax
    EXPECT(e)
    call *%rdx
    cmpl %ebx, %eax
    EXPECT(e)
    decl %ebx
    jnz 1b

    /* ... and along a page, a function a round, all of them called at its end */
    movl $made, %edi
    movl $0xc3c0ff, %ebp        /* inc %eax; ret */
    movl $1024, %ecx
2:  movl %ebp, (%rdi)
    xorl %eax, %eax
    call *%rdi
    cmpl $1, %eax
    EXPECT(e)
    addl $4, %edi
    decl %ecx
    jnz 2b
    movl $20, %ebx
    xorl %eax, %eax
3:  movl $made, %edi
    movl $1024, %ecx
4:  call *%rdi
    addl $4, %edi
    decl %ecx
    jnz 4b
    decl %ebx
    jnz 3b
    cmpl $20 * 1024, %eax
    EXPECT(e)

    /* a counter in the line of the loop that counts it, and code in that line that changes now and
     * then */
    movl $made_too, %edi
    movl $counter, %esi
    xorl %eax, %eax
    movl $ROUNDS, %ecx
    jmp 5f
    .p2align 6
counter: .long 0
made_too:
    addl $1, %eax
    ret
5:  call *%rdi
    incl (%rsi)
    testl $0xff, %ecx
    jnz 6f
    incb made_too + 2
6:  decl %ecx
    jnz 5b
    cmpl $ROUNDS, counter
    EXPECT(e)
    /* ECX is a multiple of 256 before round 5888 is left, and so on: 23 times */
    movl $ROUNDS, %ecx
    movl $1, %ebx
    xorl %edx, %edx
7:  addl %ebx, %edx
    testb %cl, %cl
    jnz 8f
    incl %ebx
8:  decl %ecx
    jnz 7b
    cmpl %edx, %eax
    EXPECT(e)
    PASS()
    .bss
    .p2align 12
made: .skip 0x1000
