/* SMEP: no fetch from user pages at CPL < 3. SMAP: no data access to them unless RFLAGS.AC.
 * [SDM 3A "Determination of Access Rights"] */
#include "guest.inc"
#define PAGE (REGION + 0x3000)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movb $0xc3, PAGE
    movl $PAGE, %edx
    call *%rdx                  /* allowed without SMEP */
    movq %cr4, %rax
    btsl $20, %eax
    movq %rax, %cr4
    EXPECT_FAULT_CODE(PF_VECTOR, 0x11, jmp *%rdx)
    EXPECT_EQ(PAGE, last_cr2)
    EXPECT_FINE(movb PAGE, %al)
    andb $~4, test_pt + 8 * 3   /* a supervisor page */
    invlpg PAGE
    call *%rdx
    orb $4, test_pt + 8 * 3
    invlpg PAGE
    EXPECT_FAULT_CODE(PF_VECTOR, 0x11, jmp *%rdx)
    movq %cr4, %rax
    btrl $20, %eax
    btsl $21, %eax
    movq %rax, %cr4

    EXPECT_FAULT_CODE(PF_VECTOR, 1, movb PAGE, %al)
    EXPECT_FAULT_CODE(PF_VECTOR, 3, movb %al, PAGE)
    EXPECT_EQ(PAGE, last_cr2)
    stac
    movb PAGE, %al
    movb $0xc3, PAGE
    clac
    EXPECT_FAULT_CODE(PF_VECTOR, 1, movb PAGE, %al)
    call *%rdx                  /* fetches are SMEP's business; the stack is a supervisor's */

    /* implicit supervisor accesses fault even with AC: a descriptor in a user page. The table's
     * end only lies there, not the handler's segments. */
    stac
    movq gdt + CODE64, %rax
    movq %rax, REGION - 8
    movq gdt + DATA32, %rax
    movq %rax, REGION - 0x10
    movq %rax, REGION
    lgdt user_gdt
    movl $0x20, %ecx
    movl $-1, last_vector
    movl $1f, resume
    movw %cx, %fs
1:  movl $0, resume
    EXPECT_EQ(PF_VECTOR, last_vector)
    EXPECT_EQ(1, last_error)
    EXPECT_EQ(REGION, last_cr2)
    PASS()
    .data
user_gdt:
    .word 0x27
    .quad REGION - 0x20
