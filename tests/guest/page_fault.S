/* Page-fault error codes and CR2, 64-bit mode. [SDM 3A "Page-Fault Exceptions"] */
#include "guest.inc"
#define PAGE (REGION + 0x3000)
#define PTE  (test_pt + 8 * 3)
#define FLUSH() invlpg PAGE
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    /* not present */
    movq $0, PTE
    FLUSH()
    EXPECT_FAULT_CODE(PF_VECTOR, 0, movb PAGE + 5, %al)
    EXPECT_EQ(PAGE + 5, last_cr2)
    EXPECT_FAULT_CODE(PF_VECTOR, 2, movb %al, PAGE + 7)
    EXPECT_EQ(PAGE + 7, last_cr2)
    EXPECT_FAULT_CODE(PF_VECTOR, 2, lock incl PAGE + 16)
    /* across two pages: the address of the part that faults */
    EXPECT_FAULT_CODE(PF_VECTOR, 0, movq PAGE - 3, %rax)
    EXPECT_EQ(PAGE, last_cr2)
    EXPECT_FAULT_CODE(PF_VECTOR, 2, movq %rax, PAGE - 3)
    EXPECT_EQ(PAGE, last_cr2)
    /* fetch: I/D only with NXE (or SMEP) */
    movl $PAGE, %edx
    EXPECT_FAULT_CODE(PF_VECTOR, 0x10, jmp *%rdx)
    EXPECT_EQ(PAGE, last_cr2)
    EXPECT_EQ(PAGE, last_eip)

    /* read-only, CR0.WP */
    movq $PAGE + 5, PTE
    FLUSH()
    EXPECT_FINE(movb PAGE, %al)
    EXPECT_FAULT_CODE(PF_VECTOR, 3, movb %al, PAGE)
    movq %cr0, %rax
    andl $~0x10000, %eax
    movq %rax, %cr0
    EXPECT_FINE(movb %al, PAGE)
    movq %cr0, %rax
    orl $0x10000, %eax
    movq %rax, %cr0
    EXPECT_FAULT_CODE(PF_VECTOR, 3, movb %al, PAGE)

    /* execute disable */
    movl $PAGE + 7, PTE
    movl $0x80000000, PTE + 4
    FLUSH()
    EXPECT_FINE(movb $0xc3, PAGE)
    EXPECT_FAULT_CODE(PF_VECTOR, 0x11, call *%rdx)
    addq $8, %rsp               /* CALL had pushed before the fetch failed */
    EXPECT_EQ(PAGE, last_cr2)

    /* a reserved bit */
    movl $PAGE + 7, PTE
    movl $0x00080000, PTE + 4   /* bit 51, above MAXPHYADDR */
    FLUSH()
    EXPECT_FAULT_CODE(PF_VECTOR, 9, movb PAGE, %al)
    EXPECT_FAULT_CODE(PF_VECTOR, 11, movb %al, PAGE)

    /* accessed and dirty */
    movq $PAGE + 7, PTE
    FLUSH()
    movb PAGE, %al
    testb $0x20, PTE
    EXPECT(nz)
    testb $0x40, PTE
    EXPECT(z)
    movb %al, PAGE
    testb $0x40, PTE
    EXPECT(nz)

    /* user mode: U/S is bit 2 of the code; page tables say supervisor */
    movq $PAGE + 3, PTE
    FLUSH()
    movl $user, %esi
    movl $REGION, %edi
    movl $user_end - user, %ecx
    rep movsb
    movl $user_fault, hook
    movw $USER_DATA, %ax
    movw %ax, %ds
    pushq $USER_DATA
    pushq $REGION + 0x2000
    pushfq
    pushq $USER_CODE64
    pushq $REGION
    iretq

user: /* runs at REGION */
    movl $PAGE, %edx
    movb (%rdx), %al
    nop
    movb %al, 1(%rdx)
    nop
    call *%rdx
user_end:

/* skips the faulting instruction; the third ends the program */
user_fault:
    EXPECT_EQ(PF_VECTOR, last_vector)
    EXPECT_EQ(USER_CODE64, last_cs)
    movl seen, %ecx
    movl want_error(, %rcx, 4), %eax
    cmpl %eax, last_error
    EXPECT(e)
    movl want_cr2(, %rcx, 4), %eax
    cmpl %eax, last_cr2
    EXPECT(e)
    incl seen
    cmpl $3, seen
    je 1f
    movl want_next(, %rcx, 4), %eax
    movq %rax, 48(%rbp)
    ret
1:  PASS()
    .data
    .p2align 2
seen: .long 0
want_error: .long 5, 7, 0x15
want_cr2: .long PAGE, PAGE + 1, PAGE
want_next: .long REGION + 5 + 2, REGION + 5 + 2 + 1 + 3
