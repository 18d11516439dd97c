/* Hot code whose rights change with STAC and CLAC, with CR4.SMAP, with POPF, and with the privilege
 * level: one physical page of code runs at CPL 0 and CPL 3 by turns.
 * [SDM 3A "Determination of Access Rights"] */
#include "guest.inc"
#define CODE    (REGION + 0x2000)   /* probes: a user page */
#define USERS   (REGION + 0x3000)   /* data pages */
#define KERNELS (REGION + 0x4000)
#define USER    (REGION + 0x5000)
#define STACK   (REGION + 0x8000)
#define LOAD    CODE
#define STORE   (CODE + load_end - probes)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    COPY(probes, CODE, probes_end - probes)
    MAP(KERNELS, KERNELS + 3)
    movl $USERS, %ebx
    movl $LOAD, %edi
    movl $STORE, %esi
    movl $11, USERS
    movl $22, KERNELS

    /* SMAP: the state of AC at each access counts */
    HOT(call *%rdi)
    movq %cr4, %rax
    btsl $21, %eax
    movq %rax, %cr4
    HOT(stac; call *%rdi; call *%rsi; clac)
    movq %rsp, %r13
    HOT(stac; call *%rdi; cmpl $11, %eax; EXPECT(e); call *%rsi; clac; \
        EXPECT_PF(1, USERS, LOAD, call *%rdi); movq %r13, %rsp; \
        EXPECT_PF(3, USERS, STORE, call *%rsi); movq %r13, %rsp)
    /* in one straight line */
    HOT(stac; movl (%rbx), %eax; clac; movl KERNELS, %ecx; stac; incl (%rbx); decl (%rbx); clac; \
        cmpl $11, %eax; EXPECT(e); cmpl $22, %ecx; EXPECT(e))
    movl $skip_load, hook
    HOT(stac; movl (%rbx), %eax; clac; movl (%rbx), %ecx; stac; movl (%rbx), %eax; clac)
    cmpl $HOT_ROUNDS, faults
    EXPECT(e)
    movl $0, hook
    /* POPF writes AC, and IRET */
    HOT(pushfq; btsl $18, (%rsp); popfq; call *%rdi; pushfq; btrl $18, (%rsp); popfq; \
        EXPECT_PF(1, USERS, LOAD, call *%rdi); movq %r13, %rsp)
    movl %ss, %ecx
    HOT(pushq %rcx; pushq %r13; pushq $0x40002; pushq $CODE64; pushq $1f; iretq; \
    1:  call *%rdi; clac; EXPECT_PF(3, USERS, STORE, call *%rsi); movq %r13, %rsp)
    /* CR4.SMAP off and on */
    HOT(movq %cr4, %rax; btrl $21, %eax; movq %rax, %cr4; call *%rdi; call *%rsi; \
        movq %cr4, %rax; btsl $21, %eax; movq %rax, %cr4; \
        EXPECT_PF(1, USERS, LOAD, call *%rdi); movq %r13, %rsp)
    movq %cr4, %rax
    btrl $21, %eax
    movq %rax, %cr4

    /* SYSCALL and SYSRET: the same probes on either side */
    COPY(user, USER, user_end - user)
    movl $0xc0000081, %ecx      /* STAR */
    xorl %eax, %eax
    movl $(0x30 << 16 | CODE32), %edx
    wrmsr
    movl $0xc0000082, %ecx      /* LSTAR */
    movl $entry, %eax
    xorl %edx, %edx
    wrmsr
    movl $0xc0000084, %ecx      /* FMASK */
    movl $0x40700, %eax
    wrmsr
    movl $0, faults
    movl $refused, hook
    ENTER_USER64(USER, STACK)

/* #PF: go on behind the load (8B 0B) */
skip_load:
    EXPECT_VECTOR(PF_VECTOR)
    incl faults
    addq $2, LONG_RIP(%rbp)
    ret

entry: /* RCX and R11 are the user's; R12D: what to do */
    movq %rsp, %r13
    movl $stack_top, %esp
    pushq %rcx
    testl %r12d, %r12d
    jz 1f
    movl $KERNELS, %ebx
    movl $LOAD, %edi
    call *%rdi
    cmpl $22, %eax
    EXPECT(e)
    movl $STORE, %edi
    call *%rdi
    popq %rcx
    movq %r13, %rsp
    sysretq
1:  EXPECT_EQ(2 * HOT_ROUNDS, faults)
    PASS()

/* #PF of a probe at CPL 3, always of the supervisor's page: return from the probe, with -1 */
refused:
    EXPECT_VECTOR(PF_VECTOR)
    EXPECT_EQ(USER_CODE64, last_cs)
    EXPECT_EQQ(KERNELS, fault_cr2)
    movl $5, %ecx
    cmpq $LOAD, fault_rip
    je 1f
    EXPECT_EQQ(STORE, fault_rip)
    movl $7, %ecx
1:  cmpl %ecx, last_error
    EXPECT(e)
    movl $-1, 24(%rbp)          /* RAX */
    movq LONG_RSP(%rbp), %rcx
    movq (%rcx), %rdx
    addq $8, LONG_RSP(%rbp)
    movq %rdx, LONG_RIP(%rbp)
    incl faults
    ret

user: /* runs at USER; UD2 where something is wrong */
    movl $1, %r12d
    movl $HOT_ROUNDS, %r15d
1:  movl $USERS, %ebx
    movl $LOAD, %edi
    call *%rdi
    cmpl $11, %eax
    jne 2f
    movl $STORE, %edi
    call *%rdi
    syscall                     /* the kernel's page, by the kernel */
    movl $KERNELS, %ebx
    movl $LOAD, %edi
    call *%rdi                  /* ... and by us */
    cmpl $-1, %eax
    jne 2f
    movl $STORE, %edi
    call *%rdi
    movl $STORE, %edi
    movl $USERS, %ebx
    call *%rdi
    decl %r15d
    jnz 1b
    xorl %r12d, %r12d
    syscall
2:  ud2
user_end:

probes:
    movl (%rbx), %eax
    ret
load_end:
    addl $0, (%rbx)
    ret
probes_end:
    .data
    .p2align 2
faults: .long 0
