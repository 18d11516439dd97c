/* As insn_hot, for SSE: what an instruction does the first time it does the hundredth time, to the
 * XMM registers, MXCSR, general registers, flags and memory. [SDM 2A "Instruction Set Reference"]
  */
#include "guest.inc"
#define ROUNDS 100
#define QUADS  (16 + 4 + 1 + 8)     /* XMM0 to XMM7, RAX RCX RDX flags, MXCSR, `memory` */
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $pieces, %ebx
1:  movl $inputs, %ebp
2:  call once                   /* the first time says what is right */
    movl $result, %esi
    movl $wanted, %edi
    movl $QUADS, %ecx
    rep movsq
    movl $ROUNDS, %r15d
3:  call once
    movl $result, %esi
    movl $wanted, %edi
    movl $QUADS, %ecx
    repe cmpsq
    EXPECT(e)
    decl %r15d
    jnz 3b
    addl $8 * 16, %ebp
    cmpl $inputs_end, %ebp
    jne 2b
    addl $8, %ebx
    cmpl $pieces_end, %ebx
    jne 1b
    PASS()

/* the piece at RBX, with registers from the input at RBP; RDI points into `memory` */
once:
    ldmxcsr default
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    movaps 16 * \n(%rbp), %xmm\n
    .endr
    .irp n, 0, 1, 2, 3
    movaps %xmm\n, memory + 16 * \n
    .endr
    movl $memory + 16, %edi
    movabsq $0x8000000000000003, %rax
    movl $-5, %ecx
    xorl %edx, %edx
    call *(%rbx)
    pushfq
    popq result + 8 * 19
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    movaps %xmm\n, result + 16 * \n
    .endr
    movq %rax, result + 8 * 16
    movq %rcx, result + 8 * 17
    movq %rdx, result + 8 * 18
    stmxcsr result + 8 * 20
    movl $memory, %esi
    movl $result + 8 * 21, %edi
    movl $8, %ecx
    rep movsq
    ret

    .macro code insns:vararg
    .irp insn, \insns
    .pushsection .text.pieces, "ax"
7:  \insn
    ret
    .popsection
    .quad 7b
    .endr
    .endm
    .macro both insns:vararg    /* from a register and from memory */
    .irp insn, \insns
    code "\insn %xmm1, %xmm0", "\insn (%rdi), %xmm2"
    .endr
    .endm
    .data
    .p2align 3
pieces:
    code "movss %xmm1, %xmm0", "movss (%rdi), %xmm0", "movss %xmm0, (%rdi)", "movsd %xmm1, %xmm0", \
        "movsd (%rdi), %xmm0", "movsd %xmm0, (%rdi)", "movq %xmm1, %xmm0", "movq (%rdi), %xmm0", \
        "movq %xmm0, (%rdi)", "movd %ecx, %xmm0", "movd %xmm1, %eax", "movq %rax, %xmm3", \
        "movq %xmm3, %rdx", "movlps (%rdi), %xmm0", "movhps (%rdi), %xmm0", \
        "movhlps %xmm1, %xmm0", "movlhps %xmm1, %xmm0", "movlpd %xmm0, 8(%rdi)", \
        "movhpd %xmm0, (%rdi)", "movups 3(%rdi), %xmm4", "movdqu %xmm4, 5(%rdi)", \
        "movntdq %xmm0, (%rdi)", "movddup %xmm1, %xmm0", "movshdup %xmm1, %xmm0", \
        "movsldup (%rdi), %xmm0", "movmskps %xmm2, %eax", "movmskpd %xmm1, %ecx", \
        "pmovmskb %xmm3, %edx", "shufps $0x93, %xmm1, %xmm0", "shufpd $1, (%rdi), %xmm0", \
        "pshufd $0x1b, %xmm1, %xmm0", "pshuflw $0x39, %xmm1, %xmm0", \
        "pshufhw $0x4e, (%rdi), %xmm0", "palignr $5, %xmm1, %xmm0", "pinsrw $3, %ecx, %xmm0", \
        "pextrw $5, %xmm1, %eax", "pinsrb $9, %ecx, %xmm0", "pextrb $3, %xmm1, (%rdi)", \
        "pinsrq $1, %rax, %xmm0", "pextrd $2, %xmm1, %edx", "insertps $0x4a, %xmm1, %xmm0", \
        "extractps $2, %xmm1, %eax", "blendps $5, %xmm1, %xmm0", "pblendw $0x5a, %xmm1, %xmm0", \
        "movntdqa (%rdi), %xmm1", "pslldq $3, %xmm0", "psrldq $5, %xmm1", "psllw $3, %xmm0", \
        "psrld $7, %xmm0", "psraw $15, %xmm1", "psllq $65, %xmm1"
    both pxor, por, pand, pandn, andps, andnpd, orps, xorpd, paddb, paddw, paddd, paddq, psubb
    both psubq, paddsb, paddusw, psubsw, psubusb, pmullw, pmulhw, pmulhuw, pmuludq, pmaddwd, psadbw
    both pavgb, pminub, pmaxsw, pminsd, pmaxuw, pmulld, pmuldq, pcmpeqb, pcmpeqd, pcmpgtw, pcmpeqq
    both pcmpgtq, packsswb, packuswb, packssdw, packusdw, punpcklbw, punpckhwd, punpckldq
    both punpckhqdq, unpcklps, unpckhpd, pshufb, phaddw, phsubd, pmaddubsw, pmulhrsw, psignw, pabsb
    both pabsd, pmovsxbw, pmovzxwd, pmovsxdq, psllw, psrlq, psrad, ptest
    both addps, addpd, addss, addsd, subps, subsd, mulps, mulsd, divps, divsd, sqrtps, sqrtsd, minps
    both minsd, maxss, maxpd, haddps, addsubpd, hsubpd, cmpltps, cmpunordsd, cmpneqss, comiss
    both ucomisd, cvtps2pd, cvtpd2ps, cvtss2sd, cvtsd2ss, cvtdq2ps, cvtps2dq, cvttps2dq, cvtdq2pd
    both cvttpd2dq
    code "cvtsi2ssl %ecx, %xmm0", "cvtsi2sdq %rax, %xmm0", "cvtsi2sdl (%rdi), %xmm1", \
        "cvttss2si %xmm0, %eax", "cvtsd2si %xmm5, %rax", "cvttsd2si (%rdi), %rcx", \
        "roundsd $1, %xmm1, %xmm0", "roundps $2, %xmm1, %xmm0", "dpps $0xf1, %xmm1, %xmm0", \
        "mpsadbw $3, %xmm1, %xmm0", "ucomiss %xmm1, %xmm0; seta %al; setp %cl; sbbl %edx, %edx", \
        "comisd %xmm5, %xmm6; ja 8f; incl %eax; 8: jp 9f; decl %ecx; 9:", \
        "blendvps %xmm0, %xmm1, %xmm2", "pcmpistri $0, %xmm1, %xmm0; setc %al", \
        "movaps %xmm1, %xmm2; addps %xmm2, %xmm2; xorps %xmm1, %xmm1; movaps %xmm2, %xmm1", \
        "movd %ecx, %xmm7; pshufd $0, %xmm7, %xmm7; paddd %xmm7, %xmm7; movd %xmm7, %edx", \
        "movaps (%rdi), %xmm3; movaps %xmm4, (%rdi); paddq (%rdi), %xmm3; movq %xmm3, %rax"
pieces_end:

    .p2align 4
inputs: /* XMM0 to XMM7: integers, then numbers, then what is none */
    .quad 0x0123456789abcdef, 0xfedcba9876543210, 0x00ff7f8001fe55aa, 0x8000000000000001
    .quad 0x7fff80007fff8000, 0x00010002fffefffd, 0x1020304050607080, 0xf0e0d0c0b0a09080
    .quad 5, 0, -1, -1, 0x3ff0000000000000, 0x4000000000000000, 0, 17
    .float 1.5, -2.25, 1000000, 0.0078125, 3, 7, -0.5, 1e-30
    .double 2.5, -1e10, 3.14159, 1e300
    .float 9, 16, 0.1, 1e30, 2, 4, 8, 16
    .double -7.75, 2147483648, 1, 3
    .long 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00000, 0x00000001, 0x807fffff, 0x80000000, 0
    .quad 0x7ff0000000000000, 0x7ff8000000000001, 0x7ff4000000000000, 1
    .quad 0x8000000000000000, 0x000fffffffffffff, 0xfff0000000000000, 0x3ff0000000000000
    .quad 0x7fefffffffffffff, 0, 0x0010000000000000, 0x7ff8000000000000
inputs_end:
    .if (inputs_end - inputs) % 128
    .error "inputs"
    .endif
default: .long 0x1f80
    .p2align 4
memory: .skip 64
result: .skip 8 * QUADS
    .p2align 4
wanted: .skip 8 * QUADS
