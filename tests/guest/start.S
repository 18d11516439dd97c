/* What every guest program starts with: multiboot header, GDT, IDT, TSS, the handler of all
 * exceptions and interrupts, and the ways into paging and 64-bit mode. */
#include "guest.inc"

    .section .multiboot, "a"
    .long 0x1badb002, 0, -0x1badb002

    .text
    .code32
    .globl start
start:
    movl $stack_top, %esp
    movl $tss, %eax
    movw %ax, gdt + TSS_SEL + 2
    shrl $16, %eax
    movb %al, gdt + TSS_SEL + 4
    movb %ah, gdt + TSS_SEL + 7
    lgdt gdt_pointer
    ljmp $CODE32, $1f
1:  movw $DATA32, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %ax, %fs
    movw %ax, %gs
    movl $stubs32, %esi
    movl $idt, %edi
    movl $256, %ecx
2:  movw %si, (%edi)
    movw $CODE32, 2(%edi)
    movw $0x8e00, 4(%edi)
    movl %esi, %eax
    shrl $16, %eax
    movw %ax, 6(%edi)
    addl $16, %esi
    addl $8, %edi
    loop 2b
    lidt idt_pointer
    movl $ring0_stack_top, tss + 4
    movl $DATA32, tss + 8
    movw $TSS_SEL, %ax
    ltr %ax
    call test
    .globl pass
pass:
    PASS()

/* ---- the handler, 32-bit ---- */

    .macro stub32 n
    .p2align 4
    .if \n == 8 || (\n >= 10 && \n <= 14) || \n == 17
    .else
    pushl $0
    .endif
    pushl $\n
    jmp common32
    .endm
    .p2align 4
stubs32:
    .set n, 0
    .rept 256
    stub32 n
    .set n, n + 1
    .endr

common32:
    pushal
    pushl %ds
    movl %esp, %ebp
    movw $DATA32, %ax
    movw %ax, %ds
    movl 36(%ebp), %eax
    movl %eax, last_vector
    movl 40(%ebp), %ecx
    movl %ecx, last_error
    movl FRAME_EIP(%ebp), %edx
    movl %edx, last_eip
    movl FRAME_CS(%ebp), %ecx
    movl %ecx, last_cs
    movl FRAME_FLAGS(%ebp), %ecx
    movl %ecx, last_flags
    movl %cr2, %ecx
    movl %ecx, last_cr2
    incl fault_count
    movl hook, %ecx
    testl %ecx, %ecx
    jz 1f
    call *%ecx
    jmp 2f
1:  movl resume, %ecx
    testl %ecx, %ecx
    jz unexpected
    movl %ecx, FRAME_EIP(%ebp)
2:  popl %ds
    popal
    addl $8, %esp
    iretl

/* X, the vector, error code, address */
unexpected:
    movw $SERIAL, %dx
    movb $0x58, %al
    outb %al, %dx
    movl $12, %ecx
    movl $last_vector, %esi
    rep outsb (%esi), (%dx)
    movl $1, %eax
    outl %eax, $EXIT_PORT
3:  hlt
    jmp 3b

/* ---- paging, 32-bit ---- */

    .globl enter_paging
enter_paging:
    movl $page_directory, %edi
    movl $0x83, %eax
    movl $1024, %ecx
1:  movl %eax, (%edi)
    addl $4, %edi
    addl $0x400000, %eax
    loop 1b
    movl $test_pt + 7, page_directory + 4
    movl $test_pt, %edi
    movl $REGION + 7, %eax
    movl $1024, %ecx
2:  movl %eax, (%edi)
    addl $4, %edi
    addl $0x1000, %eax
    loop 2b
    movl %cr4, %eax
    orl $0x10, %eax
    movl %eax, %cr4
    movl $page_directory, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80010000, %eax
    movl %eax, %cr0
    ret

/* ---- 64-bit mode ---- */

    .globl enter_long
enter_long:
    movl $pml4, %edi
    movl $pdpt + 7, (%edi)
    movl $pdpt, %edi
    movl $page_directory + 7, %eax
    movl $4, %ecx
1:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $8, %edi
    addl $0x1000, %eax
    loop 1b
    movl $page_directory, %edi
    movl $0x83, %eax
    movl $2048, %ecx
2:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 2b
    movl $test_pt + 7, page_directory + 16
    movl $test_pt, %edi
    movl $REGION + 7, %eax
    movl $512, %ecx
3:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $8, %edi
    addl $0x1000, %eax
    loop 3b
    movl $stubs64, %eax
    movl $idt, %edi
    movl $256, %ecx
4:  movl %eax, (%edi)
    movw $CODE64, 2(%edi)
    movl %eax, 4(%edi)
    movw $0x8e00, 4(%edi)
    movl $0, 8(%edi)
    movl $0, 12(%edi)
    addl $16, %edi
    addl $16, %eax
    loop 4b
    movl %cr4, %eax
    orl $0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x901, %eax            /* SCE, LME, NXE */
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax
    movl %eax, %cr0
    ljmp $CODE64, $5f
    .code64
5:  movl $ring0_stack_top, tss + 4
    movl $0, tss + 8
    movl $ist_stack_top, tss + 0x24
    movl $0, tss + 0x28
    movl $0, gdt + TSS_SEL + 8
    movl $0, gdt + TSS_SEL + 12
    movb $0x89, gdt + TSS_SEL + 5
    movw $TSS_SEL, %ax
    ltr %ax
    lidt idt_pointer64
    movl %esp, %esp
    jmp *%rsi

/* ---- the handler, 64-bit ---- */

    .macro stub64 n
    .p2align 4
    .if \n == 8 || (\n >= 10 && \n <= 14) || \n == 17
    .else
    pushq $0
    .endif
    pushq $\n
    jmp common64
    .endm
    .p2align 4
stubs64:
    .set n, 0
    .rept 256
    stub64 n
    .set n, n + 1
    .endr

common64:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbp
    movq %rsp, %rbp             /* vector at 32, error 40, RIP 48, CS 56, RFLAGS 64, RSP 72 */
    movl 32(%rbp), %eax
    movl %eax, last_vector
    movl 40(%rbp), %eax
    movl %eax, last_error
    movl 48(%rbp), %eax
    movl %eax, last_eip
    movl 56(%rbp), %eax
    movl %eax, last_cs
    movl 64(%rbp), %eax
    movl %eax, last_flags
    movq %cr2, %rax
    movl %eax, last_cr2
    movq %rax, fault_cr2
    call save_fault
    incl fault_count
    movl hook, %ecx
    testl %ecx, %ecx
    jz 1f
    call *%rcx
    jmp 2f
1:  movl resume, %ecx
    testl %ecx, %ecx
    jz unexpected64
    movq %rcx, 48(%rbp)
2:  popq %rbp
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

/* what 64-bit programs compare: all registers as the exception found them */
save_fault:
    .irp n, rax, rcx, rdx, rbp, rip, rflags, rsp
    movq frame_\n(%rbp), %rax
    movq %rax, fault_\n
    .endr
    .irp n, rbx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    movq %\n, fault_\n
    .endr
    ret
    .set frame_rax, 24
    .set frame_rcx, 16
    .set frame_rdx, 8
    .set frame_rbp, 0
    .set frame_rip, 48
    .set frame_rflags, 64
    .set frame_rsp, 72

    .globl unexpected64
unexpected64:
    movw $SERIAL, %dx
    movb $0x58, %al
    outb %al, %dx
    movl $12, %ecx
    movl $last_vector, %esi
    rep outsb (%rsi), (%dx)
    movl $1, %eax
    outl %eax, $EXIT_PORT
3:  hlt
    jmp 3b

/* ---- data ---- */

    .data
    .p2align 4
    .globl gdt, gdt_pointer, idt, idt_pointer, idt_pointer64, tss
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    /* 08 code, 32 bits */
    .quad 0x00cf93000000ffff    /* 10 data */
    .quad 0x00af9b000000ffff    /* 18 code, 64 bits */
    .quad 0x00009b000000ffff    /* 20 code, 16 bits */
    .quad 0x000093000000ffff    /* 28 data, 16 bits */
    .quad 0x00cffb000000ffff    /* 30 user code, 32 bits */
    .quad 0x00cff3000000ffff    /* 38 user data */
    .quad 0x00affb000000ffff    /* 40 user code, 64 bits */
    .quad 0x0000890000000067    /* 48 TSS */
    .quad 0, 0, 0, 0, 0, 0      /* 50 to 78 */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
    .word 0
idt_pointer:
    .word 256 * 8 - 1
    .long idt
    .word 0
idt_pointer64:
    .word 256 * 16 - 1
    .quad idt

    /* last_vector, last_error, last_eip in this order: `unexpected` prints them */
    .globl last_vector, last_error, last_eip, last_cs, last_flags, last_cr2, resume, hook
    .globl fault_count
    .p2align 2
last_vector:  .long -1
last_error:   .long 0
last_eip:     .long 0
last_cs:      .long 0
last_flags:   .long 0
last_cr2:     .long 0
resume:       .long 0
hook:         .long 0
fault_count:  .long 0
    .p2align 3
    .irp n, cr2, rip, rflags, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi
    .globl fault_\n
fault_\n: .quad 0
    .endr
    .irp n, r8, r9, r10, r11, r12, r13, r14, r15
    .globl fault_\n
fault_\n: .quad 0
    .endr

    .bss
    .p2align 12
    .globl test_pt, page_directory, pml4, ring0_stack_top, ist_stack_top, stack_top
pml4:           .skip 0x1000
pdpt:           .skip 0x1000
page_directory: .skip 0x4000
test_pt:        .skip 0x1000
idt:            .skip 0x1000
tss:            .skip 0x100
    .skip 0x1f00
ring0_stack_top:
    .skip 0x2000
ist_stack_top:
    .skip 0x4000
stack_top:
