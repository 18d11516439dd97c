/* What an instruction does the first time it does the hundredth time: registers, flags and memory
 * are compared after each run of short pieces of code. Parts of registers, operands of all kinds
 * and address forms are here because a processor may treat them differently once code is hot. Flags
 * that the manual calls undefined must not change either (QUIRKS.md: they are fixed). [SDM 2A
 * "Instruction Set Reference"] */
#include "guest.inc"
#define ROUNDS 100
#define MEMORY 16               /* quads at `memory` */
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $pieces, %eax
    movq %rax, piece
1:  movl $inputs, %eax
    movq %rax, input
2:  movl $ROUNDS, rounds
    call once                   /* the first time says what is right */
    movl $result, %esi
    movl $wanted, %edi
    movl $17 + MEMORY, %ecx
    rep movsq
3:  call once
    movl $result, %esi
    movl $wanted, %edi
    movl $17 + MEMORY, %ecx
    repe cmpsq
    EXPECT(e)
    decl rounds
    jnz 3b
    addq $14 * 8, input
    cmpq $inputs_end, input
    jne 2b
    addq $8, piece
    cmpq $pieces_end, piece
    jne 1b
    PASS()

/* a piece, with registers from the input (RSI and RDI point into `memory`) */
once:
    movl $template, %esi
    movl $memory, %edi
    movl $MEMORY, %ecx
    rep movsq
    movq input, %rsi
    .set at, 0
    .irp reg, rax, rbx, rcx, rdx, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    movq at(%rsi), %\reg
    .set at, at + 8
    .endr
    movl $memory + 32, %esi
    movl $memory + 64, %edi
    cmpq $-7, %rax
    pushq %rax
    movq piece, %rax
    movq (%rax), %rax
    xchgq %rax, (%rsp)
    call *(%rsp)
    .set at, 0
    .irp reg, rax, rbx, rcx, rdx, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rsi, rdi
    movq %\reg, result + at
    .set at, at + 8
    .endr
    pushfq
    popq result + 15 * 8
    movq %rsp, result + 16 * 8
    cld
    addq $8, %rsp
    movl $memory, %esi
    movl $result + 17 * 8, %edi
    movl $MEMORY, %ecx
    rep movsq
    ret

    .macro code insns:vararg
    .irp insn, \insns
    .pushsection .text.pieces, "ax"
7:  \insn
    ret
    .popsection
    .quad 7b
    .endr
    .endm
    .data
    .p2align 3
pieces:
    /* parts of registers: 8 and 16 bits keep the rest, 32 bits clear it */
    code "movb %ah, %bl", "movb $1, %ah", "movb %r8b, %al", "movb %sil, %dl", "movw %cx, %ax", \
        "movl %eax, %eax", "movl %ecx, %r9d", "xchgb %ah, %al", "xchgb %ch, %dh", \
        "xchgw %ax, %bx", "xchgl %eax, %ecx", "xchgl %eax, %eax", "xchgl %r8d, %eax", \
        "xchgq %r9, %r14", "addb %bh, %cl", "addb %ah, %ah", "subb %dl, %ch", "adcb $-1, %bh", \
        "xorb %al, %ah", "incb %dh", "negb %ch", "notb %ah", "shlb $3, %ah", "rorb $1, %bh", \
        "testb %ah, %bl", "movzbl %ah, %ecx", "movsbl %bh, %edx", "movsbw %cl, %ax", \
        "movzwq %ax, %r10", "movsbq %r12b, %r13", "movslq %ebx, %rax", "setc %ah; setz %dh", \
        "testb $2, %bh", "andb $-3, %bh", "cmpb $5, %bh", "addb $1, %bh; setc %ah", "stc; sbbb $3, %bh", \
        "testb $2, %ch", \
        "cmpxchgb %ch, %bl", "xaddb %ah, %bl", "cbtw", "cwtl", "cltq", "cwtd", "cltd", "cqto"
    /* a 32-bit CMOVcc that does not move, and shifts by 0, clear the upper half all the same */
    code "cmovcl %ecx, %eax", "cmovncl %ecx, %eax", "cmovzw %cx, %ax", "shll $0, %eax", \
        "movb $0, %cl; shll %cl, %ebx", "movb $32, %cl; shrl %cl, %ebx", \
        "movb $64, %cl; sarq %cl, %rbx", "movb $33, %cl; rolw %cl, %ax", \
        "movb $9, %cl; rcrb %cl, %al", "movb $17, %cl; rclw %cl, %bx", "bsfl %edx, %eax", \
        "xorl %edx, %edx; bsfq %rdx, %rax; setz %cl", "bswapl %eax", "bswapq %rax", \
        "btsl $35, %eax", "btrw %cx, %ax", "popcntw %ax, %bx", "andl $-1, %eax", "orl $0, %ecx"
    /* operands that are one and the same */
    code "xaddl %eax, %eax", "xaddq %rcx, %rcx", "cmpxchgl %ebx, %eax", "cmpxchgl %eax, %ebx", \
        "cmpxchgq %rax, %rax", "movq %rax, %rbx; cmpxchgq %rcx, %rbx", "imull %eax, %eax", \
        "sbbl %eax, %eax", "sbbq %rbx, %rbx", "subl %eax, %eax", "xorq %r8, %r8", \
        "addq %rax, %rax", "shldl $7, %eax, %eax", "shrdq %cl, %rbx, %rbx", "xchgq %rax, %rax", \
        "pxor %xmm0, %xmm0"
    /* products and quotients */
    code "mulb %bl", "mulb %ah", "mulw %bx", "mull %ebx", "mulq %rbx", "imulb %bl", "imulw %bx", \
        "imull %r9d", "imulq %r9", "imulw $-3, %bx, %ax", "imull $1000000, %ebx, %eax", \
        "imulq $-5, (%rdi), %rax", "mull (%rdi)", "movw $1000, %ax; movb $7, %bl; divb %bl", \
        "xorl %edx, %edx; movl $7, %ecx; divl %ecx", "cqto; movq $-11, %rcx; idivq %rcx", \
        "cltd; movl $13, %ecx; idivl %ecx", "xorl %edx, %edx; movw $9, %cx; divw %cx", \
        "movl $-1000, %eax; movb $-9, %bl; idivb %bl"
    /* addresses */
    code "movq (%rsp), %rax", "xorl %ecx, %ecx; movl 8(%rsi,%rcx,1), %eax", \
        "leaq (%rax,%rbx,8), %rcx", "leal (%rax,%rbx,8), %ecx", "leaw (%rax,%rbx), %cx", \
        "leaq -1(%eax,%ebx), %rcx", "leal -5(,%rbx,2), %r15d", "leaq memory(%rip), %rax", \
        "movl $2, %ecx; movq -8(%rsi,%rcx,8), %rdx", "movq $-2, %rcx; addq %rax, 16(%rsi,%rcx,8)", \
        "movq %rsi, %r13; movq (%r13), %rax", \
        "movq %rsi, %r12; movq (%r12), %rax; leaq 8(%r12,%r12,1), %rcx", \
        "movq %rdi, %rbp; movl (%rbp), %eax", "btsq $32, %rsi; movl (%esi), %eax", \
        "movl $-16, %ebx; movl memory+16(%ebx), %eax", "movl memory+8, %eax", \
        "movabsl memory, %eax", "movabsb %al, memory + 40", \
        "movl $1, %ebx; movl %cs:memory(,%rbx,4), %eax", "movq memory+16(%rip), %rcx", \
        "movl $5, memory+20(%rip)", "cmpb $9, memory+3(%rip)", \
        "movl $-3, %eax; btsl %eax, (%rdi)", "movl $75, %eax; btcl %eax, (%rdi)", \
        "movq $-100, %rax; btrq %rax, (%rdi)", \
        "movl $3, %ebx; movb $2, %al; leaq memory, %rbx; xlatb", \
        "movl $-3, %eax; btl %eax, (%rdi)", "movw $-20, %bx; btrw %bx, 1(%rdi)", \
        "movq $77, %r13; btq %r13, (%rdi)", "movq $-9, %rcx; btsq %rcx, 8(%rdi)", \
        "movl $-33, %r14d; btsl %r14d, (%rdi)", "orl $1, %eax; movl $9, %ebx; btl %ebx, (%rsi); setg %al", \
        "movl $2, %r10d; movl $70, %r11d; btcl %r11d, memory(%r10d)", \
        "movl $2, %r10d; movl $1, %r11d; movl $40, %eax; btq %rax, memory(%r10,%r11,8)"
    /* memory as source and destination */
    code "addb %ah, (%rdi)", "addw %bx, 2(%rdi)", "adcl %ecx, (%rdi)", "sbbq %rcx, (%rdi)", \
        "andb $0xf0, 1(%rdi)", "orw $0x1234, (%rdi)", "xorl $-1, 4(%rdi)", "cmpq $-1, (%rdi)", \
        "incb (%rdi)", "decw (%rdi)", "negl (%rdi)", "notq (%rdi)", "shlw $5, (%rdi)", \
        "sarl %cl, (%rdi)", "rcrq $3, (%rdi)", "shldw $3, %bx, (%rdi)", "shrdl %cl, %ebx, (%rdi)", \
        "btsw $3, (%rdi)", "lock xaddb %ah, (%rdi)", "lock cmpxchgq %rbx, (%rdi)", \
        "movq (%rdi), %rax; lock cmpxchgq %rbx, (%rdi)", "xchgb %ah, 5(%rdi)", \
        "xchgq %rax, 3(%rdi)", "cmpxchg8b (%rdi)", "cmpxchg16b (%rdi)", \
        "movq (%rdi), %rax; movq 8(%rdi), %rdx; orl $-1, %r10d; lock cmpxchg16b (%rdi)", \
        "movq %rdi, %rbx; stc; cmpxchg16b 16(%rbx); setc %r11b", "shrdq %cl, %rdx, (%rdi)", \
        "stc; shldq %cl, %rbx, %rax", "movl $64, %ecx; stc; shrdq %cl, %rbx, %rcx", \
        "movl (%rdi), %eax; movl 4(%rdi), %edx; lock cmpxchg8b (%rdi)", "sets (%rdi)", \
        "movbel %ecx, (%rdi)", "movbeq (%rdi), %r9", "movnti %rax, (%rdi)", "movsbl (%rdi), %eax", \
        "popcntq (%rdi), %rax", "crc32b (%rdi), %eax", "crc32q %rbx, %rax", \
        "addl (%rdi), %eax; adcl 4(%rdi), %edx", "movsq; movsb", "stosl; lodsw", "cmpsb", \
        "std; scasq"
    /* the stack */
    code "pushfq; popq %rax", "stc; pushfq; popq %r10", "std; pushfq; popq %rbx; cld", \
        "movb $0x7f, %al; addb %al, %al; pushfq; incl %ebx; popq %rcx", \
        "pushq %rax; cmpl %ebx, %eax; pushfq; popq %rcx; popq %rdx", \
        "movw %cs, %ax", "movl %ss, %ebx", "movq %ds, %r10", "movw %es, (%rdi)", \
        "movw %gs, memory+8(%rip)", "movq %cr0, %rax; movq %cr4, %r10; movq %cr3, %rbx"
    code "pushq %rax; popq %rbx", "pushw %ax; popw %bx", "pushq $-128; popq %rax", \
        "pushq $0x12345678; popq %rcx", "pushw $-2; popw %cx", "pushq %rsp; popq %rax", \
        "pushq (%rsp); popq (%rdi)", "pushq %rax; pushq %rdi; popq (%rsp); popq %rcx", \
        "pushq %rsp; popq %rsp", "enter $32, $0; movq %rax, -8(%rbp); leave", \
        "enter $16, $1; leave", "pushfq; popq %rax", "pushq %rax; lahf; sahf; popq %rdx", \
        "pushq $0x8d5; popfq", "pushq $0x402; popfq", "call 8f; 8: popq %rax", \
        "leaq 8f(%rip), %rax; pushq %rax; ret $0; 8: incl %ecx", \
        "pushq $0; leaq 8f(%rip), %rax; pushq %rax; ret $8; 8: decl %ecx", \
        "subq $8, %rsp; addq $8, %rsp", \
        "movq %rsp, %rax; andq $-64, %rsp; pushq %rbx; movq %rax, %rsp", \
        "pushq %fs; popq %gs; pushq %gs; popq %rax"
    /* branches */
    code "movl $5, %ecx; 8: incl %eax; loop 8b", \
        "movl $5, %ecx; cmpl %ecx, %ecx; 8: decl %ebx; loope 8b", \
        "movl $5, %ecx; 8: cmpl $2, %ecx; loopne 8b", "xorl %ecx, %ecx; jrcxz 8f; incl %eax; 8:", \
        "shrq $32, %rcx; shlq $32, %rcx; btsq $32, %rcx; jecxz 8f; incl %eax; 8:", \
        "movl $3, %ecx; btsq $40, %rcx; 8: incl %eax; addr32 loop 8b", \
        "jmp 8f; ud2; 8: jc 9f; incl %eax; 9:", \
        "leaq 8f(%rip), %rbx; jmp *%rbx; ud2; 8: incl %eax", \
        "cmpq %rbx, %rax; jl 8f; negq %rax; 8: decq %rax", \
        "testq %rax, %rax; js 8f; jp 9f; 8: incl %ebx; 9: adcl $0, %ebx"
    /* flags */
    code "stc; incl %eax; adcl $0, %ebx", "clc; cmc; rcll $1, %eax", "std; cld; sahf; lahf", \
        "cmpl %ebx, %eax; setl %al; setg %bl; setp %cl", \
        "addq %rbx, %rax; seto %cl; pushfq; popq %rdx", \
        "subl %ebx, %eax; decl %ecx; sbbl $0, %edx", \
        "andl %ebx, %eax; jnz 8f; stc; 8: sbbl %edx, %edx", \
        "shrl $1, %eax; rcrl $1, %ebx; rcrl $1, %ecx", "negl %eax; sbbl %ebx, %ebx; negl %ebx"
pieces_end:

    .p2align 3
inputs: /* RAX RBX RCX RDX RBP R8 to R15, one to fill up */
    .quad 0x0123456789abcdef, 0xfedcba9876543210, 0x00000000ffffffff, 0x8000000000000000
    .quad 0x1111222233334444, 0x5555666677778888, 0x99990000aaaabbbb, 0xccccddddeeeeffff
    .quad 0x7fffffffffffffff, 0xffffffff00000000, 0x00ff00ff00ff00ff, 0x0f0f0f0f0f0f0f0f, 1, 0
    .quad -1, 1, 0, 0, 0x80, 0x7f, 0xff, 0x8000, 0x7fff, 0xffff, 0x80000000, 0x7fffffff, 2, 0
    .quad 0x80, 0x8000000080008080, 0x1f, 3, 0, 1, 2, 4, 8, 16, 32, 64, 128, 0
inputs_end:
template:
    .set n, 1
    .rept MEMORY
    .quad 0x0102030405060708 * n ^ 0x80f0ff000000007f
    .set n, n + 1
    .endr
piece: .quad 0
input: .quad 0
rounds: .long 0
    .p2align 6
memory: .skip 8 * MEMORY
result: .skip 8 * (17 + MEMORY)
wanted: .skip 8 * (17 + MEMORY)
