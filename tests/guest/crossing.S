/* An instruction whose two pages are the same physical one, at two linear addresses: it runs, and a
 * store to either part of it is seen. [SDM 3A "Self-Modifying Code"] */
#include "guest.inc"
#define PAGE (REGION + 0x8000)
    .text
    .code32
    .globl test
test:
    ENTER_PAGING()
    movl $PAGE + 7, test_pt + 4 * 9     /* the next page is this one again */
    invlpg PAGE + 0x1000
    movw $0x11b8, PAGE + 0xffe          /* mov $0x44332211, %eax; ret */
    movl $0xc3443322, PAGE
    movl $PAGE + 0xffe, %edx
    call *%edx
    cmpl $0x44332211, %eax
    EXPECT(e)
    movb $0x55, PAGE                    /* its second part */
    call *%edx
    cmpl $0x44335511, %eax
    EXPECT(e)
    movb $0x66, PAGE + 0x1fff           /* its first part, by the other address */
    xorl %eax, %eax
    cpuid
    movl $PAGE + 0xffe, %edx
    call *%edx
    cmpl $0x44335566, %eax
    EXPECT(e)
    movl $1000, %ecx                    /* other code of the page comes and goes */
1:  movb $0xc3, PAGE + 0x800
    movl $PAGE + 0x800, %edx
    call *%edx
    movl $PAGE + 0xffe, %edx
    call *%edx
    movb %cl, PAGE + 1
    loop 1b
    ret
