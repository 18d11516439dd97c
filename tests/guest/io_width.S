/* Accesses of all widths to ports and to memory-mapped devices; what nobody answers reads as ones.
 */
#include "guest.inc"
#define BUFFER 0xff000000       /* pc-testdev's memory */
    .text
    .code32
    .globl test
test:
    movl $0x11223344, %eax
    movw $0xe0, %dx
    outl %eax, %dx
    xorl %eax, %eax
    inl %dx, %eax
    cmpl $0x11223344, %eax
    EXPECT(e)
    movl $-1, %eax
    inb %dx, %al                /* the upper bits of EAX stay */
    cmpl $0xffffff44, %eax
    EXPECT(e)
    movw $0xe8, %dx             /* four ports of a byte each */
    movl $0x55667788, %eax
    outl %eax, %dx
    xorl %eax, %eax
    movw $0xe8, %dx
    inl %dx, %eax
    cmpl $0x55667788, %eax
    EXPECT(e)
    xorl %eax, %eax
    inw %dx, %ax
    cmpl $0x7788, %eax
    EXPECT(e)
    movw $0x1f00, %dx           /* nobody */
    xorl %eax, %eax
    inl %dx, %eax
    cmpl $-1, %eax
    EXPECT(e)
    xorl %eax, %eax
    inw %dx, %ax
    cmpl $0xffff, %eax
    EXPECT(e)
    outl %eax, %dx
    movw $0xffff, %dx           /* the last port; a dword there wraps or ends, but nothing else */
    inl %dx, %eax
    outl %eax, %dx

    /* strings */
    movl $words, %esi
    movw $0xe0, %dx
    movl $3, %ecx
    cld
    rep outsw
    inw %dx, %ax
    cmpw $0x3333, %ax
    EXPECT(e)
    movl $into, %edi
    movl $4, %ecx
    rep insb
    EXPECT_EQ(0x33333333, into)

    ENTER_LONG()
    movabsq $0x8877665544332211, %rax
    movl $BUFFER, %ebx
    movq %rax, (%rbx)
    cmpq %rax, (%rbx)
    EXPECT(e)
    cmpl $0x44332211, (%rbx)
    EXPECT(e)
    cmpw $0x6655, 4(%rbx)
    EXPECT(e)
    cmpb $0x88, 7(%rbx)
    EXPECT(e)
    movq 1(%rbx), %rcx          /* not aligned */
    shrq $8, %rax
    shlq $8, %rcx
    shrq $8, %rcx
    cmpq %rax, %rcx
    EXPECT(e)
    movl $0xdeadbeef, 0x1ffe(%rbx) /* across a page */
    cmpl $0xdeadbeef, 0x1ffe(%rbx)
    EXPECT(e)
    lock addl $1, 0x1ffe(%rbx)
    cmpl $0xdeadbef0, 0x1ffe(%rbx)
    EXPECT(e)
    movups (%rbx), %xmm0
    movups %xmm0, 0x100(%rbx)
    movq 0x100(%rbx), %rcx
    cmpq (%rbx), %rcx
    EXPECT(e)
    leaq 0x200(%rbx), %rdi
    movq %rbx, %rsi
    movl $16, %ecx
    rep movsb
    movq 0x200(%rbx), %rcx
    cmpq (%rbx), %rcx
    EXPECT(e)
    movl $0xe0000000, %ebx      /* nobody: ones */
    cmpl $-1, 0x10000000(%rbx)
    movl $0xfe000000, %ebx
    cmpq $-1, (%rbx)
    EXPECT(e)
    movq %rax, (%rbx)

    movl $APIC, %ebx            /* the version register: 32 bits, and code may not crash us */
    movl 0x30(%rbx), %eax
    cmpb $0x10, %al
    EXPECT(ae)
    movb 0x30(%rbx), %al
    movq 0x30(%rbx), %rax
    PASS()
    .data
words: .word 0x1111, 0x2222, 0x3333
into: .long 0
