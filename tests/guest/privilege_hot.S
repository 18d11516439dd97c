/* What only CPL 0 may do, in code that runs often at CPL 3 and at CPL 1, which is no user's: each time
 * an exception, and nothing else. With CR4.TSD, RDTSC too. [SDM 3A "Privileged Instructions"] */
#include "guest.inc"
#define USER  REGION
#define PIECE (USER + round_piece - user)
#define STACK (REGION + 0x8000)
#define SHIFT 4                 /* log2 of the room for a piece */
#define ROOM  (1 << SHIFT)
#define CODE1 (FREE1 | 1)       /* 64-bit code and a stack of level 1 */
#define DATA1 (FREE2 | 1)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movq gdt + CODE64, %rax
    btsq $45, %rax              /* DPL 1 */
    movq %rax, gdt + FREE1
    movq gdt + DATA32, %rax
    btsq $45, %rax
    movq %rax, gdt + FREE2
    movq %cr4, %rax
    orl $4, %eax                /* TSD */
    movq %rax, %cr4
    COPY(user, USER, user_end - user)
    movl $refused, hook
    movl $(PIECES * HOT_ROUNDS), %eax
    movl %eax, wanted
    pushq $DATA1
    pushq $stack_top
    pushq $2
    pushq $CODE1
    pushq $USER
    iretq

/* the end of USER at either level, by UD2 */
next:
    movl wanted, %eax
    cmpl %eax, faults
    EXPECT(e)
    cmpl $CODE1, last_cs
    jne 1f
    movl $0, faults
    movq $USER_DATA, LONG_RSP + 8(%rbp)
    movq $STACK, LONG_RSP(%rbp)
    movq $USER_CODE64, LONG_CS(%rbp)
    movq $USER, LONG_RIP(%rbp)
    ret
1:  EXPECT_EQ(USER_CODE64, last_cs)
    PASS()

refused: /* the piece in R14D, by turns; back to its caller */
    cmpl $-1, %r14d
    je next
    movl $GP_VECTOR, %ecx
    cmpl $AC_PIECES, %r14d
    jae 1f
    movl $UD_VECTOR, %ecx
1:  cmpl %ecx, last_vector
    EXPECT(e)
    cmpq %rbx, fault_rip
    EXPECT(e)
    testl $0x40200, last_flags
    EXPECT(z)
    cmpq $0x1234, fault_rax
    EXPECT(e)
    incl faults
    movq LONG_RSP(%rbp), %rcx
    movq (%rcx), %rdx
    addq $8, LONG_RSP(%rbp)
    movq %rdx, LONG_RIP(%rbp)
    ret

user:
    movl $HOT_ROUNDS, %r15d
1:  movl $PIECES - 1, %r14d
2:  movl %r14d, %ebx
    shll $SHIFT, %ebx
    addl $PIECE, %ebx
    movl $0x1234, %eax
    movl $USER, %ecx
    movl $2, %r11d
    call *%rbx
    decl %r14d
    jns 2b
    decl %r15d
    jnz 1b
    ud2
    .p2align SHIFT
round_piece:
    .irp insn, stac, clac, cli, sti, swapgs, sysretq, hlt, rdtsc, rdtscp, clts, "invlpg (%rcx)"
    \insn
    ret
    .p2align SHIFT
    .endr
    .irp n, 0, 2, 3, 4
    movq %cr\n, %rax
    ret
    .p2align SHIFT
    movq %rax, %cr\n
    ret
    .p2align SHIFT
    .endr
user_end:
    .set PIECES, (user_end - round_piece) / ROOM
    .set AC_PIECES, 2
    .data
    .p2align 2
faults: .long 0
wanted: .long 0
