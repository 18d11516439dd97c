/* Cross-modifying code: one processor changes code that the other runs in a loop; after a handshake
 * and a serializing instruction the new code runs. [SDM 3A "Handling Self- and Cross-Modifying
 * Code"] */
#include "guest.inc"
#define ROUNDS 60
#define INNER  400
#define CODE_PAGE (REGION + 0x3000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $0xc301c083, CODE_PAGE         /* add $1, %eax; ret */
    movl $APIC, %edi
    movl $0x1ff, APIC_SVR - APIC(%rdi)
    movl $0x000c4500, APIC_ICR - APIC(%rdi) /* INIT to all but self */
    movl $ap_vector, %eax
    movl %eax, APIC_ICR - APIC(%rdi)
1:  pause
    cmpl $1, ap_ready
    jne 1b

    /* by request: stores, then says so; the other answers with what the new code has done */
    movl $1, %ebx
2:  movb %bl, CODE_PAGE + 2
    movl %ebx, go
3:  pause
    cmpl %ebx, done
    jne 3b
    movl %ebx, %edx
    imull $INNER, %edx
    cmpl %edx, sum
    EXPECT(e)
    movl $INNER, %ecx                   /* and here, where it has been hot too */
    xorl %eax, %eax
    movl $CODE_PAGE, %edx
4:  call *%rdx
    decl %ecx
    jnz 4b
    cmpl sum, %eax
    EXPECT(e)
    incl %ebx
    cmpl $ROUNDS, %ebx
    jne 2b

    /* without a request: the other is in a loop that only the store ends. A byte of an instruction
     * at a time, so that it runs either the old one or the new one. */
    movl $-1, go
    movl $20, %ebx
5:  movl running, %eax
6:  pause
    movl running, %edx
    subl %eax, %edx
    cmpl $1000, %edx                    /* the loop is hot */
    jb 6b
    movb $0x74, spin_branch             /* JZ, not taken */
    movl ended, %eax
7:  cmpl %ebx, ended
    jne 7b
    movb $0x75, spin_branch
    SERIALIZE()
    decl %ebx
    movl %ebx, again
    jnz 5b
    EXPECT_EQ(1, ended)
    PASS()

/* the other processor */
ap_main:
    .code64
    movl $ap_stack, %esp
    movl $1, %ebx
    movl $1, ap_ready
1:  movl go, %ecx
    cmpl $-1, %ecx
    je 3f
    cmpl %ebx, %ecx
    jne 1b
    SERIALIZE()
    xorl %eax, %eax
    movl $INNER, %ecx
    movl $CODE_PAGE, %edx
2:  call *%rdx
    decl %ecx
    jnz 2b
    movl %eax, sum
    movl %ebx, done
    incl %ebx
    jmp 1b
3:  movl $20, %ebx
4:  lock incl running
    testl %esp, %esp                    /* never 0 */
spin_branch:
    jnz 4b
    movl %ebx, ended
    decl %ebx
5:  cmpl %ebx, again
    jne 5b
    SERIALIZE()
    testl %ebx, %ebx
    jnz 4b
    cli
    hlt

    .code32
ap32:
    movw $DATA32, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr4, %eax
    orl $0x620, %eax
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax
    movl %eax, %cr0
    lidt idt_pointer64
    ljmp $CODE64, $ap_main
    .data
    .p2align 2
ap_ready: .long 0
go:       .long 0
done:     .long 0
sum:      .long 0
running:  .long 0
ended:    .long 0
again:    .long 20
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
