/* A CALL whose target is not canonical faults before it has pushed anything: RSP and what is below it
 * are as before. [SDM 2A "CALL - Call Procedure"] */
#include "guest.inc"
#define STACK   (REGION + 0x3000)
#define MARK    0x1234567
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $hook_beyond, hook
    ON_IST(GP_VECTOR)           /* whose frame is elsewhere */
    movl $STACK, %ebx
    movl $target, %edi
    movabsq $0x800000000000, %r12
    movabsq $0xffff7fffffffffff, %r13
    movq %rsp, %r14
    /* through a register and through memory, hot code with a good target */
    HOT(movl $STACK, %esp; movq $MARK, -8(%rbx); movl $9f, %esi; call one; 9: movq %r14, %rsp)
    movl $0, faults
    .irp beyond, r12, r13
    movq %\beyond, %rdi
    HOT(movl $STACK, %esp; movq $MARK, -8(%rbx); movl $9f, %esi; jmp one; 9: cmpl $STACK, %esp; \
        EXPECT(e); cmpq $MARK, -8(%rbx); EXPECT(e); movl $STACK, %esp; movq %rdi, 8(%rbx); \
        movl $9f, %esi; jmp two; 9: cmpl $STACK, %esp; EXPECT(e); \
        cmpq $MARK, -8(%rbx); EXPECT(e); movq %r14, %rsp)
    .endr
    cmpl $(4 * HOT_ROUNDS), faults
    EXPECT(e)
    /* a direct one, from the last page in front of the border */
    movabsq $0x7ffffffff000, %rdi
    movl $pml4, %eax
    movq (%rax), %rcx
    movq %rcx, 8 * 255(%rax)
    movl page_directory - 0x1000, %ecx
    movl %ecx, page_directory - 0x1000 + 8 * 511
    movl $0, page_directory - 0x1000 + 8 * 511 + 4
    movq page_directory + 16, %rcx
    movq %rcx, page_directory + 8 * 511
    MAP(REGION + 0x1ff000, REGION + 0x1ff003)
    movq %cr3, %rax
    movq %rax, %cr3
    COPY(direct, REGION + 0x1ff000, direct_end - direct)
    HOT(movl $STACK, %esp; movq $MARK, -8(%rbx); movl $9f, %esi; movabsq $0x7ffffffff000, %rdi; \
        jmp *%rdi; 9: cmpl $STACK, %esp; EXPECT(e); cmpq $MARK, -8(%rbx); EXPECT(e); \
        movq %r14, %rsp)
    PASS()

one:
    call *%rdi
    jmp *%rsi
two:
    call *8(%rbx)
    jmp *%rsi
target:
    ret
direct:
    call . + 0x2000
direct_end:

hook_beyond: /* #GP: go on at RSI */
    EXPECT_VECTOR(GP_VECTOR)
    incl faults
    movq %rsi, LONG_RIP(%rbp)
    ret
    .data
    .p2align 2
faults: .long 0
