/* RCX shifted by CL: the count is CL before the shift. The flags, those that are undefined too, are the
 * same however often the code runs. [SDM 2B "SAL/SAR/SHL/SHR - Shift"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    .irp op, "shlq %cl, %rcx", "shll %cl, %ecx", "shrq %cl, %rcx", "sarl %cl, %ecx"
    .irp count, 0, 1, 8, 31, 0xc0
    /* with AF set in front: 15 + 1 */
    movl $0, %edi
    HOT(movabsq $(0x7f0000001200 + \count), %rcx; movl $15, %eax; addl $1, %eax; \
        \op; pushfq; popq %rdx; andl $ARITH_FLAGS, %edx; btsl $31, %edx; \
        testl %edi, %edi; cmovzl %edx, %edi; cmpl %edi, %edx; EXPECT(e))
    .endr
    .endr
    PASS()
