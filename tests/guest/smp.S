/* INIT and SIPI start the other processor; both count with LOCK. [SDM 3A "MP Initialization"] */
#include "guest.inc"
#define ROUNDS 20000
    .text
    .code32
    .globl test
test:
    APIC_ON()
    movl $0x000c4500, APIC_ICR          /* INIT to all but self */
    movl $ap_vector, %eax
    movl %eax, APIC_ICR
    call count
1:  pause
    cmpl $2, finished
    jne 1b
    EXPECT_EQ(2 * ROUNDS, counter)
    EXPECT_EQ(1, ap_id)
    ret
count:
    movl $ROUNDS, %ecx
2:  lock incl counter
    loop 2b
    lock incl finished
    ret
ap32:
    movw $DATA32, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl $ap_stack, %esp
    movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, ap_id
    call count
3:  cli
    hlt
    jmp 3b
    .data
    .p2align 2
counter: .long 0
finished: .long 0
ap_id: .long 0
    .bss
    .skip 0x400
ap_stack:
    .set ap_vector, 0x000c4601          /* SIPI, page 1: .low begins at 1000H */

    .section .low, "ax"
    .code16
ap_start:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl gdt_low - ap_start
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $CODE32, $ap32
gdt_low:
    .word 0x3f
    .long gdt
