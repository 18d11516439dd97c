/* Self-modifying code: a store to an instruction that follows in the same straight line is seen by
 * its execution. [SDM 3A "Self-Modifying Code"] (processors of the P6 family and later need no
 * branch when the store uses the same linear address) */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    /* the very next instruction's immediate */
    movl $0x11111111, %ebx
    movl $0x22222222, 1f + 1
1:  movl $0x33333333, %eax
    cmpl $0x22222222, %eax
    EXPECT(e)

    /* an opcode byte: inc %ecx (41H) becomes dec %ecx (49H) */
    movl $10, %ecx
    movb $0x49, 2f
2:  inc %ecx
    cmpl $9, %ecx
    EXPECT(e)

    /* through REP MOVSB, over the instructions behind it */
    movl $patch, %esi
    movl $3f, %edi
    movl $5, %ecx
    rep movsb
3:  movl $0x55555555, %eax
    cmpl $0x77777777, %eax
    EXPECT(e)

    /* an instruction executed before: a loop that patches itself each time round */
    movl $0, %edx
    movl $5, %ecx
4:  addl $0, %edx
    incb 4b + 2
    loop 4b
    cmpl $10, %edx              /* 0 + 1 + 2 + 3 + 4 */
    EXPECT(e)

    /* a push onto code */
    movl %esp, %ebx
    movl $6f + 5, %esp
    pushl $0x99999999
5:  jmp 6f
6:  movl $0x44444444, %eax
    movl %ebx, %esp
    cmpl $0x99999999, %eax
    EXPECT(e)
    ret
patch:
    movl $0x77777777, %eax
