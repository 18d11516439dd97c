/* More code than a processor keeps decoded, in a row, twice; beside it functions that run all the
 * time, one of which is rewritten all the time. [SDM 3A "Self-Modifying Code"] */
#include "guest.inc"
#define AREA  0x800000
#define BYTES 64
#define COUNT 26000
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $AREA, %edi            /* COUNT times 63 NOP, RET */
    movl $COUNT * BYTES / 8, %ecx
    movabsq $0x9090909090909090, %rax
    rep stosq
    movl $COUNT, %ecx
    movl $AREA + BYTES - 1, %edi
1:  movb $0xc3, (%rdi)
    addl $BYTES, %edi
    decl %ecx
    jnz 1b

    xorl %esi, %esi
    movl $1, %ebx
    HOT(call hot)
    movl $2, %ebp
2:  movl $COUNT, %r14d
    movl $AREA, %edx
3:  call *%rdx
    addl $BYTES, %edx
    testl $0x3f, %r14d
    jnz 4f
    call hot
4:  decl %r14d
    jnz 3b
    decl %ebp
    jnz 2b
    HOT(call hot)
    cmpl $2 * HOT_ROUNDS + 2 * (COUNT / 64), %esi
    EXPECT(e)
    PASS()

hot:
    movl %ebx, rewritten + 1
    call rewritten
    cmpl %ebx, %eax
    EXPECT(e)
    leal 0x3459(%rbx,%rbx,4), %ebx
    incl %esi
    ret
    .p2align 12
rewritten:
    movl $0x12345678, %eax
    ret
