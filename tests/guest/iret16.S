/* IRET to a 16-bit code segment with a 16-bit stack, arithmetic wraps at 64 KiB, and a far jump
 * back. [SDM 3A "Mixing 16-Bit and 32-Bit Code"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl %esp, %ebx
    pushfl
    pushl $CODE16
    pushl $in16
    iretl
back32:
    cmpl %esp, %ebx
    EXPECT(e)
    cmpw $0xfffe, %dx
    EXPECT(e)
    cmpl $0x00010000, %ecx
    EXPECT(e)

    /* 32-bit offset beyond the 16-bit segment's limit */
    pushfl
    pushl $CODE16
    pushl $0x10000
    movl $-1, last_vector
    movl $1f, resume
    iretl
1:  EXPECT_EQ(GP_VECTOR, last_vector)
    EXPECT_EQ(0, last_error)
    addl $12, %esp
    ret

    .section .low, "ax"
    .code16
in16:
    movw %cs, %ax
    cmpw $CODE16, %ax
    jne bad16
    movl %esp, %esi
    movw %ss, %di
    movw $DATA16, %ax
    movw %ax, %ss
    movl $0x00010000, %esp      /* SP 0: a push goes to FFFEH */
    pushw $0x5a5a
    movw %sp, %dx
    movl %esp, %ecx             /* the upper half of ESP is not touched */
    andl $0xffff0000, %ecx
    movw $0, %bp
    movw -2(%bp), %ax           /* FFFEH: 16-bit addresses wrap */
    cmpw $0x5a5a, %ax
    jne bad16
    movw %di, %ss
    movl %esi, %esp
    movl $0x12345, %eax
    ljmpl $CODE32, $back32
bad16:
    ud2
