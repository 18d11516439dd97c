/* A shift by CL that is 0 keeps all flags, also where its memory operand has to be looked for: the
 * flags are those of the instruction before it. [SDM 2B "SAL/SAR/SHL/SHR - Shift"] */
#include "guest.inc"
#define PAGE (REGION + 0x3000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $PAGE, %ebx
    xorl %esi, %esi
    .irp op, shlq, shrl, sarq, sarw
    .irp count, 0, 64
    HOT(movl %r15d, %edi; invlpg (%rbx); movl $\count, %ecx; \
        movl $0x7fffffff, %eax; subl $-1, %eax; \op %cl, (%rbx); pushfq; popq %rdx; \
        invlpg (%rbx); movl $\count, %ecx; xorl %eax, %eax; subl $1, %eax; decl %eax; \
        \op %cl, (%rbx); pushfq; popq %rax; \
        andl $ARITH_FLAGS, %edx; andl $ARITH_FLAGS, %eax; \
        cmpl $0x885, %edx; EXPECT(e); cmpl $0x81, %eax; EXPECT(e); movl %edi, %r15d)
    .endr
    .endr
    PASS()
