/* Breakpoints: execution (a fault, once with RF), data (a trap), I/O, general detect.
 * [SDM 3B "Debug Registers"] */
#include "guest.inc"
    .text
    .code32
    .globl test
trap:
    incl traps
    movl %dr6, %eax
    movl %eax, seen_dr6
    movl last_eip, %eax
    movl %eax, seen_eip
    xorl %eax, %eax
    movl %eax, %dr6
    orl $0x10000, FRAME_FLAGS(%ebp) /* RF, so that an execution breakpoint lets us go on */
    ret
test:
    movl $trap, hook
    xorl %eax, %eax
    movl %eax, %dr6
    movl $1f, %eax
    movl %eax, %dr0
    movl $0x402, %eax           /* G0: execution */
    movl %eax, %dr7
    nop
1:  incl %ebx
    EXPECT_EQ(1, traps)
    EXPECT_EQ(1b, seen_eip)     /* a fault: before it */
    testl $1, seen_dr6
    EXPECT(nz)

    movl $datum, %eax
    movl %eax, %dr1
    movl $0x00d00408, %eax      /* G1: write, four bytes */
    movl %eax, %dr7
    movl datum, %eax            /* a read does not count */
    EXPECT_EQ(1, traps)
    movb $1, datum + 3
2:  EXPECT_EQ(2, traps)
    EXPECT_EQ(2b, seen_eip)     /* a trap: behind it */
    testl $2, seen_dr6
    EXPECT(nz)
    movl $1, datum + 4
    EXPECT_EQ(2, traps)
    movl $0x00f00408, %eax      /* read or write */
    movl %eax, %dr7
    movl datum, %eax
3:  EXPECT_EQ(3, traps)
    EXPECT_EQ(3b, seen_eip)

    /* DR7 cleared: nothing */
    movl $0x400, %eax
    movl %eax, %dr7
    movl %eax, datum
    EXPECT_EQ(3, traps)

    /* general detect: an access to a debug register faults, and the bit is off in the handler */
    movl $0x2400, %eax
    movl %eax, %dr7
    movl $0, hook
    EXPECT_FAULT(DB_VECTOR, movl %dr0, %ecx)
    movl %dr6, %eax
    testl $0x2000, %eax
    EXPECT(nz)
    movl %dr7, %eax
    testl $0x2000, %eax
    EXPECT(z)

    /* DR4 and DR5 are DR6 and DR7, #UD with CR4.DE */
    movl %cr4, %eax
    orl $8, %eax
    movl %eax, %cr4
    EXPECT_FAULT(UD_VECTOR, .byte 0x0f, 0x21, 0xe0)
    ret
    .data
    .p2align 2
traps: .long 0
seen_dr6: .long 0
seen_eip: .long 0
datum: .long 0, 0
