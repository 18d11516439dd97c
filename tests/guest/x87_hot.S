/* x87 and MMX code that runs often: TOP is another each time round, the control word changes, MMX
 * and EMMS change the tags under it, an unmasked exception waits for the next x87 instruction. [SDM
 * 1 "Programming with the x87 FPU"], [SDM 1 "Programming with Intel MMX Technology"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    fninit
    movq %cr0, %rax
    orl $0x20, %eax             /* NE */
    movq %rax, %cr0
    call tops
    call control
    call mmx
    call exceptions
    call saved
    call pointers
    PASS()

top:
    fnstsw %ax
    shrl $11, %eax
    andl $7, %eax
    ret

/* the same code at each TOP; the stack has as many registers full as it is deep */
tops:
    HOT(fincstp; fld1; fadd %st, %st; fistl scratch; cmpl $2, scratch; EXPECT(e); \
        call top; movl %r15d, %ecx; subl $HOT_ROUNDS + 1, %ecx; negl %ecx; decl %ecx; \
        andl $7, %ecx; cmpl %ecx, %eax; EXPECT(e); ffree %st; fincstp; \
        fdecstp; fincstp)
    fninit
    xorl %ebx, %ebx
    HOT(fld1; fldz; fxch; faddp; fld %st; faddp; fistpl scratch; addl scratch, %ebx)
    cmpl $2 * HOT_ROUNDS, %ebx
    EXPECT(e)
    call top
    testl %eax, %eax
    EXPECT(z)
    /* eight deep and back, in loops; a ninth is an overflow: indefinite, C1 and SF */
    HOT(movl $8, %ecx; \
    1:  fld1; decl %ecx; jnz 1b; movl $7, %ecx; \
    2:  faddp; decl %ecx; jnz 2b; fistpl scratch; cmpl $8, scratch; EXPECT(e))
    HOT(movl $9, %ecx; \
    1:  fld1; decl %ecx; jnz 1b; fnstsw %ax; andl $0x241, %eax; cmpl $0x241, %eax; EXPECT(e); \
        fistpl scratch; cmpl $0x80000000, scratch; EXPECT(e); fninit)
    HOT(fld1; fcomi %st; EXPECT(e); fstp %st; fadd %st; fnstsw %ax; andl $0x241, %eax; \
        cmpl $0x41, %eax; EXPECT(e); fninit)        /* underflow: C1 is 0 */
    ret

/* rounding and precision: 2.5, and 1/3 in 24, 53 and 64 bits */
control:
    movl $controls, %r12d
1:  HOT(fldcw (%r12); call under_control)
    addl $16, %r12d
    cmpl $controls_end, %r12d
    jne 1b
    HOT(movl %r15d, %eax; xorl %edx, %edx; movl $CONTROLS, %ecx; divl %ecx; shll $4, %edx; \
        leal controls(%rdx), %r12d; fldcw (%r12); call under_control)
    fninit
    ret
under_control:
    fldl half_2
    fistpl scratch
    movl scratch, %eax
    cmpl %eax, 4(%r12)
    EXPECT(e)
    fld1
    fdivs three
    fstpt scratch
    movq scratch, %rax
    cmpq %rax, 8(%r12)
    EXPECT(e)
    ret

/* MMX instructions set TOP to 0 and all tags to valid, EMMS to empty; MM0 to MM7: the fractions */
mmx:
    HOT(fninit; fld1; movl %r15d, %eax; movd %eax, %mm3; paddd %mm3, %mm3; call top; \
        testl %eax, %eax; EXPECT(z); fxsave area; cmpb $-1, area + 4; EXPECT(e); \
        fnsave area; movl area + 28 + 30, %eax; shrl $1, %eax; cmpl %r15d, %eax; EXPECT(e); \
        cmpw $-1, area + 28 + 38; EXPECT(e))
    HOT(fninit; movd %r15d, %mm0; emms; fld1; fistpl scratch; cmpl $1, scratch; EXPECT(e); \
        movd %r15d, %mm7; fld1; fnstsw %ax; testb $0x41, %al; EXPECT(nz); emms; fninit)
    /* a value that x87 code left is there for MMX */
    HOT(fninit; fldl half_2; fst %st(1); movq %mm7, %rax; emms; \
        shrq $56, %rax; cmpl $0xa0, %eax; EXPECT(e))
    /* MMX beside SSE */
    HOT(emms; movl %r15d, %eax; movd %eax, %mm1; movq2dq %mm1, %xmm1; paddq %xmm1, %xmm1; \
        movdq2q %xmm1, %mm2; movd %mm2, %ecx; leal (%rax,%rax), %edx; cmpl %ecx, %edx; EXPECT(e); \
        emms)
    ret

/* A division by zero, unmasked, is reported by the next x87 instruction that waits, wherever it is:
 * #MF there. FNSTSW, FNCLEX and the like do not wait. */
exceptions:
    movl $3f, %r12d
    HOT(fldcw default; call 2f; fninit; fldcw zero_divide; \
        EXPECT_FAULT(MF_VECTOR, call 2f); addq $8, %rsp; cmpq %r12, fault_rip; EXPECT(e); \
        fnstsw %ax; testb $4, %al; EXPECT(nz); fnclex; fwait; fninit)
    /* in hot code whose x87 instructions lie blocks apart, and an MMX one */
    movl $5f, %r12d
    HOT(fldcw zero_divide; movl $5, %ecx; \
        EXPECT_FAULT(MF_VECTOR, call 4f); cmpq %r12, fault_rip; EXPECT(e); testl %ecx, %ecx; \
        EXPECT(z); addq $8, %rsp; fnclex; fninit)
    ret
2:  fld1
    fldz
    fdivrp
    incl %ebx
3:  fstp %st
    ret
4:  fld1
    fldz
    fdivrp
6:  incl %ebx
    decl %ecx
    jnz 6b
5:  paddb %mm0, %mm0
    ret

/* FXSAVE and FXRSTOR around hot x87 code, FNSAVE and FRSTOR */
saved:
    fninit
    fld1
    fldl half_2
    fldcw controls + 16
    fxsave area
    HOT(fxrstor area; faddp; fistl scratch; fxsave area2; fninit; fxrstor area2; fsubl half_2; \
        fld1; fcomip; fstp %st; EXPECT(e); call top; testl %eax, %eax; EXPECT(z))
    fxrstor area
    fnsave area
    HOT(frstor area; fmulp; fninit; frstor area; call top; cmpl $6, %eax; EXPECT(e); \
        fstp %st; fstpt scratch; fnstcw scratch; movw controls + 16, %ax; cmpw %ax, scratch; \
        EXPECT(e))
    fninit
    ret

/* FIP, FDP and FOP: of the last instruction, and of the last one with a memory operand, though the
 * register that held its address is another by now; FNSTSW is not one. And of two branches. */
pointers:
    fninit
    HOT(movl $half_2, %esi; fldl (%rsi); addl $8, %esi; \
    1:  fstp %st; fnstsw scratch; fxsave area; cmpl $half_2, area + 16; EXPECT(e); \
        cmpl $1b, area + 8; EXPECT(e); cmpw $0x5d8, area + 6; EXPECT(e); \
        cmpw $CODE64, area + 12; EXPECT(e); movl %ds, %eax; cmpw %ax, area + 20; EXPECT(e))
    HOT(fld1; movl $2f, %ecx; movl $0x1e0, %edx; testb $7, %r15b; jnz 2f; \
        movl $3f, %ecx; movl $0x1e1, %edx; \
    3:  fabs; jmp 4f; \
    2:  fchs; \
    4:  fxsave area; fstp %st; cmpl %ecx, area + 8; EXPECT(e); cmpw %dx, area + 6; EXPECT(e); \
        cmpl $half_2, area + 16; EXPECT(e))
    fninit
    ret

    .data
    .p2align 4
area: .skip 512
area2: .skip 512
scratch: .skip 32
half_2: .double 2.5
three: .float 3
zero: .float 0
default: .word 0x37f
zero_divide: .word 0x37b
    .p2align 4
    .macro line cw, rounded, third
    .long \cw, \rounded
    .quad \third
    .endm
controls: /* control word, 2.5, the fraction of 1/3 */
    line 0x37f, 2, 0xaaaaaaaaaaaaaaab
    line 0x27f, 2, 0xaaaaaaaaaaaaa800
    line 0x07f, 2, 0xaaaaab0000000000
    line 0x77f, 2, 0xaaaaaaaaaaaaaaaa
    line 0xb7f, 3, 0xaaaaaaaaaaaaaaab
    line 0xf7f, 2, 0xaaaaaaaaaaaaaaaa
    line 0x87f, 3, 0xaaaaab0000000000
    line 0x47f, 2, 0xaaaaaa0000000000
    line 0xa7f, 3, 0xaaaaaaaaaaaab000
controls_end:
    .set CONTROLS, 9
