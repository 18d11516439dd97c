/* NMIs: not masked by IF, blocked from delivery until IRET, one is kept meanwhile; they end HLT.
 * [SDM 3A "Nonmaskable Interrupt (NMI)"] */
#include "guest.inc"
    .text
    .code32
    .globl test
handler:
    movl $0, APIC_EOI
    cmpl $1, fault_count
    jne 1f
    NMI_TO_0()                  /* waits for our IRET */
    SOON()
    NMI_TO_0()                  /* merges with the one that waits */
    SOON()
    EXPECT_EQ(1, fault_count)
1:  ret
test:
    movl $handler, hook
    APIC_ON()
    cli
    NMI_TO_0()
    SOON()
    EXPECT_EQ(2, last_vector)
    EXPECT_EQ(2, fault_count)
    EXPECT_EQ(CODE32, last_cs)

    /* an interrupt that is masked by IF does not end HLT, the next NMI does: from channel 0 of the
     * 8254 through the I/O APIC's pin 2 */
    movl $0x14, 0xfec00000
    movl $0x400, 0xfec00010     /* delivery mode NMI, edge, to APIC 0 */
    movl $0x15, 0xfec00000
    movl $0, 0xfec00010
    SELF_IPI(IRQ_VECTOR)        /* pending for ever */
    movb $0x30, %al             /* channel 0, mode 0: once */
    outb %al, $0x43
    movb $0x00, %al
    outb %al, $0x40
    movb $0x10, %al
    outb %al, $0x40
    hlt
    EXPECT_EQ(3, fault_count)
    EXPECT_EQ(2, last_vector)
    ret
