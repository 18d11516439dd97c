/* Into the guest and back: the few instructions that C cannot say.
 *
 * VM entry and VM exit load RIP, RSP, RFLAGS, segments and control registers from the VMCS. The
 * other registers stay as they are: each side must save its own. [SDM 3C "VM Exits"] */

#define HOST_RSP 0x6c14 /* encodings of VMCS fields, as in vmx.h */
#define HOST_RIP 0x6c16

/* int vm_enter(struct guest_registers *r, bool launched)
 * VMLAUNCH, or VMRESUME once the VMCS is launched. Returns 0 after a VM exit, 1 for VMfailInvalid
 * (CF = 1), 2 for VMfailValid (ZF = 1). */
        .text
        .globl  vm_enter
vm_enter:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rdi                    /* r: a VM exit finds it on top of the stack */

        movl    $HOST_RSP, %eax         /* where a VM exit shall bring us */
        vmwrite %rsp, %rax
        movl    $HOST_RIP, %eax
        leaq    vm_exit(%rip), %rdx
        vmwrite %rdx, %rax

        testl   %esi, %esi              /* the flags survive the loads below */
        movq    0x00(%rdi), %rax
        movq    0x08(%rdi), %rcx
        movq    0x10(%rdi), %rdx
        movq    0x18(%rdi), %rbx
        movq    0x20(%rdi), %rbp
        movq    0x28(%rdi), %rsi
        movq    0x38(%rdi), %r8
        movq    0x40(%rdi), %r9
        movq    0x48(%rdi), %r10
        movq    0x50(%rdi), %r11
        movq    0x58(%rdi), %r12
        movq    0x60(%rdi), %r13
        movq    0x68(%rdi), %r14
        movq    0x70(%rdi), %r15
        movq    0x30(%rdi), %rdi
        jnz     1f
        vmlaunch                        /* if all is well, the next instruction is the guest's */
        jmp     2f
1:      vmresume
2:      movl    $1, %eax                /* still here: VMfail; MOV leaves the flags alone */
        jc      3f
        movl    $2, %eax
3:      addq    $8, %rsp                /* r */
        jmp     4f

vm_exit:                                /* HOST_RIP: every VM exit arrives here, with HOST_RSP */
        xchgq   %rdi, (%rsp)            /* r; the guest's RDI takes its place */
        movq    %rax, 0x00(%rdi)
        movq    %rcx, 0x08(%rdi)
        movq    %rdx, 0x10(%rdi)
        movq    %rbx, 0x18(%rdi)
        movq    %rbp, 0x20(%rdi)
        movq    %rsi, 0x28(%rdi)
        popq    0x30(%rdi)
        movq    %r8, 0x38(%rdi)
        movq    %r9, 0x40(%rdi)
        movq    %r10, 0x48(%rdi)
        movq    %r11, 0x50(%rdi)
        movq    %r12, 0x58(%rdi)
        movq    %r13, 0x60(%rdi)
        movq    %r14, 0x68(%rdi)
        movq    %r15, 0x70(%rdi)
        xorl    %eax, %eax
4:      popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

        .section .note.GNU-stack, "", @progbits
