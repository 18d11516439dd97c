/* SYSCALL and SYSRET in code that runs often: all of RFLAGS there and back, and what makes them differ
 * from one time to the next: TF, a waiting interrupt, a target that is not canonical, EFER.SCE,
 * x87 state. [SDM 2B "SYSCALL - Fast System Call", "SYSRET - Return From Fast System Call"] */
#include "guest.inc"
#define USER    REGION
#define STACK   (REGION + 0x8000)
#define FMASK   0x6c1           /* CF, ZF, SF, IF, DF */
#define IMAGE   0x200cd5        /* flags that SYSRET gives the user, by turns */
#define SCE(on) movl $0xc0000080, %ecx; rdmsr; andl $~1, %eax; orl $(on), %eax; wrmsr
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $APIC, %edi
    movl $0x1ff, APIC_SVR - APIC(%rdi)
    COPY(user, USER, user_end - user)
    movq gdt + CODE64, %rax     /* so that IRET finds what SYSCALL has made of CS and SS */
    movq %rax, gdt + FREE1
    movq gdt + DATA32, %rax
    movq %rax, gdt + FREE2
    movl $0xc0000081, %ecx      /* STAR */
    xorl %eax, %eax
    movl $(0x30 << 16 | FREE1), %edx
    wrmsr
    movl $0xc0000082, %ecx      /* LSTAR */
    movl $entry, %eax
    xorl %edx, %edx
    wrmsr
    movl $0xc0000084, %ecx
    movl $FMASK, %eax
    wrmsr
    movl $event, hook
    ENTER_USER64(USER, STACK)

/* R12D: what to do; R8: RFLAGS of the user; R9: for R11 */
entry:
    pushfq
    popq %rax
    cmpl $0, %r12d
    jne 1f
    cmpq %r8, %r11
    EXPECT(e)
    andl $~FMASK, %r8d
    cmpq %r8, %rax
    EXPECT(e)
    movw %cs, %ax
    cmpw $FREE1, %ax
    EXPECT(e)
    movw %ss, %ax
    cmpw $FREE2, %ax
    EXPECT(e)
    movq %r9, %r11
    sysretq
1:  cmpl $1, %r12d              /* an interrupt, before the user's first instruction */
    jne 1f
    movl $APIC, %edi
    movq %rcx, back
    movl $0, APIC_ICR_HIGH - APIC(%rdi)
    movl $(0x44000 | IRQ_VECTOR), APIC_ICR - APIC(%rdi)
    movl $0x3202, %r11d
    sysretq
1:  cmpl $2, %r12d              /* a trap there */
    jne 1f
    movq %rcx, back
    movl $0x3102, %r11d
    sysretq
1:  cmpl $3, %r12d              /* a target that faults, here */
    jne 1f
    movq %rcx, back
    btcq $63, %rcx
    movl $0x3002, %r11d
    sysretq
1:  cmpl $4, %r12d              /* not enabled, on either side */
    jne 1f
    movq %rcx, back
    SCE(0)
    movq back, %rcx
    movl $0x3002, %r11d
2:  sysretq
1:  cmpl $5, %r12d
    jne 1f
    movq %rcx, %rbx
    SCE(0)
    movl $USER_DATA, %eax
    pushq %rax
    pushq $STACK
    pushq $0x3002
    pushq $USER_CODE64
    pushq %rbx
    iretq
1:  cmpl $6, %r12d              /* the x87's pointers are the user's */
    jne 1f
    fnstenv environment
    EXPECT_EQW(USER_CODE64, environment + 16)
    movl $0x3002, %r11d
    sysretq
1:  EXPECT_EQ(HOT_ROUNDS * 2, events + 4 * UD_VECTOR)
    EXPECT_EQ(HOT_ROUNDS, events + 4 * DB_VECTOR)
    EXPECT_EQ(HOT_ROUNDS, events + 4 * GP_VECTOR)
    EXPECT_EQ(HOT_ROUNDS, events + 4 * IRQ_VECTOR)
    PASS()

event:
    movl last_vector, %ecx
    incl events(, %rcx, 4)
    cmpl $UD_VECTOR, %ecx
    je 1f
    movq fault_rip, %rax
    cmpl $GP_VECTOR, %ecx
    je 2f
    cmpq %rax, back
    EXPECT(e)
    andl $~0x100, LONG_RFLAGS(%rbp)
    movl $APIC, %ecx
    movl $0, APIC_EOI - APIC(%rcx)
    ret
1:  SCE(1)                      /* again */
    ret
2:  cmpl $FREE1, last_cs
    EXPECT(e)
    movq $3f, LONG_RIP(%rbp)
    ret
3:  movq back, %rcx
    sysretq

user: /* runs at USER; UD2 where something is wrong */
    xorl %r12d, %r12d
    xorl %ebp, %ebp
    movl $HOT_ROUNDS, %r15d
1:  imull $1664525, %ebp, %ebp
    addl $1013904223, %ebp
    movl %ebp, %r9d
    andl $IMAGE, %r9d
    orl $0x3002, %r9d
    movl %r9d, %r13d
    testl $0x10000, %ebp
    jz 2f
    std
2:  addl %ebp, %r10d
    pushfq
    popq %r8
    syscall
    pushfq
    popq %rax
    cmpq %r13, %rax
    jne 9f
    movw %cs, %ax
    cmpw $USER_CODE64, %ax
    jne 9f
    movw %ss, %ax
    cmpw $USER_DATA, %ax
    jne 9f
    cld
    decl %r15d
    jnz 1b
    movl $0x12345678, STACK
3:  incl %r12d
    movl $HOT_ROUNDS, %r15d
4:  fninit
    flds STACK
    syscall
    cli
    decl %r15d
    jnz 4b
    cmpl $6, %r12d
    jb 3b
    movl $7, %r12d
    syscall
9:  ud2
user_end:
    .data
    .p2align 3
back: .quad 0
events: .skip 4 * 256
environment: .skip 32
