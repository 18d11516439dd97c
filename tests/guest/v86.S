/* Virtual-8086 mode, there and back: what faults with IOPL 0, what INT does, what the handler
 * finds. [SDM 3B "8086 Emulation"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl $monitor, hook
    pushl $0x50                 /* GS, FS, DS, ES */
    pushl $0x40
    pushl $0x30
    pushl $0x20
    pushl $0
    pushl $0x7000
    pushl $0x20002              /* VM, IOPL 0 */
    pushl $0
    pushl $v86_code
    iretl

/* each fault of the 8086 program in turn */
monitor:
    testl $0x20000, FRAME_FLAGS(%ebp)
    EXPECT(nz)
    EXPECT_EQ(GP_VECTOR, last_vector)
    EXPECT_EQ(0, last_cs)
    movl step, %ecx
    movl want(, %ecx, 8), %eax
    cmpl %eax, last_eip
    EXPECT(e)
    movl want + 4(, %ecx, 8), %eax
    movl %eax, FRAME_EIP(%ebp)
    incl step
    cmpl $4, step
    je 1f
    ret
1:  movl $0x30, %eax            /* the frame holds the data segments, the registers are null */
    cmpl %eax, FRAME_ESP + 12(%ebp)
    EXPECT(e)
    cmpl $0x40, FRAME_ESP + 16(%ebp)
    EXPECT(e)
    movw %fs, %ax
    cmpw $0, %ax
    EXPECT(e)
    movl 32(%ebp), %eax         /* EAX of the program */
    cmpw $0x1234, %ax
    EXPECT(e)
    PASS()
    .data
    .p2align 2
step: .long 0
want: /* the instruction that faults, where to go on */
    .long v_cli, v_cli + 1, v_pushf, v_pushf + 1, v_int, v_int + 2, v_hlt, v_hlt + 1

    .section .low, "ax"
    .code16
v86_code:
    movw %ds, %ax               /* 8086 segments: base = selector * 16 */
    cmpw $0x30, %ax
    jne v_bad
    movw $0x1234, %bx
    movw %bx, 0x10              /* DS:10H is 310H */
    xorw %ax, %ax
    movw %ax, %es
    movw %es:0x310, %ax
v_cli:
    cli
v_pushf:
    pushf
v_int:
    int $0x21
v_hlt:
    hlt
v_bad:
    ud2
