/* The guest: a program in 64-bit mode that believes to have a processor of its own. It does one
 * thing after the other that makes its hypervisor appear, and counts in EBX what came out as
 * expected. It cannot see that it is being watched; it can only ask. */

#define LATCH 0x80                      /* an I/O port; the hypervisor keeps a latch behind it */
#define IA32_TIME_STAMP_COUNTER 0x10
#define HYPERCALL_SAY 1                 /* RSI: text, ended by a zero */
#define HYPERCALL_END 2                 /* EBX: how many of the guest's checks came out well */

        .section .guest, "awx"
        .globl  guest_entry
guest_entry:
        /* CPUID. Leaf 40000000H does not exist in processors: hypervisors put their name there. */
        movl    $0x40000000, %eax
        cpuid
        movl    %ebx, name(%rip)
        movl    %ecx, name + 4(%rip)
        movl    %edx, name + 8(%rip)
        cmpl    $0x6c6c6548, %ebx       /* "Hell", of "Hello, VMX!!" */
        sete    %bl
        movzbl  %bl, %ebx

        /* I/O. What went out shall come back. */
        movb    $0x5a, %al
        outb    %al, $LATCH
        xorl    %eax, %eax
        inb     $LATCH, %al
        cmpb    $0x5a, %al
        sete    %al
        movzbl  %al, %eax
        addl    %eax, %ebx

        /* MSRs. The time-stamp counter that we set is not the processor's. */
        movl    $IA32_TIME_STAMP_COUNTER, %ecx
        movl    $0x1000, %eax
        xorl    %edx, %edx
        wrmsr
        rdmsr
        cmpl    $0x1000, %eax
        sete    %al
        movzbl  %al, %eax
        addl    %eax, %ebx

        /* HLT, with interrupts off: on a processor of our own this would be the end. */
        hlt
        incl    %ebx

        /* Memory. Our page tables map this page, the hypervisor's tables do not (yet). */
        movl    $0x600df00d, guest_hole + 0x123
        cmpl    $0x600df00d, guest_hole + 0x123
        sete    %al
        movzbl  %al, %eax
        addl    %eax, %ebx

        /* VMCALL. Now we talk to the hypervisor on purpose. */
        movl    $HYPERCALL_SAY, %eax
        leaq    text(%rip), %rsi
        vmcall
        movl    $HYPERCALL_END, %eax
        vmcall
        ud2                             /* it should not have come back */

text:   .ascii  "I am a guest, and CPUID told me who runs me: "
name:   .fill   12, 1, 0
        .byte   0

        .section .guest_bss, "aw", @nobits
        .balign 4096
        .globl  guest_pml4, guest_pdpt, guest_pd, guest_hole
guest_pml4:
        .skip   4096
guest_pdpt:
        .skip   4096
guest_pd:
        .skip   4096
guest_hole:
        .skip   4096

        .section .note.GNU-stack, "", @progbits
