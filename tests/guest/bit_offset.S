/* BT, BTS, BTR and BTC of a register take their offset modulo the operand size, in any register and
 * however often they run; only in memory is it that of a string of bits.
 * [SDM 2A "BT - Bit Test", "BTS - Bit Test and Set"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    /* the same in RDX, RBX and in pairs of the others: bit 5 of 64 + 5, and of the like */
    .irp bits, 0x45, 0x8000000000000045, -59, 0x1000000000005
    movabsq $\bits, %rcx
    .irp r, rdx, rbx, rbp, r8, r10, r11, r12, r13, r14
    movq $0x20, %\r
    HOT(btq %rcx, %\r; EXPECT(c); btrq %rcx, %\r; EXPECT(c); cmpq $0, %\r; EXPECT(e); \
        btcq %rcx, %\r; EXPECT(nc); cmpq $0x20, %\r; EXPECT(e); btsq %rcx, %\r; EXPECT(c); \
        btrq %rcx, %\r; btsq %rcx, %\r; EXPECT(nc); cmpq $0x20, %\r; EXPECT(e))
    .endr
    movq %rcx, %r14
    .irp r, rdx, r10, r11, r13
    movq $0x20, %\r
    HOT(btq %r14, %\r; EXPECT(c); btcq %r14, %\r; EXPECT(c); btq %r14, %\r; EXPECT(nc); \
        cmpq $0, %\r; EXPECT(e); btcq %r14, %\r; EXPECT(nc); cmpq $0x20, %\r; EXPECT(e))
    .endr
    .endr
    /* 16 and 32 bits: what is above stays, or becomes 0 */
    movl $0x1013, %ecx
    movl %ecx, %r14d
    .irp r, r9, r11, r13
    HOT(movq $-1, %\r; btrl %ecx, %\r\()d; movl $0xfff7ffff, %eax; cmpq %rax, %\r; EXPECT(e))
    .endr
    HOT(movq $-1, %r13; btrw %r14w, %r13w; movq $0xfffffffffffffff7, %rax; cmpq %rax, %r13; \
        EXPECT(e); movq $-1, %r11; btcl %r14d, %r11d; movl $0xfff7ffff, %eax; cmpq %rax, %r11; \
        EXPECT(e))
    PASS()
