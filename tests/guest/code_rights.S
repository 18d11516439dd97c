/* A page of hot code can no longer be fetched from: not present, execute-disable, a reserved bit, a
 * user page under SMEP, a supervisor page at CPL 3. The page fault comes at the target, whatever
 * the way there. [SDM 3A "Page-Fault Exceptions"] */
#include "guest.inc"
#define PAGE_A  (REGION + 0x2000)
#define PAGE_B  (REGION + 0x3000)
#define USER    (REGION + 0x4000)
#define STACK   (REGION + 0x6000)
#define NX      0x80000000      /* high half */
#define RESERVED 0x00080000
#define WAYS    7
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    COPY(image_a, PAGE_A, image_end - image_a)
    COPY(user, USER, user_end - user)
    call tour

    .macro rights low, high, code
    HOT(movl $\low, PTE_OF(PAGE_B); movl $\high, PTE_OF(PAGE_B) + 4; invlpg PAGE_B; \
        movl $\code, %ebp; call refused; \
        movl $PAGE_B + 7, PTE_OF(PAGE_B); movl $0, PTE_OF(PAGE_B) + 4; invlpg PAGE_B; \
        call visit)
    .endm
    rights PAGE_B + 6, 0, 0x10
    rights PAGE_B + 7, NX, 0x11
    rights PAGE_B + 7, RESERVED, 0x19
    call tour

    /* SMEP: the code is allowed as long as it is the supervisor's */
    movq %cr4, %rax
    btsl $20, %eax
    movq %rax, %cr4
    andb $~4, PTE_OF(PAGE_A)
    andb $~4, PTE_OF(PAGE_B)
    movq %cr3, %rax
    movq %rax, %cr3
    call tour
    HOT(movl $PAGE_B + 7, PTE_OF(PAGE_B); invlpg PAGE_B; movl $0x11, %ebp; call refused; \
        movl $PAGE_B + 3, PTE_OF(PAGE_B); invlpg PAGE_B; call visit)
    /* and SMEP itself goes on and off */
    movl $PAGE_B + 7, PTE_OF(PAGE_B)
    invlpg PAGE_B
    movl $0x11, %ebp
    HOT(movq %cr4, %rax; btrl $20, %eax; movq %rax, %cr4; call visit; \
        movq %cr4, %rax; btsl $20, %eax; movq %rax, %cr4; call refused)

    /* CPL 3: the same, and a page that becomes the supervisor's. HLT asks for the change. */
    movl $PAGE_A + 7, PTE_OF(PAGE_A)
    movq %cr3, %rax
    movq %rax, %cr3
    movl $in_user, hook
    ENTER_USER64(USER, STACK)

/* each way, once, and often */
visit:
    movl $PAGE_A, %r14d
1:  call *%r14
    cmpl $1, %eax
    EXPECT(e)
    addl $0x40, %r14d
    cmpl $PAGE_A + 0x40 * WAYS, %r14d
    jne 1b
    ret
tour:
    movl $PAGE_A, %r14d
2:  HOT(call *%r14; cmpl $1, %eax; EXPECT(e))
    addl $0x40, %r14d
    cmpl $PAGE_A + 0x40 * WAYS, %r14d
    jne 2b
    ret
/* each way must fault with error code EBP at PAGE_B */
refused:
    movl $PAGE_A, %r14d
    movq %rsp, %r13
3:  xorl %eax, %eax
    EXPECT_FAULT(PF_VECTOR, call *%r14)
    cmpl %ebp, last_error
    EXPECT(e)
    EXPECT_EQQ(PAGE_B, fault_cr2)
    EXPECT_EQQ(PAGE_B, fault_rip)
    movq %r13, %rsp
    addl $0x40, %r14d
    cmpl $PAGE_A + 0x40 * WAYS, %r14d
    jne 3b
    ret

/* #GP of HLT: take the page away as R12 says. #PF: it was right; give it back, and again. */
in_user:
    movl last_vector, %eax
    cmpl $GP_VECTOR, %eax
    jne 1f
    incq LONG_RIP(%rbp)
    testl %r12d, %r12d          /* the end */
    jz 2f
    movq %r12, PTE_OF(PAGE_B)
    invlpg PAGE_B
    ret
1:  EXPECT_VECTOR(PF_VECTOR)
    EXPECT_EQQ(PAGE_B, fault_cr2)
    EXPECT_EQQ(PAGE_B, fault_rip)
    EXPECT_EQ(USER_CODE64, last_cs)
    cmpl %r13d, last_error
    EXPECT(e)
    incl refusals
    movl $PAGE_B + 7, PTE_OF(PAGE_B)
    movl $0, PTE_OF(PAGE_B) + 4
    invlpg PAGE_B
    ret
2:  EXPECT_EQ(3 * WAYS * HOT_ROUNDS, refusals)
    PASS()

user: /* runs at USER */
    movl $PAGE_B + 3, %r12d     /* the supervisor's */
    movl $0x15, %r13d
    call user_ways
    movl $PAGE_B + 6, %r12d     /* not present */
    movl $0x14, %r13d
    call user_ways
    movl $PAGE_B + 7, %r12d     /* execute-disable */
    btsq $63, %r12
    movl $0x15, %r13d
    call user_ways
    xorl %r12d, %r12d
    hlt
user_ways:
    movl $PAGE_A, %r14d
1:  movl $3 * HOT_ROUNDS, %r15d /* the last third takes the page away each time */
2:  cmpl $HOT_ROUNDS, %r15d
    ja 3f
    hlt
3:  call *%r14
    cmpl $1, %eax
    je 4f
    ud2
4:  decl %r15d
    jnz 2b
    addl $0x40, %r14d
    cmpl $PAGE_A + 0x40 * WAYS, %r14d
    jne 1b
    ret
user_end:

    .p2align 12
image_a:
    call image_b
    ret
    .org image_a + 0x40
    jmp image_b
    .org image_a + 0x80
    xorl %eax, %eax
    jz image_b
    ud2
    .org image_a + 0xc0
    movl $PAGE_B, %edx
    jmp *%rdx
    .org image_a + 0x100
    pushq $PAGE_B
    call *(%rsp)
    popq %rdx
    ret
    .org image_a + 0x140
    pushq $PAGE_B
    ret
    .org image_a + 0x180
    jmp 1f
    .org image_a + 0xffa
1:  xorl %eax, %eax
    cld
    cld
    cld
    cld
image_b:
    movl $1, %eax
    ret
image_end:
    .data
    .p2align 2
refusals: .long 0
