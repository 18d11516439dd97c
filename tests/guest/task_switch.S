/* Task switches by JMP, CALL, IRET and an interrupt through a task gate. [SDM 3A "Task Switching"]
 */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl $tss2, %eax
    movw $0x67, gdt + FREE1
    movw %ax, gdt + FREE1 + 2
    shrl $16, %eax
    movb %al, gdt + FREE1 + 4
    movb $0x89, gdt + FREE1 + 5
    movb $0, gdt + FREE1 + 6
    movb %ah, gdt + FREE1 + 7
    clts
    movl $0x0badf00d, %esi

    /* CALL: nested */
    movl $by_call, tss2 + 0x20
    lcall $FREE1, $0
1:  cmpl $0x0badf00d, %esi              /* our registers are back */
    EXPECT(e)
    EXPECT_EQB(0x89, gdt + FREE1 + 5)   /* the other is available again */
    EXPECT_EQB(0x8b, gdt + TSS_SEL + 5)
    str %ax
    cmpw $TSS_SEL, %ax
    EXPECT(e)
    pushfl
    popl %eax
    testl $0x4000, %eax                 /* NT */
    EXPECT(z)
    movl %cr0, %eax
    testl $8, %eax                      /* TS */
    EXPECT(nz)
    clts

    /* JMP there and back: no nesting */
    movl $by_jump, tss2 + 0x20
    movl $0x202, tss2 + 0x24
    ljmp $FREE1, $0
    EXPECT_EQ(0x77, tss2 + 0x28)        /* its EAX was saved on the way out */
    EXPECT_EQB(0x89, gdt + FREE1 + 5)
    cli

    /* a task gate in the IDT, with an error code on the new stack */
    movw $FREE1, idt + GP_VECTOR * 8 + 2
    movb $0x85, idt + GP_VECTOR * 8 + 5
    movl $by_fault, tss2 + 0x20
    movl $2, tss2 + 0x24
    movl $stack2, tss2 + 0x38
    movl $0x7f8, %eax
2:  movw %ax, %fs                       /* #GP(7F8H) */
3:
    EXPECT_EQ(0x7f8, seen_error)

    /* a busy task cannot be entered */
    movb $0x8e, idt + GP_VECTOR * 8 + 5
    movw $CODE32, idt + GP_VECTOR * 8 + 2
    movb $0x8b, gdt + FREE1 + 5
    EXPECT_FAULT_CODE(GP_VECTOR, FREE1, ljmp $FREE1, $0)
    ret

by_call:
    str %ax
    cmpw $FREE1, %ax
    EXPECT(e)
    EXPECT_EQB(0x8b, gdt + TSS_SEL + 5) /* both busy while nested */
    EXPECT_EQB(0x8b, gdt + FREE1 + 5)
    EXPECT_EQW(TSS_SEL, tss2)           /* back link */
    EXPECT_EQ(1b, tss + 0x20)           /* saved EIP */
    EXPECT_EQ(0x0badf00d, tss + 0x40)   /* saved ESI */
    pushfl
    popl %eax
    testl $0x4000, %eax
    EXPECT(nz)
    movl $0, %esi
    iretl
    FAIL(__LINE__)

by_jump:
    pushfl
    popl %eax
    cmpl $0x202, %eax                   /* NT stays 0 */
    EXPECT(e)
    EXPECT_EQB(0x89, gdt + TSS_SEL + 5)
    movl $0x77, %eax
    ljmp $TSS_SEL, $0
    FAIL(__LINE__)

by_fault:
    popl seen_error
    EXPECT_EQ(2b, tss + 0x20)
    movl $3b, tss + 0x20
    iretl
    FAIL(__LINE__)

    .data
    .p2align 4
seen_error: .long -1
tss2:
    .long 0, 0, 0, 0, 0, 0, 0           /* link, ESP0.. */
    .long 0                             /* CR3 */
    .long by_call, 2                    /* EIP, EFLAGS */
    .long 0, 0, 0, 0                    /* EAX, ECX, EDX, EBX */
    .long stack2, 0, 0, 0               /* ESP, EBP, ESI, EDI */
    .long DATA32, CODE32, DATA32, DATA32, DATA32, DATA32
    .long 0, 0x680000
    .bss
    .skip 0x1000
stack2:
