/* SYSCALL/SYSRET and SYSENTER/SYSEXIT, there and back. [SDM 2B "SYSCALL - Fast System Call"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl $0x174, %ecx
    movl $CODE32, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x175, %ecx
    movl $ring0_stack_top, %eax
    wrmsr
    ENTER_LONG()
    movl $0xc0000081, %ecx      /* STAR: SYSRET 64 loads CS 30H + 16, SS 30H + 8 */
    xorl %eax, %eax
    movl $(0x30 << 16 | CODE32), %edx
    wrmsr
    movl $0xc0000082, %ecx
    movl $entry, %eax
    xorl %edx, %edx
    wrmsr
    movl $0xc0000084, %ecx      /* FMASK: IF, DF, TF */
    movl $0x700, %eax
    wrmsr
    movl $user, %esi
    movl $REGION, %edi
    movl $user_end - user, %ecx
    rep movsb
    movq %rsp, %rbx
    movl $REGION, %ecx
    movl $0x3202, %r11d         /* IF and IOPL for the user */
    xorl %ebp, %ebp
    sysretq
user:
    movw %cs, %ax
    cmpw $USER_CODE64, %ax
    jne 1f
    movw %ss, %ax
    cmpw $USER_DATA, %ax
    jne 1f
    movl $1, %ebp
1:  std
    syscall
    nop
user_end:
entry:
    cmpl $1, %ebp
    EXPECT(e)
    cmpq $REGION + (user_end - user) - 1, %rcx
    EXPECT(e)
    andl $~0x8d5, %r11d
    cmpl $0x3602, %r11d         /* DF too; RF is 0 */
    EXPECT(e)
    pushfq
    popq %rax
    testl $0x700, %eax
    EXPECT(z)
    movw %cs, %ax
    cmpw $CODE32, %ax
    EXPECT(e)
    movw %ss, %ax
    cmpw $DATA32, %ax
    EXPECT(e)
    PASS()
