/* Limits, expand-down, read-only and null segments: #GP or #SS, and with which error code.
 * [SDM 3A "Limit Checking"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl $0x0000000f, gdt + FREE1       /* data, base 0, limit FH */
    movl $0x00409200, gdt + FREE1 + 4
    movl $0x0000ffff, gdt + FREE2       /* expand-down, above FFFFH, 32 bits */
    movl $0x00409600, gdt + FREE2 + 4
    movl $0x0000ffff, gdt + FREE3       /* read-only */
    movl $0x00cf9000, gdt + FREE3 + 4
    movw $FREE1, %ax
    movw %ax, %fs
    EXPECT_FINE(movl %fs:0xc, %eax)
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movl %fs:0xd, %eax)
    EXPECT_FINE(movb %fs:0xf, %al)
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movb %fs:0x10, %al)
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movl %fs:-2, %eax)
    testb $1, gdt + FREE1 + 5           /* loading set the accessed bit */
    EXPECT(nz)
    movw $FREE2, %ax
    movw %ax, %gs
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movb %gs:0xffff, %al)
    EXPECT_FINE(movb %gs:0x100000, %al)
    movw $FREE3, %ax
    movw %ax, %gs
    EXPECT_FINE(movb %gs:last_vector, %al)
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movb %al, %gs:last_vector)
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movb %al, %cs:last_vector)
    EXPECT_FINE(movb %cs:last_vector, %al)
    xorl %eax, %eax
    movw %ax, %gs                       /* null may be loaded, not used */
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movb %gs:0, %al)

    /* loads */
    movl $0x7f8, %eax
    EXPECT_FAULT_CODE(GP_VECTOR, 0x7f8, movw %ax, %es)
    movl $FREE3, %eax
    EXPECT_FAULT_CODE(GP_VECTOR, FREE3, movw %ax, %ss)
    xorl %eax, %eax
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movw %ax, %ss)
    movb $0x12, gdt + FREE1 + 5         /* not present */
    movl $FREE1, %eax
    EXPECT_FAULT_CODE(NP_VECTOR, FREE1, movw %ax, %es)
    EXPECT_FAULT_CODE(SS_VECTOR, FREE1, movw %ax, %ss)
    movl $CODE32, %eax
    EXPECT_FINE(movw %ax, %fs)          /* readable code is data */
    movl $TSS_SEL, %eax
    EXPECT_FAULT_CODE(GP_VECTOR, TSS_SEL, movw %ax, %fs)

    /* EBP and ESP mean SS: #SS(0); the handler runs on CPL 0's own stack only from CPL 3 */
    movl $0x000000ff, gdt + FREE1
    movl $0x0040f200, gdt + FREE1 + 4
    ENTER_USER(user)
user:
    movw $FREE1 + 3, %ax
    movw %ax, %ss
    movl $0x100, %ebp
    movl $1f, resume
    movb (%ebp), %al
1:  EXPECT_EQ(SS_VECTOR, last_vector)
    EXPECT_EQ(0, last_error)
    movl $2f, resume
    movb %ds:(%ebp), %al
    movl $0x102, %esp
    pushl %eax
2:  EXPECT_EQ(SS_VECTOR, last_vector)
    cmpl $0x102, %esp
    EXPECT(e)
    movl $3f, resume
    movw $DATA32, %ax
    movw %ax, %es
3:  EXPECT_EQ(GP_VECTOR, last_vector)
    EXPECT_EQ(DATA32, last_error)
    jmp pass
