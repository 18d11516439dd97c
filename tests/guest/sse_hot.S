/* SSE code that runs often, when what it depends on changes: CR0.TS and EM, CR4.OSFXSR and
 * OSXMMEXCPT, rounding, FTZ, DAZ and the masks of MXCSR; its flags are up to date whenever they are
 * read. [SDM 3A "System Programming for Instruction Set Extensions and Processor Extended States"],
 * [SDM 1 "MXCSR Control and Status Register"] */
#include "guest.inc"
    .set CR0_EM, 2
    .set CR0_TS, 3
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    call switches
    call rounding
    call denormals
    call flags
    call masks
    call states
    PASS()

/* Each instruction in a function of its own, which the switch turns off and on. */
    .macro switch off, on, vector
    HOT(call *%r12)
    HOT(\off; EXPECT_FAULT(\vector, call *%r12); addq $8, %rsp; cmpq %r12, fault_rip; EXPECT(e); \
        \on; call *%r12)
    .endm
    .macro a_case insn
    jmp 3f
2:  \insn
    ret
3:  movl $2b, %r12d
    call *%r13
    .endm
    .macro cr0_set bit
    movq %cr0, %rax
    btsl $\bit, %eax
    movq %rax, %cr0
    .endm
    .macro cr0_clear bit
    movq %cr0, %rax
    btrl $\bit, %eax
    movq %rax, %cr0
    .endm
    .macro cr4_set bit
    movq %cr4, %rax
    btsl $\bit, %eax
    movq %rax, %cr4
    .endm
    .macro cr4_clear bit
    movq %cr4, %rax
    btrl $\bit, %eax
    movq %rax, %cr4
    .endm
switches:
    movl $try_sse, %r13d
    .irp insn, "addps %xmm1, %xmm0", "movaps %xmm1, %xmm2", "movsd ones, %xmm3", \
        "movups %xmm3, scratch", "paddd %xmm1, %xmm4", "cvtsi2sdl %eax, %xmm5", \
        "movd %xmm5, %eax", "ldmxcsr default", "movntdq %xmm1, scratch", "movq %xmm1, %xmm2", \
        "ucomisd %xmm0, %xmm1"
    a_case "\insn"
    .endr
    movl $try_mmx, %r13d
    a_case "paddb %mm1, %mm0"
    a_case "movd %eax, %mm1"
    a_case "emms"
    movl $try_x87, %r13d
    a_case "fnop"
    a_case "fninit"
    a_case "fnstcw scratch"
    emms
    fninit
    ret
try_sse:
    switch "cr4_clear 9", "cr4_set 9", UD_VECTOR
try_mmx:
    switch "cr0_set CR0_TS", clts, NM_VECTOR
    switch "cr0_set CR0_EM", "cr0_clear CR0_EM", UD_VECTOR
    ret
try_x87:
    switch "cr0_set CR0_TS", clts, NM_VECTOR
    switch "cr0_set CR0_EM", "cr0_clear CR0_EM", NM_VECTOR
    ret

/* RC of MXCSR: 2.5, -2.5 and a sum that is not exact, rounded to nearest, down, up and to zero */
rounding:
    movl $rounding_table, %r12d
1:  HOT(ldmxcsr (%r12); call round_all)
    addl $16, %r12d
    cmpl $rounding_end, %r12d
    jne 1b
    HOT(movl %r15d, %r12d; andl $3, %r12d; shll $4, %r12d; addl $rounding_table, %r12d; \
        ldmxcsr (%r12); call round_all)
    ldmxcsr default
    ret
round_all:
    cvtsd2si half_2, %eax
    cmpl %eax, 4(%r12)
    EXPECT(e)
    cvtsd2si minus_half_2, %eax
    cmpl %eax, 8(%r12)
    EXPECT(e)
    cvttsd2si half_2, %eax      /* truncates always */
    cmpl $2, %eax
    EXPECT(e)
    movss ones, %xmm0           /* 1 + 2^-24 */
    addss tiny, %xmm0
    movd %xmm0, %eax
    subl ones, %eax
    cmpl %eax, 12(%r12)
    EXPECT(e)
    ret

/* DAZ and FTZ: half of the smallest normal number, by an operation, and as an operand */
denormals:
    HOT(ldmxcsr default; call denormal_sum; cmpl $0x00400000, %eax; EXPECT(e); \
        cmpl $0x00800000, %edx; EXPECT(e); \
        ldmxcsr ftz; call denormal_sum; cmpl $0, %eax; EXPECT(e); \
        cmpl $0x00800000, %edx; EXPECT(e); \
        ldmxcsr daz; call denormal_sum; cmpl $0x00400000, %eax; EXPECT(e); \
        cmpl $0, %edx; EXPECT(e))
    ldmxcsr default
    ret
denormal_sum:
    movss smallest, %xmm0
    mulss half, %xmm0
    movd %xmm0, %eax
    movss denormal, %xmm1
    addss denormal, %xmm1
    movd %xmm1, %edx
    ret

/* Sticky flags. Each line of the table: operands of DIVSS, ADDSS or MULSS and what they set. */
flags:
    movl $flag_table, %r12d
1:  HOT(ldmxcsr default; call *(%r12); call mxcsr; cmpl %eax, 16(%r12); EXPECT(e))
    HOT(call *(%r12); call mxcsr; cmpl %eax, 16(%r12); EXPECT(e))
    addl $24, %r12d
    cmpl $flag_table_end, %r12d
    jne 1b
    /* they add up over a hot loop, and go only by LDMXCSR */
    ldmxcsr default
    HOT(movl %r15d, %eax; xorl %edx, %edx; movl $FLAG_LINES, %ecx; divl %ecx; \
        imull $24, %edx, %edx; leal flag_table(%rdx), %r12d; call *(%r12))
    call mxcsr
    cmpl $0x3f, %eax
    EXPECT(e)
    ldmxcsr default
    HOT(addps %xmm7, %xmm7; movaps %xmm7, %xmm6; paddd %xmm6, %xmm6)
    call mxcsr
    cmpl $0, %eax
    EXPECT(e)
    ret
mxcsr:
    stmxcsr scratch
    movl scratch, %eax
    andl $0x3f, %eax
    ret
by_div:
    movss 8(%r12), %xmm0
    divss 12(%r12), %xmm0
    ret
by_mul:
    movss 8(%r12), %xmm0
    mulss 12(%r12), %xmm0
    ret
by_add:
    movss 8(%r12), %xmm0
    addss 12(%r12), %xmm0
    ret

/* Each exception, unmasked: #XM at the instruction, the destination kept, the flag set; masked
 * again it runs; a flag that is set already does not raise it. #UD without OSXMMEXCPT. */
masks:
    movl $flag_table, %r12d
1:  movl 20(%r12), %ecx         /* which of its flags, alone */
    movl %ecx, %edx
    shll $7, %edx
    notl %edx
    andl $0x1f80, %edx
    movl %edx, unmasked
    orl %ecx, %edx
    movl %edx, unmasked_set
    HOT(ldmxcsr default; call *(%r12); ldmxcsr unmasked; \
        EXPECT_FAULT(XM_VECTOR, call *(%r12)); addq $8, %rsp; call at_the_second; \
        call mxcsr; testl %eax, 20(%r12); EXPECT(nz))
    HOT(ldmxcsr unmasked_set; addps %xmm7, %xmm7; ldmxcsr default; call *(%r12))
    cr4_clear 10
    HOT(ldmxcsr unmasked; EXPECT_FAULT(UD_VECTOR, call *(%r12)); addq $8, %rsp; \
        call at_the_second; ldmxcsr default; call *(%r12))
    cr4_set 10
    addl $24, %r12d
    cmpl $flag_table_end, %r12d
    jne 1b
    ldmxcsr default
    ret
/* XMM0 is the first operand, RIP that of the instruction behind the MOVSS, which has 7 bytes */
at_the_second:
    movd %xmm0, %eax
    cmpl %eax, 8(%r12)
    EXPECT(e)
    movq fault_rip, %rax
    subq (%r12), %rax
    cmpq $7, %rax
    EXPECT(e)
    ret

/* FXSAVE and FXRSTOR, XSAVE and XRSTOR around hot code that keeps all in registers */
states:
    cr4_set 18
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $3, %eax
    xsetbv
    .macro around save, restore, area
    movss ones, %xmm0
    movss ones, %xmm1
    movl $3, %eax
    xorl %edx, %edx
    ldmxcsr daz
    \save \area
    ldmxcsr default
    HOT(addss %xmm0, %xmm1; movaps %xmm1, %xmm15; paddd %xmm15, %xmm2)
    cvtss2si %xmm1, %ebx
    cmpl $HOT_ROUNDS + 1, %ebx
    EXPECT(e)
    HOT(\restore \area; cvtss2si %xmm1, %ebx; cmpl $1, %ebx; EXPECT(e); addss %xmm0, %xmm1; \
        addss %xmm1, %xmm0; cvtss2si %xmm0, %ebx; cmpl $3, %ebx; EXPECT(e))
    stmxcsr scratch
    EXPECT_EQ(0x1fc0, scratch)
    HOT(addss %xmm0, %xmm0; \save \area; xorps %xmm0, %xmm0; \restore \area; \
        movss %xmm0, scratch; andps zeros, %xmm0; addss ones, %xmm0; mulss ones, %xmm0)
    EXPECT_EQ(0x40000000, scratch)
    .endm
    around fxsave, fxrstor, area
    around fxsave64, fxrstor64, area
    around xsave, xrstor, area
    around xsavec, xrstor, area2
    ldmxcsr default
    ret

    .data
    .p2align 4
ones: .float 1, 1, 1, 1
zeros: .float 0, 0, 0, 0
scratch: .quad 0, 0
half_2: .double 2.5
minus_half_2: .double -2.5
default: .long 0x1f80
ftz: .long 0x9f80
daz: .long 0x1fc0
unmasked: .long 0
unmasked_set: .long 0
tiny: .long 0x33800000
half: .float 0.5
smallest: .long 0x00800000
denormal: .long 0x00400000
rounding_table: /* MXCSR, 2.5, -2.5, units above 1 of 1 + 2^-24 */
    .long 0x1f80, 2, -2, 0
    .long 0x3f80, 2, -3, 0
    .long 0x5f80, 3, -2, 1
    .long 0x7f80, 2, -2, 0
rounding_end:
    .p2align 3
    .macro line how, a, b, flags, one
    .quad \how
    .long \a, \b, \flags, \one
    .endm
flag_table: /* IE 1, DE 2, ZE 4, OE 8, UE 16, PE 32 */
    line by_div, 0, 0, 1, 1
    line by_add, 0x00400000, 0x3f800000, 0x22, 2
    line by_div, 0x3f800000, 0, 4, 4
    line by_mul, 0x7f000000, 0x7f000000, 0x28, 8
    line by_mul, 0x00800000, 0x00800000, 0x30, 16
    line by_div, 0x3f800000, 0x40400000, 32, 32
    line by_add, 0x7fa00000, 0x3f800000, 1, 1       /* a signaling NaN */
flag_table_end:
    .set FLAG_LINES, 7
    .bss
    .p2align 6
area: .skip 0x400
area2: .skip 0x400
