/* The kernel of test_native.c's guest. It runs at NG_KERNEL and begins each round of the stream with
 * fresh registers and mappings; where the stream faults it repairs the page, or skips the instruction.
 * A table of entry points comes first; native_guest.c reads it. */
#include "tests/fuzz/native_guest.h"

#define FRAME_VECTOR 32 /* above four registers */
#define FRAME_RIP    48
#define FRAME_RFLAGS 64

    .section .rodata
    .globl native_guest, native_guest_end
    .p2align 4
native_guest:
    .long init - native_guest, stubs - native_guest, timer - native_guest, round - native_guest
    .long to_kernel - native_guest, to_user - native_guest, to_compatibility - native_guest
    .long system_call - native_guest

init:
    movl $NG_APIC, %ebx
    movl $0x1ff, 0xf0(%rbx)
    movl $0xb, 0x3e0(%rbx)
    movl $(0x20000 | NG_TIMER_VECTOR), 0x320(%rbx)
    movl NG_PERIOD, %eax
    movl %eax, 0x380(%rbx)

round: /* all registers and flags that it has left count */
    pushfq
    addq %rax, NG_SUM
    movq NG_SUM, %rax
    .irp n, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    rolq $7, %rax
    addq %\n, %rax
    .endr
    .irp at, 0, 8, 16, 24, 32
    rolq $7, %rax
    xorq \at(%rsp), %rax
    .endr
    movl $NG_STACK, %esp
    cld
    clts
    fxsave NG_FX_LEFT
    movl $NG_FX_LEFT, %esi
    movl $52, %ecx
4:  rolq $7, %rax
    addq (%rsi), %rax
    addq $8, %rsi
    decl %ecx
    jnz 4b
    movq %rax, NG_SUM
    movl $0x400, %eax
    movq %rax, %dr7
    movl $NG_USER_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    decl NG_ROUNDS
    jz finish
    movl $0, NG_FAULTS
    movl $0, NG_TICKS
    movl $NG_FUEL_A_ROUND, NG_USER_PA + NG_FUEL
    incl NG_USER_PA + NG_ROUND
    movl NG_USER_PA + NG_ROUND, %eax
    testl %eax, NG_RESTORE
    jnz 1f
    movl $NG_PRISTINE, %esi
    movl $NG_CODE_PA, %edi
    movl $(NG_CODE_BYTES / 8), %ecx
    rep movsq
1:  movl $NG_TEMPLATE, %esi
    movl $NG_COPIES, %edx
2:  movq (%rdx), %rdi
    movq 8(%rdx), %rcx
    rep movsq
    addl $16, %edx
    cmpl $(NG_COPIES + 64), %edx
    jne 2b
    fxrstor NG_FX
    movq NG_CR4, %rax
    movq %rax, %cr4
    movq NG_NEXT, %rsp
    addq $(8 * NG_RECORD_WORDS), NG_NEXT
    popq %rax
    movq %rax, %cr3
    popq %rbx
    popq %rax
    wrfsbase %rax
    popq %rax
    wrgsbase %rax
    movq %rbx, %cr0
    .irp n, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    popq %\n
    .endr
    iretq

finish:
    xorl %eax, %eax
    outl %eax, $NG_EXIT_PORT
3:  hlt
    jmp 3b

/* ---- exceptions, on a stack of their own ---- */

    .macro stub n
    .p2align 4
    .if \n == 8 || (\n >= 10 && \n <= 14) || \n == 17
    .else
    pushq $0
    .endif
    pushq $\n
    jmp common
    .endm
    .p2align 4
stubs:
    .set n, 0
    .rept 32
    stub n
    .set n, n + 1
    .endr

common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    cld
    movq NG_SUM, %rax
    .irp at, 32, 40, 48, 56, 64, 72, 80
    rolq $7, %rax
    xorq \at(%rsp), %rax
    .endr
    movq %cr2, %rcx
    rolq $7, %rax
    addq %rcx, %rax
    .irp n, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    rolq $7, %rax
    addq %\n, %rax
    .endr
    .irp at, 8, 16, 24
    rolq $7, %rax
    addq \at(%rsp), %rax
    .endr
    movq %rax, NG_SUM
    incl NG_FAULTS
    cmpl $NG_FAULTS_A_ROUND, NG_FAULTS
    ja round
    movl FRAME_VECTOR(%rsp), %edx
    cmpl $14, %edx
    je page_fault
    cmpl $1, %edx
    je debug
    cmpl $7, %edx
    je not_available

/* go on behind the instruction; a stream that has left its code is given up */
skip:
    movq FRAME_RIP(%rsp), %rax
    subq NG_CODE_AT, %rax
    cmpq $NG_CODE_BYTES, %rax
    jae round
    movzbl NG_RESUME(%rax), %ecx
    testl %ecx, %ecx
    jz round
    addq %rcx, FRAME_RIP(%rsp)
back:
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

/* each fourth fault: if it is one of data, give the page all rights */
page_fault:
    testl $3, NG_FAULTS
    jnz skip
    movq %cr2, %rax
    movq %rax, %rbx
    subq $NG_DATA, %rax
    cmpq $(NG_DATA_PAGES << 12), %rax
    jae skip
    shrq $12, %rax
    movq %cr3, %rcx
    xorq NG_CONTEXT_B, %rcx
    shrq $12, %rcx
    xorl %edx, %edx
    testl %ecx, %ecx
    sete %dl
    movq NG_DATA_PT(, %rdx, 8), %rcx
    orl $7, (%rcx, %rax, 8)
    invlpg (%rbx)
    jmp back

/* single steps end after a while; a breakpoint on an instruction is passed once */
debug:
    movq %dr6, %rax
    xorq %rax, NG_SUM
    movl $0xffff0ff0, %eax
    movq %rax, %dr6
    btsl $16, FRAME_RFLAGS(%rsp)
    incl NG_STEPS
    testl $7, NG_STEPS
    jnz back
    btrl $8, FRAME_RFLAGS(%rsp)
    jmp back

not_available:
    clts
    testl $3, NG_FAULTS
    jz skip
    jmp back

/* ---- interrupts ---- */

timer:
    pushq %rax
    movq NG_SUM, %rax
    rolq $7, %rax
    xorq 8(%rsp), %rax
    rolq $7, %rax
    xorq 24(%rsp), %rax
    movq %rax, NG_SUM
    movl $NG_APIC, %eax
    movl $0, 0xb0(%rax)
    incl NG_TICKS
    cmpl $NG_TICKS_A_ROUND, NG_TICKS
    ja round
    popq %rax
    iretq

to_kernel:
    movq $NG_KERNEL_CODE, 8(%rsp)
    movq $NG_KERNEL_DATA, 32(%rsp)
    iretq
to_user:
    movq $NG_USER_CODE, 8(%rsp)
    movq $NG_USER_DATA, 32(%rsp)
    iretq
to_compatibility:
    movq $NG_USER_CODE32, 8(%rsp)
    movq $NG_USER_DATA, 32(%rsp)
    iretq

system_call:
    sysretq
native_guest_end:
    .section .note.GNU-stack, "", @progbits
