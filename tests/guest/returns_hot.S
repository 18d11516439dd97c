/* Hot code whose returns are not those that its calls suggest: to elsewhere, on another stack, deeper
 * than anybody keeps track of, to code that has been rewritten since the call, or at another privilege
 * level or without SSE. [SDM 1 "Procedure Calls Using CALL and RET"] */
#include "guest.inc"
#define PAGE_A    (REGION + 0x2000)
#define PAGE_B    (REGION + 0x3000)
#define PROBE     (REGION + 0x4000)
#define STACK     (REGION + 0x1f0000)
#define OTHER     (REGION + 0x100000) /* stack of the second coroutine */
#define DEPTH     10000
#define MANY      400   /* functions of MANY_BYTES with MANY_INCS instructions */
#define MANY_BYTES 128
#define MANY_INCS 40
#define MANY_ROUNDS 60
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $STACK, %esp

    /* behind an instruction that follows the call; to the caller's caller; without a call */
    HOT(xorl %eax, %eax; call skip; ud2; call outer; pushq $1f; ret; ud2; 1: incl %eax; \
        movl $2f, %edx; call thunk; incl %eax; cmpl $4, %eax; EXPECT(e); cmpq $STACK, %rsp; EXPECT(e); \
        jmp 3f; 2: incl %eax; ret; 3:)

    /* the same offset in another page, by turns */
    COPY(twin, PAGE_A, twin_end - twin)
    COPY(twin, PAGE_B, twin_end - twin)
    movl $0xb, PAGE_B + twin_value - twin
    movl $PAGE_A, %edi
    movl $flip, %esi
    HOT(xorl %r8d, %r8d; call *%rdi; cmpl $0xa, %eax; EXPECT(e); \
        movl $0x1000, %r8d; call *%rdi; cmpl $0xb, %eax; EXPECT(e))

    /* what is behind the call is rewritten before the return, by a function that it calls */
    movl $rewrite, %esi
    HOT(call *%rdi; cmpl %r15d, %eax; EXPECT(e))
    HOT(call *%rdi; cmpl %r15d, %eax; EXPECT(e); \
        movl $flip, %esi; xorl %r8d, %r8d; call *%rdi; call *%rdi; movl $rewrite, %esi)

    /* deep recursion, and calls that never return */
    movl $30, %ebx
1:  movl $DEPTH, %ecx
    xorl %eax, %eax
    call deep
    cmpl $DEPTH, %eax
    EXPECT(e)
    call leak
    cmpl $DEPTH + 1, %eax
    EXPECT(e)
    decl %ebx
    jnz 1b

    /* two stacks, which change in the middle of recursions of different depths */
    movl $OTHER - 8, %eax
    movq $second, (%rax)
    movq %rax, second_rsp
    xorl %ebp, %ebp
    xorl %r9d, %r9d
    HOT(movl $4, %ebx; call first)
    cmpl $3 * HOT_ROUNDS, %r9d  /* 4 switches a round, one of them at the bottom */
    EXPECT(e)
    cmpl $685, %ebp             /* the second: 7 switches a round, of 4 * HOT_ROUNDS */
    EXPECT(e)
    cmpq $STACK, %rsp
    EXPECT(e)

    /* so much hot code in a function that its caller's may not be kept */
    movl $made, %edi
    movl $MANY, %ebx
1:  movl $many, %esi
    movl $MANY_BYTES, %ecx
    rep movsb
    decl %ebx
    jnz 1b
    xorl %eax, %eax
    movl $count, %edi
    movl $MANY_ROUNDS, %r15d
2:  movl $5, %ecx
    call nest
    decl %r15d
    jnz 2b
    EXPECT_EQ(MANY * MANY_INCS * MANY_ROUNDS, count)

    /* what is behind the call may not run any more: the function has set CR0.TS */
    movq %cr4, %rax
    btsl $9, %eax               /* OSFXSR */
    movq %rax, %cr4
    movq %cr0, %rax
    andl $~4, %eax              /* EM */
    movq %rax, %cr0
    movq %rsp, %r13
    HOT(clts; movl $nothing, %esi; EXPECT_FINE(call use_sse); \
        movl $set_ts, %esi; EXPECT_FAULT(NM_VECTOR, call use_sse); movq %r13, %rsp)

    /* CALL at CPL 0, RET at CPL 3; SYSCALL comes back with a selector that IRET must not see */
    COPY(probe, PROBE, probe_end - probe)
    movl $0xc0000081, %ecx      /* STAR */
    xorl %eax, %eax
    movl $(0x30 << 16 | CODE32), %edx
    wrmsr
    movl $0xc0000082, %ecx      /* LSTAR */
    movl $entry, %eax
    xorl %edx, %edx
    wrmsr
    movl $PROBE, %edi
    HOT(xorl %edx, %edx; call *%rdi; andl $3, %eax; EXPECT(e); \
        movl $1, %edx; movq %rsp, %r13; movl $1f, %r14d; call *%rdi; ud2; \
        1: andl $3, %eax; cmpl $3, %eax; EXPECT(e))
    PASS()

use_sse:
    call *%rsi
    pxor %xmm0, %xmm0
nothing:
    ret
set_ts:
    movq %cr0, %rax
    orl $8, %eax
    movq %rax, %cr0
    ret

skip:
    addq $2, (%rsp)
    incl %eax
    ret
outer:
    call middle
    ret
middle:
    call inner
    ud2
inner:
    addq $8, %rsp
    ret
thunk: /* to RDX, as code does that must not be predicted */
    call 2f
1:  pause
    jmp 1b
2:  movq %rdx, (%rsp)
    ret

flip:
    xorq %r8, (%rsp)
    ret
rewrite:
    call 1f
    ret
1:  movl %r15d, PAGE_A + twin_value - twin
    ret

deep:
    decl %ecx
    jz 1f
    call deep
1:  incl %eax
    ret
leak:
    call 1f
    ret
1:  movl $DEPTH, %ecx
2:  call 3f
3:  popq %rdx
    decl %ecx
    jnz 2b
    incl %eax
    ret

first:
    decl %ebx
    jz to_second
    call first
    incl %r9d
    call to_second
    ret
to_second:
    pushq %rbx
    movq %rsp, first_rsp
    movq second_rsp, %rsp
    ret
second:
    movl $7, %r10d
    call down
    jmp second
down:
    decl %r10d
    jz to_first
    call down
    incl %ebp
    call to_first
    ret
to_first:
    movq %rsp, second_rsp
    movq first_rsp, %rsp
    popq %rbx
    ret

nest:
    decl %ecx
    jz 1f
    call nest
    ret
1:  movl $made, %edx
    movl $MANY, %ebx
2:  call *%rdx
    addl $MANY_BYTES, %edx
    decl %ebx
    jnz 2b
    ret
many:
    .rept MANY_INCS
    incl (%rdi, %rax)
    .endr
    ret
    .org many + MANY_BYTES

entry:
    movq %r13, %rsp
    jmp *%r14

twin:
    call *%rsi
    movl $0xa, %eax
twin_value = . - 4
    ret
twin_end:

probe: /* what CS is behind a call; EDX: return at CPL 3 */
    call 1f
    movl %cs, %eax
    testb $3, %al
    jz 3f
    syscall
1:  testl %edx, %edx
    jz 3f
    movq %rsp, %rax
    pushq $USER_DATA
    pushq %rax
    pushq $0x3002
    pushq $USER_CODE64
    pushq $PROBE + 3f - probe
    iretq
3:  ret
probe_end:
    .data
    .p2align 3
first_rsp:  .quad 0
second_rsp: .quad 0
count:      .long 0
    .bss
    .p2align 12
made: .skip MANY * MANY_BYTES
