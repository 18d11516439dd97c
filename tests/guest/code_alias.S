/* One physical page of code at several linear addresses, hot at each: what it takes from RIP (data,
 * return addresses, addresses of jumps) is that of the address it runs at.
 * [SDM 2A "RIP-Relative Addressing"] */
#include "guest.inc"
#define FRAME   (REGION + 0x20000)
#define COPY_FRAME (REGION + 0x21000)
#define AT(n)   (REGION + 0x40000 + 0x4000 * (n))
#define COUNT   4
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    COPY(image, FRAME, image_end - image)
    xorl %ebx, %ebx             /* AT(n): the code's page, then a data page of its own */
    movl $PTE_OF(AT(0)), %edi
    movl $AT(0), %edx
1:  movq $FRAME + 7, (%rdi)
    movl %ebx, 0x1000(%rdx)
    invlpg (%rdx)
    addl $8 * 4, %edi
    addl $0x4000, %edx
    incl %ebx
    cmpl $COUNT, %ebx
    jne 1b

    /* each for long, then by turns */
    movl $AT(0), %r14d
    xorl %ebx, %ebx
2:  HOT(call check)
    addl $0x4000, %r14d
    incl %ebx
    cmpl $COUNT, %ebx
    jne 2b
    movl $AT(0), %r14d
    xorl %ebx, %ebx
    HOT(call check; addl $0x4000, %r14d; incl %ebx; andl $COUNT - 1, %ebx; \
        testl %ebx, %ebx; movl $AT(0), %ecx; cmovzl %ecx, %r14d)

    /* far up, where RIP has more than 32 bits: the same page at 2^46 */
    movl $pdpt_high + 7, pml4 + 8 * 128
    movl $pd_high + 7, pdpt_high
    movl $pt_high + 7, pd_high
    movl $FRAME + 7, pt_high
    movl $REGION + 0x30000 + 7, pt_high + 8
    movl $77, REGION + 0x30000
    movq $1 << 46, %r14
    movl $77, %ebx
    HOT(call check)
    /* and in the upper half */
    movl $pdpt_high + 7, pml4 + 8 * 511
    movq $-1 << 39, %r14
    HOT(call check)
    movl $AT(2), %r14d
    movl $2, %ebx
    HOT(call check; xorq $AT(2), %r14; xorl $2 ^ 77, %ebx; btcq $46, %r14; call check; \
        btcq $46, %r14; xorq $AT(2), %r14; xorl $2 ^ 77, %ebx)

    /* A direct jump into the next page. Behind AT(0) that is this page again, behind AT(1) a copy
     * that answers 1 more. */
    COPY(FRAME, COPY_FRAME, 0x1000)
    incb COPY_FRAME + 0x500 + 2
    movq $FRAME + 7, PTE_OF(AT(0) + 0x1000)
    movq $COPY_FRAME + 7, PTE_OF(AT(1) + 0x1000)
    invlpg AT(0) + 0x1000
    invlpg AT(1) + 0x1000
    movl $AT(0) + 0x400, %edx
    HOT(call *%rdx; cmpl $AT(0) + 0x1500, %eax; EXPECT(e))
    movl $AT(1) + 0x400, %edx
    HOT(call *%rdx; cmpl $AT(1) + 0x1501, %eax; EXPECT(e))
    movl $AT(0) + 0x400, %ecx
    HOT(call *%rcx; cmpl $AT(0) + 0x1500, %eax; EXPECT(e); \
        call *%rdx; cmpl $AT(1) + 0x1501, %eax; EXPECT(e))
    PASS()

/* the code at R14, whose datum is EBX */
check:
    movq $-1, %rax
    call *%r14
    cmpq %rbx, %rax             /* the datum, in RAX by RIP-relative MOV */
    EXPECT(e)
    subq %r14, %rsi             /* LEA */
    cmpl $0x100, %esi
    EXPECT(e)
    subq %r14, %rdi             /* a return address */
    cmpq $image_returns - image, %rdi
    EXPECT(e)
    cmpl $2, %ecx               /* two blocks, through a table of addresses made at run time */
    EXPECT(e)
    ret

image: /* position-independent */
    movl image + 0x1000(%rip), %eax
    leaq image + 0x100(%rip), %rsi
    xorl %ecx, %ecx
    call 1f
image_returns:
    incl %ecx
    leaq 3f(%rip), %rdx
    pushq %rdx
    ret
1:  movq (%rsp), %rdi
    jmp 2f
    ud2
2:  ret
3:  incl %ecx
    ret
    .org image + 0x400
    jmp . + 0x1100              /* into the next page */
    .org image + 0x500
    leal image + 0x500(%rip), %eax
    ret
image_end:
    .bss
    .p2align 12
pdpt_high: .skip 0x1000
pd_high: .skip 0x1000
pt_high: .skip 0x1000
