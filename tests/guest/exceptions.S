/* One of each ordinary fault, the saved EIP on the instruction. [SDM 3A "Exception and Interrupt
 * Reference"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    xorl %ecx, %ecx
    movl $1, %eax
    EXPECT_FAULT(DE_VECTOR, 661: divl %ecx)
    EXPECT_EQ(661b, last_eip)
    movl $0x80000000, %eax
    cltd
    movl $-1, %ecx
    EXPECT_FAULT(DE_VECTOR, idivl %ecx)
    EXPECT_FAULT(DE_VECTOR, .byte 0xd4, 0x00)   /* AAM 0 */
    movl $5, %eax
    EXPECT_FAULT(BR_VECTOR, bound %eax, bounds)
    movl $4, %eax
    EXPECT_FINE(bound %eax, bounds)
    EXPECT_FAULT(UD_VECTOR, ud2)
    EXPECT_FAULT(UD_VECTOR, lock; nop)
    EXPECT_FAULT(UD_VECTOR, .byte 0xf0, 0x89, 0x00)     /* LOCK MOV */
    EXPECT_FAULT(UD_VECTOR, .byte 0x8d, 0xc0)           /* LEA with a register */
    EXPECT_FAULT(UD_VECTOR, .byte 0x8e, 0xc8)           /* MOV CS */
    EXPECT_FAULT(UD_VECTOR, .byte 0xff, 0xf8)           /* FF /7 */
    EXPECT_FAULT_CODE(GP_VECTOR, 0, .byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e; \
                      .byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x90) /* 16 bytes */
    EXPECT_FINE(.byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e; \
                .byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x90) /* 15 */
    movl %cr0, %eax
    orl $8, %eax                /* TS */
    movl %eax, %cr0
    EXPECT_FAULT(NM_VECTOR, fninit)
    clts
    EXPECT_FINE(fninit)
    movl $0x12345, %ecx
    EXPECT_FAULT_CODE(GP_VECTOR, 0, rdmsr)
    movl %cr0, %eax
    movl %eax, %ebx
    orl $0x80000000, %eax
    andl $~1, %eax              /* PG without PE */
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movl %eax, %cr0)
    cmpl %ebx, %ebx
    movl $-1, %eax
    EXPECT_FAULT_CODE(GP_VECTOR, 0, movl %eax, %cr4)

    /* alignment checks: CPL 3 with CR0.AM and AC */
    movl %cr0, %eax
    orl $0x40000, %eax
    movl %eax, %cr0
    ENTER_USER(user)
user:
    pushfl
    orl $0x40000, (%esp)
    popfl
    movl $1f, resume
    movl USER_STACK + 1, %eax
1:  EXPECT_EQ(17, last_vector)
    EXPECT_EQ(0, last_error)
    movl $2f, resume
    movb USER_STACK + 1, %al
    movw USER_STACK + 2, %ax
    xorl %ecx, %ecx
    divl %ecx
2:  EXPECT_EQ(DE_VECTOR, last_vector)
    jmp pass
    .data
    .p2align 2
bounds: .long 1, 4
