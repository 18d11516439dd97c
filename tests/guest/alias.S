/* Code written through another linear address of its page is executed after a serializing
 * instruction. [SDM 3A "Self-Modifying Code"] */
#include "guest.inc"
#define CODE_PAGE  (REGION + 0x5000)
#define ALIAS_PAGE (REGION + 0x6000)
    .text
    .code32
    .globl test
test:
    ENTER_PAGING()
    movl $CODE_PAGE + 7, test_pt + 4 * 6      /* ALIAS_PAGE -> the same frame */
    invlpg ALIAS_PAGE
    movl $0x000001b8, CODE_PAGE               /* mov $1, %eax; ret */
    movl $0xc300, CODE_PAGE + 4
    movl $100, %ebx
1:  movl $CODE_PAGE, %edx
    call *%edx
    cmpb %al, ALIAS_PAGE + 1
    EXPECT(e)
    incb ALIAS_PAGE + 1
    pushl %ebx
    xorl %eax, %eax
    cpuid
    popl %ebx
    movl $CODE_PAGE, %edx
    call *%edx
    cmpb %al, CODE_PAGE + 1
    EXPECT(e)
    decl %ebx
    jnz 1b
    cmpl $101, %eax
    EXPECT(e)

    /* the page table maps other code: the TLB, not the bytes, decides until INVLPG */
    movl $0x0000cab8, REGION + 0x7000         /* mov $0xca, %eax; ret */
    movl $0xc300, REGION + 0x7004
    movl $REGION + 0x7007, test_pt + 4 * 5
    invlpg CODE_PAGE
    call *%edx
    cmpl $0xca, %eax
    EXPECT(e)
    ret
