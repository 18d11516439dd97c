/* From the boot loader to C: a multiboot header, 64-bit mode, tables, exceptions.
 *
 * A multiboot loader leaves us in 32-bit protected mode, paging off, interrupts off, at `start`.
 * VMX needs paging, and a hypervisor of today is 64-bit code: so first of all, 64-bit mode.
 * [Multiboot Specification 0.6.96 "Machine state"],
 * [SDM 3A "Initializing IA-32e Mode"] */

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS (1 << 16) /* the header says where to load and where to start */

        .section .header, "a"
        .balign 4
header:
        .long   MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
        .long   header, image_start, image_end, bss_end, start

        .text
        .code32
        .globl  start
start:
        cld
        movl    $stack_top, %esp
        movl    $0x80000001, %eax       /* is there a 64-bit mode? */
        cpuid
        testl   $1 << 29, %edx
        jz      no_64_bit_mode

        /* Page tables: the first GiB, linear = physical, as 512 pages of 2 MiB. */
        movl    $host_pdpt + 3, host_pml4       /* 3: present, writable */
        movl    $host_pd + 3, host_pdpt
        movl    $0x83, %eax                     /* 80H: this entry maps a page of 2 MiB */
        movl    $host_pd, %edi
1:      movl    %eax, (%edi)
        addl    $8, %edi
        addl    $0x200000, %eax
        cmpl    $host_pd + 4096, %edi
        jb      1b

        movl    $1 << 5, %eax           /* CR4.PAE */
        movl    %eax, %cr4
        movl    $host_pml4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       /* IA32_EFER.LME */
        rdmsr
        orl     $1 << 8, %eax
        wrmsr
        movl    %cr0, %eax              /* CR0.PG, with which LME becomes LMA; CR0.WP, CR0.NE */
        orl     $1 << 31 | 1 << 16 | 1 << 5, %eax
        movl    %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $0x08, $start_64        /* a code segment with L = 1: 64-bit mode */

no_64_bit_mode:
        movl    $no_64_text, %esi
        movw    $0x3f8, %dx             /* COM1 */
1:      lodsb
        outb    %al, %dx
        cmpl    $no_64_end, %esi
        jb      1b
2:      hlt
        jmp     2b

        .code64
start_64:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $stack_top, %esp
        call    hello_main              /* does not return */
        ud2

/* One entry of 16 bytes for each exception: vector and error code on the stack, as in
 * struct exception. [SDM 3A "Exception and Interrupt Reference"] */
        .globl  exception_entries
        .balign 16
exception_entries:
        .set    vector, 0
        .rept   32
        .balign 16
        .if     (0x60227d00 >> vector) & 1      /* 8, 10 to 14, 17, 21, 29, 30 bring a code */
        .else
        pushq   $0
        .endif
        pushq   $vector
        jmp     exception_common
        .set    vector, vector + 1
        .endr
exception_common:
        movq    %rsp, %rdi
        andq    $-16, %rsp
        call    exception_report        /* does not return */

/* The compiler may turn a loop into a call of this. */
        .globl  memset
memset:
        movq    %rdi, %r8
        movl    %esi, %eax
        movq    %rdx, %rcx
        rep stosb
        movq    %r8, %rax
        ret

        .data
/* Segments: base and limit mean nothing in 64-bit mode, the rights do. tables.c fills in the TSS. */
        .globl  gdt
        .balign 16
gdt:    .quad   0
        .quad   0x00af9b000000ffff      /* 08H: code, 64-bit */
        .quad   0x00cf93000000ffff      /* 10H: data */
        .quad   0, 0                    /* 18H: TSS */
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .quad   gdt
no_64_text:
        .ascii  "hello_vmx: this processor has no 64-bit mode\r\n"
no_64_end:

        .bss
        .balign 4096
host_pml4:
        .skip   4096
host_pdpt:
        .skip   4096
host_pd:
        .skip   4096
        .skip   16384
stack_top:

        .section .note.GNU-stack, "", @progbits
