/* Instruction bytes may lie where no RAM is: they read as ones. The last instruction of RAM takes
 * its immediate from there; what follows is FF FF, which is undefined. */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl 8(%ebx), %edi                  /* multiboot: KiB above 1 MiB */
    addl $1024, %edi
    shll $10, %edi
    movb $0xb8, -1(%edi)                /* mov $imm32, %eax */
    leal -1(%edi), %edx
    movl $20, %ebp
1:  movl $0, %eax
    EXPECT_FAULT(UD_VECTOR, jmp *%edx)
    leal 4(%edi), %ecx
    cmpl %ecx, last_eip
    EXPECT(e)
    cmpl $-1, %eax
    EXPECT(e)
    movb $0xb9, -1(%edi)                /* mov $imm32, %ecx */
    EXPECT_FAULT(UD_VECTOR, jmp *%edx)
    cmpl $-1, %ecx
    EXPECT(e)
    movb $0xb8, -1(%edi)
    decl %ebp
    jnz 1b
    ret
