/* Where code may lie: an entry at each byte of a page, thousands of blocks of one instruction, an
 * instruction across two pages of which the second changes, the end of RAM and beyond, the end of
 * the lower half of the address space. [SDM 3A "Page-Fault Exceptions"], [SDM 1 "Canonical
 * Addressing"] */
#include "guest.inc"
#define PAGE    (REGION + 0x8000)
#define PAGE_A  (REGION + 0x2000)
#define PAGE_B  (REGION + 0x3000)
#define FRAME_1 (REGION + 0x20000)
#define FRAME_2 (REGION + 0x21000)
#define RAM_END 0x1000000           /* as the machine of test_run.c has it */
#define TINY    6000
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    call each_byte
    call tiny
    call crossing
    call ram_end
    call half_end
    PASS()

/* 04 04 04 .. C3 C3 in each 32 bytes: from an even byte on add $4, %al some times; from an odd one
 * the last is add $0xc3, %al */
each_byte:
    movl $PAGE, %edi
    movl $128, %edx
1:  movb $0x04, %al
    movl $30, %ecx
    rep stosb
    movw $0xc3c3, (%rdi)
    addl $2, %edi
    decl %edx
    jnz 1b
    movl $30, %ebp
2:  xorl %ebx, %ebx
3:  movl %ebx, %ecx             /* what it must be */
    andl $31, %ecx
    movl $30, %edx
    subl %ecx, %edx
    jg 4f
    xorl %edx, %edx
4:  movl %edx, %ecx
    shrl $1, %edx
    shll $2, %edx
    testl $1, %ecx
    jz 5f
    subl $0x3d, %edx            /* + C3H */
5:  leal PAGE(%rbx), %esi
    xorl %eax, %eax
    call *%rsi
    cmpb %dl, %al
    EXPECT(e)
    incl %ebx
    cmpl $0x1000, %ebx
    jne 3b
    decl %ebp
    jnz 2b
    ret

/* each jump is a block; then the same with calls deeper and deeper */
tiny:
    movl $40, %r14d
1:  xorl %eax, %eax
    call jumps
    cmpl $TINY, %eax
    EXPECT(e)
    xorl %eax, %eax
    call calls
    cmpl $64, %eax
    EXPECT(e)
    decl %r14d
    jnz 1b
    ret
jumps:
    .rept TINY
    jmp . + 4
    .word 0x0b0f                /* never run */
    incl %eax
    .endr
    ret
calls:
    .rept 64
    incl %eax
    call . + 6                  /* to behind the RET */
    ret
    .endr
    ret

/* An instruction across PAGE_A and PAGE_B: the second part comes from another frame, or from none.
 * RIP is then the instruction's, CR2 the page's. */
crossing:
    COPY(crossing_code, PAGE_B - BEFORE, BEFORE)
    COPY(crossing_code + BEFORE, FRAME_1, crossing_end - crossing_code - BEFORE)
    COPY(crossing_code + BEFORE, FRAME_2, crossing_end - crossing_code - BEFORE)
    movb $0x99, FRAME_2         /* of the immediate */
    movb $0xc1, FRAME_2 + 4     /* inc %ecx instead of inc %eax */
    movl $PAGE_B - BEFORE, %edx
    MAP(PAGE_B, FRAME_1 + 7)
    HOT(call *%rdx; cmpl $0x11223345, %eax; EXPECT(e))
    MAP(PAGE_B, FRAME_2 + 7)
    HOT(call *%rdx; cmpl $0x11229944, %eax; EXPECT(e))
    HOT(MAP(PAGE_B, FRAME_1 + 7); call *%rdx; cmpl $0x11223345, %eax; EXPECT(e); \
        MAP(PAGE_B, FRAME_2 + 7); call *%rdx; cmpl $0x11229944, %eax; EXPECT(e))
    HOT(MAP(PAGE_B, 0); EXPECT_PF(0x10, PAGE_B, PAGE_B - 2, call *%rdx); addq $8, %rsp; \
        cmpl $10, fault_rcx; EXPECT(e); MAP(PAGE_B, FRAME_1 + 7); call *%rdx)
    /* a byte on either side is patched */
    HOT(movb %r15b, FRAME_1; SERIALIZE(); call *%rdx; movzbl %ah, %ecx; cmpb %r15b, %cl; EXPECT(e))
    HOT(movb %r15b, PAGE_B - 1; call *%rdx; decl %eax; cmpb %r15b, %al; EXPECT(e))
    ret
    .set BEFORE, 10
crossing_code:
    movl $10, %ecx
    .byte 0xeb, 0               /* another block */
    nop
    movl $0x11223344, %eax      /* PAGE_B begins with its third byte, 33H */
    incl %eax
    ret
crossing_end:

/* the last bytes of RAM; what lies beyond reads as ones, which is no instruction */
ram_end:
    movl $0x00c3c0ff, RAM_END - 4
    movl $RAM_END - 4, %edx
    xorl %eax, %eax
    HOT(call *%rdx)
    cmpl $HOT_ROUNDS, %eax
    EXPECT(e)
    movl $0xc0ff9090, RAM_END - 4
    movq %rsp, %rbp
    xorl %eax, %eax
    movl $RAM_END, %ebx
    HOT(EXPECT_FAULT(UD_VECTOR, call *%rdx); cmpq %rbx, fault_rip; EXPECT(e); movq %rbp, %rsp)
    cmpl $HOT_ROUNDS, %eax
    EXPECT(e)
    movb $0xb9, RAM_END - 1     /* mov $imm32, %ecx, of which only the opcode is in RAM */
    leal -1(%rbx), %edx
    addl $4, %ebx
    HOT(xorl %ecx, %ecx; EXPECT_FAULT(UD_VECTOR, call *%rdx); cmpq %rbx, fault_rip; EXPECT(e); \
        movq %rbp, %rsp; cmpl $-1, %ecx; EXPECT(e))
    /* code where no RAM is at all */
    movl $0xd0000000, %edx
    HOT(EXPECT_FAULT(UD_VECTOR, call *%rdx); cmpq %rdx, fault_rip; EXPECT(e); movq %rbp, %rsp)
    ret

/* the page at 7FFFFFFFF000H: its code can run up to the end; the next address is not canonical */
half_end:
    movl $pdpt_high + 7, pml4 + 8 * 255
    movl $pd_high + 7, pdpt_high + 8 * 511
    movl $pt_high + 7, pd_high + 8 * 511
    movl $FRAME_1 + 7, pt_high + 8 * 511
    movl $0xc3c0ff, FRAME_1 + 0xffd
    movabsq $0x7ffffffffffd, %rdx
    xorl %eax, %eax
    HOT(call *%rdx)
    movb $0x90, FRAME_1 + 0xfff
    movq %rsp, %rbp
    leaq 3(%rdx), %rbx
    HOT(EXPECT_FAULT(GP_VECTOR, call *%rdx); cmpq %rbx, fault_rip; EXPECT(e); \
        cmpl $0, last_error; EXPECT(e); movq %rbp, %rsp)
    cmpl $2 * HOT_ROUNDS, %eax
    EXPECT(e)
    ret
    .bss
    .p2align 12
pdpt_high: .skip 0x1000
pd_high: .skip 0x1000
pt_high: .skip 0x1000
