/* To real-address mode and back: interrupts through the vector table at 0, segments as
 * paragraphs, limits of 64 KiB. [SDM 3B "Real-Address Mode"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl %esp, saved_esp
    lidt real_idt
    ljmp $CODE16, $to_real
    .globl back
back:
    movw $DATA32, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl saved_esp, %esp
    lidt idt_pointer
    cmpw $0x4321, result
    EXPECT(e)
    ret
    .data
    .p2align 2
saved_esp: .long 0
result: .long 0
real_idt:
    .word 0x3ff
    .long 0

    .section .low, "ax"
    .code16
to_real:
    movw $DATA16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr0, %eax
    andb $~1, %al
    movl %eax, %cr0
    ljmp $0, $in_real
in_real:
    movw %cs, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7000, %sp
    movw $int_handler, 0x80 * 4
    movw $0, 0x80 * 4 + 2
    movw $gp_handler, 13 * 4
    movw $0, 13 * 4 + 2
    xorw %dx, %dx
    int $0x80
    cmpw $0x1111, %dx
    jne real_bad
    cmpw $0x7000, %sp
    jne real_bad
    movw $0xffff, %ax           /* FFFF:0010 is 100000H: beyond 1 MiB with A20 on */
    movw %ax, %fs
    movl %fs:0x10, %eax
    cmpl $0x1badb002, %eax      /* our multiboot header */
    jne real_bad
    movw $0xffff, %bx           /* a word at FFFFH is beyond the limit */
    movw (%bx), %ax
after_gp:
    cmpw $0x2222, %dx
    jne real_bad
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $CODE32, $to_protected
int_handler:
    movw $0x1111, %dx
    iret
gp_handler:                     /* no error code in this mode */
    addw $6, %sp
    movw $0x2222, %dx
    jmp after_gp
real_bad:
    FAIL(__LINE__)
    .code32
to_protected:
    movw $DATA32, %ax
    movw %ax, %ds
    movw $0x4321, result
    jmp back
