/* A call through a call gate from CPL 3 to 0: stack switch, parameters copied, RET FAR n back.
 * [SDM 3A "Accessing a Code Segment Through a Call Gate"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl $service, %eax
    movw %ax, gdt + FREE1
    movw $CODE32, gdt + FREE1 + 2
    movw $0xec02, gdt + FREE1 + 4       /* DPL 3, 32 bits, two parameters */
    shrl $16, %eax
    movw %ax, gdt + FREE1 + 6
    ENTER_USER(user)
user:
    movl %esp, %ebx
    pushl $0x1234
    pushl $0x5678
    lcall $FREE1 + 3, $0
back:
    cmpl %esp, %ebx                     /* RET FAR 8 removed the parameters here, too */
    EXPECT(e)
    movw %cs, %ax
    cmpw $USER_CODE32, %ax
    EXPECT(e)
    cmpl $0x68ac, %edx
    EXPECT(e)
    movw %fs, %ax                       /* a DPL 0 segment does not survive the return */
    cmpw $0, %ax
    EXPECT(e)

    /* a gate that CPL 3 may not use */
    movl $1f, resume
    andb $0x9f, gdt + FREE1 + 5
    lcall $FREE1 + 3, $0
1:  EXPECT_EQ(GP_VECTOR, last_vector)
    EXPECT_EQ(FREE1, last_error)

    /* not present */
    movl $2f, resume
    movb $0x6c, gdt + FREE1 + 5
    lcall $FREE1 + 3, $0
2:  EXPECT_EQ(NP_VECTOR, last_vector)
    EXPECT_EQ(FREE1, last_error)
    jmp pass

service:
    movl %esp, %ecx
    cmpl $ring0_stack_top - 24, %ecx    /* EIP, CS, two parameters, ESP, SS */
    EXPECT(e)
    EXPECT_EQ(back, (%esp))
    EXPECT_EQ(USER_CODE32, 4(%esp))
    EXPECT_EQ(0x5678, 8(%esp))
    EXPECT_EQ(0x1234, 12(%esp))
    EXPECT_EQ(USER_DATA, 20(%esp))
    leal -8(%ebx), %edx
    cmpl %edx, 16(%esp)
    EXPECT(e)
    movw %ss, %ax
    cmpw $DATA32, %ax
    EXPECT(e)
    movw $DATA32, %ax
    movw %ax, %fs
    movl 8(%esp), %edx
    addl 12(%esp), %edx
    lret $8
