/* The 8254's channel 0 through the 8259s wakes HLT at its rate. */
#include "guest.inc"
    .text
    .code32
    .globl test
tick:
    movb $0x20, %al
    outb %al, $0x20
    ret
test:
    movl $tick, hook
    movb $0x11, %al             /* ICW1: edge, cascade, ICW4 */
    outb %al, $0x20
    outb %al, $0xa0
    movb $0x40, %al             /* vectors 40H and 48H */
    outb %al, $0x21
    movb $0x48, %al
    outb %al, $0xa1
    movb $4, %al
    outb %al, $0x21
    movb $2, %al
    outb %al, $0xa1
    movb $1, %al
    outb %al, $0x21
    outb %al, $0xa1
    movb $0xfe, %al             /* IRQ 0 only */
    outb %al, $0x21
    movb $0xff, %al
    outb %al, $0xa1
    movb $0x34, %al             /* channel 0, mode 2, low and high byte */
    outb %al, $0x43
    movb $(1193 & 255), %al     /* 1 ms */
    outb %al, $0x40
    movb $(1193 >> 8), %al
    outb %al, $0x40
    rdtsc
    movl %eax, %esi
    movl $20, %ebx
1:  sti
    hlt
    cli
    EXPECT_EQ(0x40, last_vector)
    decl %ebx
    jnz 1b
    EXPECT_EQ(20, fault_count)
    rdtsc
    subl %esi, %eax             /* 20 ms of a 2-GHz TSC, or 19: one tick may wait already */
    cmpl $37900000, %eax
    EXPECT(ae)
    cmpl $41000000, %eax
    EXPECT(be)

    /* masked, it does not come; unmasked, what was latched does, once */
    movb $0xff, %al
    outb %al, $0x21
    movl $0, fault_count
    rdtsc
    movl %eax, %esi
2:  rdtsc
    subl %esi, %eax
    cmpl $10000000, %eax
    jb 2b
    sti
    nop
    cli
    EXPECT_EQ(0, fault_count)
    movb $0x0a, %al             /* IRR */
    outb %al, $0x20
    inb $0x20, %al
    testb $1, %al
    EXPECT(nz)
    movb $0xfe, %al
    outb %al, $0x21
    sti
    nop
    cli
    EXPECT_EQ(1, fault_count)
    ret
