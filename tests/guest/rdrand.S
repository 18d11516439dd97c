/* RDRAND and RDSEED: CF 1, numbers that differ, the same in every run with the same seed (the
 * runner compares what we print in two runs). */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    xorl %ebx, %ebx
    movl $16, %ebp
1:  rdrand %rax
    EXPECT(c)
    cmpq %rbx, %rax
    EXPECT(ne)
    movq %rax, %rbx
    call print
    rdseed %rax
    EXPECT(c)
    call print
    rdrand %ax
    EXPECT(c)
    call print
    decl %ebp
    jnz 1b
    PASS()
print:
    movl $8, %ecx
    movw $SERIAL, %dx
2:  outb %al, %dx
    shrq $8, %rax
    loop 2b
    ret
