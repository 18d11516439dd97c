/* Two processors, 64-bit mode, hot loops: locked instructions on shared counters, a spin lock, and
 * a page whose entry one changes while the other runs code from it; an IPI asks the other for the
 * INVLPG. [SDM 3A "Locked Atomic Operations"], [SDM 3A "Propagation of Paging and Paging-Structure
 * Entry Changes to Multiple Processors"] */
#include "guest.inc"
#define ROUNDS 4000
#define SHOTS 20
#define PAGE    (REGION + 0x3000)
#define FRAME_1 (REGION + 0x20000)
#define FRAME_2 (REGION + 0x21000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $0x00c301b0, FRAME_1           /* mov $1, %al; ret */
    movl $0x00c302b0, FRAME_2
    MAP(PAGE, FRAME_1 + 7)
    movl $APIC, %edi
    movl $0x1ff, APIC_SVR - APIC(%rdi)
    movl $0x000c4500, APIC_ICR - APIC(%rdi) /* INIT to all but self */
    movl $ap_vector, %eax
    movl %eax, APIC_ICR - APIC(%rdi)
    call count
1:  pause
    cmpl $2, finished
    jne 1b
    EXPECT_EQ(2 * ROUNDS, added)
    EXPECT_EQ(2 * ROUNDS, exchanged)
    EXPECT_EQ(2 * ROUNDS, compared)
    EXPECT_EQQ(2 * ROUNDS, compared_16)
    EXPECT_EQ(2 * ROUNDS, guarded)
    EXPECT_EQ(0, toggled)

    /* the other runs PAGE in a loop; change it, ask, and see what it gets from then on */
    movl $APIC, %edi
    movl $SHOTS, %r12d
2:  call run_for_long
    cmpl $1, seen
    EXPECT(e)
    movq $FRAME_2 + 7, PTE_OF(PAGE)
    call shoot
    call run_for_long
    cmpl $2, seen
    EXPECT(e)
    movq $FRAME_1 + 7, PTE_OF(PAGE)
    call shoot
    decl %r12d
    jnz 2b
    PASS()

run_for_long: /* of the other, that is */
    movl runs, %eax
3:  pause
    movl runs, %ecx
    subl %eax, %ecx
    cmpl $300, %ecx
    jb 3b
    ret
shoot:
    movl shots, %eax
    movl $0, APIC_ICR_HIGH - APIC(%rdi)
    movl $(0xc4000 | IRQ_VECTOR), APIC_ICR - APIC(%rdi)
4:  pause
    cmpl %eax, shots
    je 4b
    ret

/* both: each way to count */
count:
    movl $ROUNDS, %r15d
1:  lock incl added
    movl $1, %eax
    lock xaddl %eax, exchanged
    movl compared, %eax
2:  leal 1(%rax), %ecx
    lock cmpxchgl %ecx, compared
    jne 2b
    movq compared_16, %rax
    movq compared_16 + 8, %rdx
3:  leaq 1(%rax), %rbx
    leaq -1(%rdx), %rcx
    lock cmpxchg16b compared_16
    jne 3b
    lock btcl $5, toggled
    movl $1, %eax                       /* a spin lock around a plain counter */
4:  xchgl %eax, spin
    testl %eax, %eax
    jz 5f
    pause
    jmp 4b
5:  movl guarded, %edx
    incl %edx
    movl %edx, guarded
    movl $0, spin
    decl %r15d
    jnz 1b
    lock incl finished
    ret

/* the other processor */
    .code64
ap_main:
    movl $ap_stack, %esp
    movl $APIC, %edi
    movl $0x1ff, APIC_SVR - APIC(%rdi)
    call count
    movl $flush, hook
    movl $PAGE, %edx
    sti
1:  xorl %eax, %eax
    call *%rdx
    movl %eax, seen
    lock incl runs
    jmp 1b
flush:
    EXPECT_VECTOR(IRQ_VECTOR)
    invlpg PAGE
    incl shots
    movl $APIC, %ecx
    movl $0, APIC_EOI - APIC(%rcx)
    ret

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
    .p2align 4
compared_16: .quad 0, 0
added:     .long 0
exchanged: .long 0
compared:  .long 0
guarded:   .long 0
toggled:   .long 0
spin:      .long 0
finished:  .long 0
runs:      .long 0
seen:      .long 0
shots:     .long 0
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
