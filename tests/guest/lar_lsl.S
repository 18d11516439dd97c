/* LAR, LSL, VERR, VERW report through ZF and never fault for a bad selector.
 * [SDM 2A "LAR - Load Access Rights Byte"], [SDM 2A "LSL - Load Segment Limit"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl $CODE32, %ecx
    larl %ecx, %eax
    EXPECT(e)
    andl $0xfff0ffff, %eax      /* bits 19:16 are undefined */
    cmpl $0x00c09b00, %eax
    EXPECT(e)
    lsll %ecx, %eax
    EXPECT(e)
    cmpl $0xffffffff, %eax      /* granularity applied */
    EXPECT(e)
    movl $DATA16, %ecx
    lsll %ecx, %eax
    EXPECT(e)
    cmpl $0xffff, %eax
    EXPECT(e)
    movl $TSS_SEL, %ecx
    larl %ecx, %eax
    EXPECT(e)
    cmpl $0x00008b00, %eax      /* busy */
    EXPECT(e)
    lsll %ecx, %eax
    EXPECT(e)
    cmpl $0x67, %eax
    EXPECT(e)

    /* null, outside the table, a gate for LSL: ZF 0 and the register keeps its value */
    movl $0x12345678, %eax
    xorl %ecx, %ecx
    larl %ecx, %eax
    EXPECT(ne)
    movl $0x7f8, %ecx
    lsll %ecx, %eax
    EXPECT(ne)
    movl $0x00080000, gdt + FREE1
    movl $0x00008c00, gdt + FREE1 + 4   /* a call gate */
    movl $FREE1, %ecx
    lsll %ecx, %eax
    EXPECT(ne)
    cmpl $0x12345678, %eax
    EXPECT(e)
    larl %ecx, %eax
    EXPECT(e)
    cmpl $0x00008c00, %eax
    EXPECT(e)
    movl $0x00008e00, gdt + FREE1 + 4   /* an interrupt gate: invalid for LAR */
    larl %ecx, %eax
    EXPECT(ne)
    movw $0x1234, %ax                   /* the 16-bit form leaves the upper half alone */
    movl $DATA16, %ecx
    movl $0xabcd0000, %eax
    lslw %cx, %ax
    cmpl $0xabcdffff, %eax
    EXPECT(e)

    /* RPL counts: a DPL 0 segment with RPL 3 is not visible */
    movl $DATA32 + 3, %ecx
    larl %ecx, %eax
    EXPECT(ne)
    movl $USER_DATA, %ecx
    larl %ecx, %eax
    EXPECT(e)

    movl $DATA32, %ecx
    verr %cx
    EXPECT(e)
    verw %cx
    EXPECT(e)
    movl $CODE32, %ecx
    verr %cx
    EXPECT(e)
    verw %cx
    EXPECT(ne)
    movl $TSS_SEL, %ecx
    verr %cx
    EXPECT(ne)
    xorl %ecx, %ecx
    verr %cx
    EXPECT(ne)
    andb $~2, gdt + FREE2 + 5
    movl $0x0000ffff, gdt + FREE2
    movl $0x00cf9000, gdt + FREE2 + 4   /* read-only data */
    movl $FREE2, %ecx
    verr %cx
    EXPECT(e)
    verw %cx
    EXPECT(ne)
    ret
