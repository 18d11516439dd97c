/* INT3, INTO, INT n, INT1: vectors, saved EIP, and the gate's privilege for software interrupts.
 * [SDM 2A "INT n/INTO/INT3/INT1 - Call to Interrupt Procedure"] */
#include "guest.inc"
    .text
    .code32
    .globl test
go_on:
    ret
test:
    EXPECT_FAULT(BP_VECTOR, int3)
    movl $go_on, hook
    int3
a:  EXPECT_EQ(a, last_eip)      /* a trap: behind INT3 */
    .byte 0xcd, 3
b:  EXPECT_EQ(b, last_eip)
    EXPECT_EQ(BP_VECTOR, last_vector)
    int $0x80
c:  EXPECT_EQ(c, last_eip)
    EXPECT_EQ(0x80, last_vector)

    movl $-1, last_vector
    xorl %eax, %eax
    .byte 0xce                  /* INTO with OF 0 */
    EXPECT_EQ(-1, last_vector)
    movb $0x7f, %al
    addb $1, %al
    .byte 0xce
d:  EXPECT_EQ(OF_VECTOR, last_vector)
    EXPECT_EQ(d, last_eip)

    xorl %eax, %eax
    movl %eax, %dr6
    .byte 0xf1                  /* INT1: #DB that leaves DR6 alone */
e:  EXPECT_EQ(DB_VECTOR, last_vector)
    EXPECT_EQ(e, last_eip)
    movl %dr6, %eax
    testl $0x400f, %eax
    EXPECT(z)

    /* from CPL 3, gates with DPL 0 are for hardware only, and INT1 */
    movl $0, hook
    movl $f, resume
    ENTER_USER(user)
    .p2align 4
user:
    int3
f:  EXPECT_EQ(GP_VECTOR, last_vector)
    EXPECT_EQ(3 * 8 + 2, last_error)
    movl $g, resume
    int $0x80
g:  EXPECT_EQ(GP_VECTOR, last_vector)
    EXPECT_EQ(0x80 * 8 + 2, last_error)
    movl $h, resume
    .byte 0xf1
h:  EXPECT_EQ(DB_VECTOR, last_vector)
    orb $0x60, idt + 0x80 * 8 + 5
    movl $i, resume
    int $0x80
i:  EXPECT_EQ(0x80, last_vector)
    EXPECT_EQ(USER_CODE32, last_cs)
    movl $j, resume
    hlt
j:  EXPECT_EQ(GP_VECTOR, last_vector)
    EXPECT_EQ(0, last_error)
    orb $0x60, idt + 0x81 * 8 + 5
    movl $pass32, hook
    int $0x81
pass32:
    addl $4, %esp
    PASS()
