/* The same bytes at the same place run often as 64-bit, 32-bit and 16-bit code, and mean another
 * thing in each. Far returns and far jumps lead from mode to mode. [SDM 3A "Code-Segment Descriptor
 * in 64-bit Mode"], [SDM 2A "REX Prefixes"] */
#include "guest.inc"
#define INNER 60
    .text
    .code32
    .globl test
test:
    /* FREE1: 32-bit code whose base is not 0 */
    movl $based_code - 0x100, %eax
    movw $0xffff, gdt + FREE1
    movw %ax, gdt + FREE1 + 2
    shrl $16, %eax
    movb %al, gdt + FREE1 + 4
    movb $0x9b, gdt + FREE1 + 5
    movb $0x40, gdt + FREE1 + 6
    movb %ah, gdt + FREE1 + 7
    ENTER_LONG()
    /* long in each, then by turns */
    call in_64
    call in_32
    call in_16
    HOT(call in_64; call in_32)
    HOT(call in_16; call in_64; call in_32; call in_32_based)
    /* one call in each */
    movl $1, inner
    HOT(call in_64; call in_16; call in_32; call in_64; call in_32_based; call in_16)
    PASS()

in_64:
    movl inner, %ebp
1:  movl $10, %eax
    movl $20, %ecx
    movl $40, %r8d
    call twofold
    cmpl $11, %eax              /* inc %rax */
    EXPECT(e)
    cmpl $41, %r8d              /* inc %r8d */
    EXPECT(e)
    cmpl $20, %ecx
    EXPECT(e)
    decl %ebp
    jnz 1b
    ret

in_32:
    pushq $CODE32
    pushq $1f
    lretq
    .code32
1:  movl inner, %ebp
2:  movl $10, %eax
    movl $20, %ecx
    call twofold
    cmpl $11, %eax              /* dec %eax, inc %eax; and inc %eax */
    EXPECT(e)
    cmpl $21, %ecx              /* inc %ecx */
    EXPECT(e)
    decl %ebp
    jnz 2b
    ljmp $CODE64, $back
    .code64
back:
    ret

in_16:
    movl inner, %ebp
    pushq $CODE16
    pushq $in_16_low
    lretq

/* EIP is an offset in its segment */
in_32_based:
    movl inner, %ebp
    pushq $FREE1
    pushq $0x100
    lretq
    .code32
    .p2align 4
based_code:
    call 1f
1:  popl %eax
    cmpl $0x105, %eax
    jne 2f
    jmp 3f
2:  ud2
3:  decl %ebp
    jnz based_code
    ljmp $CODE64, $back

    .data
    .p2align 2
inner: .long INNER

    .section .low, "ax"
    .code64
twofold:
    .byte 0x48, 0xff, 0xc0      /* 64: inc %rax. Else: dec %eax, inc %eax */
    .byte 0x41, 0xff, 0xc0      /* 64: inc %r8d. Else: inc %ecx, inc %eax */
    .byte 0x66, 0x90
    ret

    .code16
in_16_low:
1:  movl $0x1000a, %eax
    movl $0x1ffff, %ecx
    movl %esp, %esi
    call twofold
    cmpl %esp, %esi
    jne 2f
    cmpl $0x1000b, %eax
    jne 2f
    cmpl $0x10000, %ecx         /* inc %cx */
    jne 2f
    decl %ebp
    jnz 1b
    ljmpl $CODE64, $back
2:  ud2
