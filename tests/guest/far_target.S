/* Displacements of almost 2 GiB in code near the end of a page, whose start is further from the target
 * than that. REGION is there a second time, 2 GiB higher.
 * [SDM 2A "JMP - Jump"], [SDM 1 "RIP-Relative Addressing"] */
#include "guest.inc"
#define CODE    (REGION + 0x2f00)
#define HIGH    0x80000000
#define FAR     0x7ffffff0 /* 16 bytes in front of the instruction's end, in HIGH */
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $page_directory, %eax
    movq 8 * (REGION >> 21)(%rax), %rcx
    movq %rcx, 8 * ((REGION + HIGH) >> 21)(%rax)
    movq %cr3, %rax
    movq %rax, %cr3
    COPY(probes, CODE, probes_end - probes)
    movl $(CODE + 0x1d + HIGH), %ebp
    movl $CODE + 0x20, %edi
    HOT(movl $1f, %esi; jmp *%rdi; 1: cmpl $0x5678, %eax; EXPECT(e); cmpq %rbp, %r14; EXPECT(e))
    .irp at, 0x60, 0x80, 0xa0
    movl $CODE + \at, %edi
    HOT(movl $1f, %esi; movq %rsp, %r12; testl %esi, %esi; jmp *%rdi; 1: cmpq %r12, %rsp; EXPECT(e))
    .endr
    PASS()

probes:
    .org probes + 0x16
    .long 0x5678
    .org probes + 0x20
    .byte 0x8b, 0x05            /* movl FAR(%rip), %eax */
    .long FAR
    .byte 0x4c, 0x8d, 0x35      /* leaq FAR(%rip), %r14 */
    .long FAR
    jmp *%rsi
    .org probes + 0x55
    jmp *%rsi
    .org probes + 0x60
    .byte 0xe9                  /* jmp */
    .long FAR
    .org probes + 0x76
    jmp *%rsi
    .org probes + 0x80
    .byte 0x0f, 0x85            /* jnz */
    .long FAR
    ud2
    .org probes + 0x95
    ret
    .org probes + 0xa0
    .byte 0xe8                  /* call */
    .long FAR
    jmp *%rsi
probes_end:
