/* Which pairs of exceptions make a double fault. [SDM 3A "Interrupt 8 - Double Fault Exception"] */
#include "guest.inc"
#define NOT_PRESENT(vector) movb $0x0e, idt + (vector) * 8 + 5
#define PRESENT(vector)     movb $0x8e, idt + (vector) * 8 + 5
    .text
    .code32
    .globl test
test:
    /* #UD is benign: the #NP of its delivery is served, error code: IDT, vector, EXT */
    NOT_PRESENT(UD_VECTOR)
    EXPECT_FAULT_CODE(NP_VECTOR, UD_VECTOR * 8 + 3, ud2)
    PRESENT(UD_VECTOR)

    /* #NP during #GP: both contributory */
    NOT_PRESENT(GP_VECTOR)
    movl $0x7f8, %eax
    EXPECT_FAULT_CODE(DF_VECTOR, 0, movw %ax, %fs)
    PRESENT(GP_VECTOR)

    /* INT n is no exception: its delivery's #NP is served, EXT 0 */
    NOT_PRESENT(0x80)
    EXPECT_FAULT_CODE(NP_VECTOR, 0x80 * 8 + 2, int $0x80)
    PRESENT(0x80)

    /* #DE is contributory, too */
    NOT_PRESENT(DE_VECTOR)
    xorl %ecx, %ecx
    EXPECT_FAULT(DF_VECTOR, div %ecx)
    PRESENT(DE_VECTOR)

    ENTER_PAGING()
    /* a fault during #PF's delivery makes a double fault */
    movl $0, test_pt + 4 * 8
    invlpg REGION + 0x8000
    NOT_PRESENT(PF_VECTOR)
    EXPECT_FAULT_CODE(DF_VECTOR, 0, movb REGION + 0x8000, %al)
    PRESENT(PF_VECTOR)
    EXPECT_FAULT_CODE(PF_VECTOR, 0, movb REGION + 0x8000, %al)
    EXPECT_EQ(REGION + 0x8000, last_cr2)

    /* #PF during #GP: the #PF is served. Gates 0 to 14 end one page, 15 begins the next: the
     * table is moved so that 13's gate is in a page that is not there and 14's behind it. */
    movl $idt, %esi
    movl $REGION + 0x2000 - PF_VECTOR * 8, %edi
    movl $0x100, %ecx
    rep movsb
    lidt moved_idt
    movl $0, test_pt + 4        /* gates 0 to 13 */
    invlpg REGION + 0x1000
    movl $0x7f8, %eax
    EXPECT_FAULT_CODE(PF_VECTOR, 0, movw %ax, %fs)
    EXPECT_EQ(REGION + 0x2000 - 8, last_cr2)
    ret
    .data
moved_idt:
    .word 0xff
    .long REGION + 0x2000 - PF_VECTOR * 8
