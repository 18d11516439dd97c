/* Loads and stores that have run often through one page, when its entry changes: another frame,
 * less rights, accessed and dirty flags cleared, MMIO instead of RAM; pages that look alike in some
 * bits of their address; segment bases. [SDM 3A "Invalidation of TLBs and Paging-Structure
 * Caches"], [SDM 3A "Accessed and Dirty Flags"] */
#include "guest.inc"
#define PAGE    (REGION + 0x3000)
#define FRAME_1 (REGION + 0x20000)
#define FRAME_2 (REGION + 0x21000)
#define TWIN    (PAGE + 0x800000)   /* the same bits 22:12 */
#define ACCESSED 0x20
#define DIRTY    0x40
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    movl $PAGE, %ebx

    /* another frame */
    movl $1, FRAME_1 + 0x10
    movl $2, FRAME_2 + 0x10
    MAP(PAGE, FRAME_1 + 7)
    HOT(cmpl $1, 0x10(%rbx); EXPECT(e))
    MAP(PAGE, FRAME_2 + 7)
    HOT(cmpl $2, 0x10(%rbx); EXPECT(e))
    movq %cr3, %rbp
    HOT(MAP(PAGE, FRAME_1 + 7); movl 0x10(%rbx), %eax; incl (%rbx); pushq 0x10(%rbx); \
        movq $FRAME_2 + 7, PTE_OF(PAGE); movq %rbp, %cr3; \
        movl 0x10(%rbx), %ecx; addl $2, (%rbx); popq %rdx; \
        cmpl $1, %eax; EXPECT(e); cmpl $2, %ecx; EXPECT(e); cmpl $1, %edx; EXPECT(e))
    EXPECT_EQ(HOT_ROUNDS, FRAME_1)
    EXPECT_EQ(2 * HOT_ROUNDS, FRAME_2)

    /* the four ways to lose a right, each way to access */
    call works
    HOT(MAP(PAGE, FRAME_1 + 6); movl $0, %ebp; call reads; movl $2, %ebp; call writes; \
        MAP(PAGE, FRAME_1 + 7); call works)
    HOT(MAP(PAGE, FRAME_1 + 5); call reads_well; movl $3, %ebp; call writes_wp; \
        MAP(PAGE, FRAME_1 + 7); call works)

    /* accessed and dirty */
    HOT(MAP(PAGE, FRAME_1 + 7); testb $ACCESSED, PTE_OF(PAGE); EXPECT(z); \
        movl (%rbx), %eax; testb $ACCESSED, PTE_OF(PAGE); EXPECT(nz); \
        testb $DIRTY, PTE_OF(PAGE); EXPECT(z); \
        movl %eax, (%rbx); testb $DIRTY, PTE_OF(PAGE); EXPECT(nz))
    HOT(MAP(PAGE, FRAME_1 + 7); xaddl %eax, 4(%rbx); \
        testb $DIRTY, PTE_OF(PAGE); EXPECT(nz); \
        andb $~DIRTY, PTE_OF(PAGE); invlpg PAGE; movl (%rbx), %eax; cmpl (%rbx), %eax; \
        testb $DIRTY, PTE_OF(PAGE); EXPECT(z); \
        notb (%rbx); testb $DIRTY, PTE_OF(PAGE); EXPECT(nz))

    /* two pages of the same bits 22:12, two of the same bits 31:0 */
    movl $pdpt_high + 7, pml4 + 8 * 128
    movl $pd_high + 7, pdpt_high
    movl $pt_high + 7, pd_high + 8 * (PAGE >> 21)
    movl $FRAME_2 + 7, pt_high + PTE_AT(PAGE)
    movl $TWIN, %esi
    movl $PAGE, %edi
    btsq $46, %rdi
    movl $10, (%rbx)
    movl $20, (%rsi)
    movl $30, (%rdi)
    HOT(incl (%rbx); addl $2, (%rsi); addl $3, (%rdi); movl (%rbx), %eax; addl (%rsi), %eax; \
        addl (%rdi), %eax; movl %r15d, %ecx; negl %ecx; addl $HOT_ROUNDS + 1, %ecx; \
        imull $6, %ecx; addl $60, %ecx; cmpl %ecx, %eax; EXPECT(e))
    EXPECT_EQ(10 + HOT_ROUNDS, FRAME_1)
    EXPECT_EQ(20 + 2 * HOT_ROUNDS, TWIN)
    EXPECT_EQ(30 + 3 * HOT_ROUNDS, FRAME_2)

    /* RAM, then the local APIC's registers, then RAM */
    movl $0x5a, FRAME_1 + 0x80
    movl $APIC + 7, %r12d
    HOT(MAP(PAGE, FRAME_1 + 7); movl 0x80(%rbx), %eax; cmpl $0x5a, %eax; EXPECT(e); \
        movq %r12, PTE_OF(PAGE); invlpg PAGE; movl $0x20, 0x80(%rbx); \
        movl 0x80(%rbx), %eax; cmpl $0x20, %eax; EXPECT(e); addl $0x10, 0x80(%rbx); \
        movl $0, 0x300(%rbx); movq %cr8, %rax; cmpl $3, %eax; EXPECT(e))
    MAP(PAGE, FRAME_1 + 7)
    EXPECT_EQ(0x5a, FRAME_1 + 0x80)
    EXPECT_EQ(0, FRAME_1 + 0x300)

    /* data that becomes code after many stores, and code that is data again */
    HOT(movl $0x90909090, 0x400(%rbx); movl $0xc3c0ff90, 0x400(%rbx))
    leal 0x400(%rbx), %edx
    xorl %eax, %eax
    HOT(call *%rdx)
    HOT(movb $0xc3, 0x401(%rbx); call *%rdx; movb $0xff, 0x401(%rbx); call *%rdx)
    cmpl $2 * HOT_ROUNDS, %eax
    EXPECT(e)

    /* bases of FS and GS */
    movl $1, FRAME_1
    movl $2, FRAME_2
    movl $0xc0000101, %ecx      /* IA32_GS_BASE */
    xorl %edx, %edx
    HOT(movl $FRAME_1, %eax; wrmsr; movl %gs:0, %esi; movl $FRAME_2, %eax; wrmsr; \
        movl %gs:0, %edi; cmpl $1, %esi; EXPECT(e); cmpl $2, %edi; EXPECT(e))
    movl $0xc0000102, %ecx      /* IA32_KERNEL_GS_BASE */
    movl $FRAME_1, %eax
    wrmsr
    HOT(swapgs; movl %gs:0, %esi; swapgs; cmpl $1, %esi; EXPECT(e); movl %gs:0, %esi; \
        cmpl $2, %esi; EXPECT(e))
    movq %cr4, %rax
    btsl $16, %eax              /* FSGSBASE */
    movq %rax, %cr4
    movl $FRAME_1, %esi
    movl $FRAME_2, %edi
    HOT(wrfsbase %rsi; movl %fs:0, %eax; wrfsbase %rdi; subl %fs:0, %eax; cmpl $-1, %eax; \
        EXPECT(e))
    movw $DATA32, %ax
    HOT(wrfsbase %rsi; movw %ax, %fs; movl %fs:FRAME_2, %ecx; cmpl $2, %ecx; EXPECT(e))
    /* read again, whole and by halves; a base that is not canonical; not enabled */
    movq $-8, %rbp
    HOT(wrgsbase %rbp; rdgsbase %r10; cmpq $-8, %r10; EXPECT(e); wrgsbase %ebp; rdgsbase %rbx; \
        cmpq %rbx, %rbp; EXPECT(ne); cmpl %ebx, %ebp; EXPECT(e); wrfsbase %r10; rdfsbase %eax; \
        cmpq %rbx, %rax; EXPECT(e); wrfsbase %rsi; rdfsbase %r11; cmpq %rsi, %r11; EXPECT(e))
    btcq $63, %rbp
    movl $0, hook
    HOT(EXPECT_FAULT_CODE(GP_VECTOR, 0, wrfsbase %rbp); rdfsbase %rax; cmpq %rsi, %rax; EXPECT(e))
    movl $2, %ebx
1:  movl $0, %ecx
    HOT(movl $-1, last_vector; movl $2f, resume; rdgsbase %rax; incl %ecx; 2: movl $0, resume)
    movq %cr4, %rax
    btrl $16, %eax
    movq %rax, %cr4
    decl %ebx
    jnz 1b
    testl %ecx, %ecx
    EXPECT(z)
    EXPECT_EQ(UD_VECTOR, last_vector)
    PASS()

/* accesses of PAGE, each in a loop of its own; `expect` follows each */
    .macro each_read expect
    \expect "movl 8(%rbx), %eax"
    \expect "movzbl 8(%rbx), %eax"
    \expect "addq 8(%rbx), %rax"
    \expect "cmpl %eax, 8(%rbx)"
    \expect "pushq 8(%rbx); popq %rax"
    \expect "movups 0x10(%rbx), %xmm0"
    \expect "movq 8(%rbx), %xmm1"
    .endm
    .macro each_write expect
    \expect "movl %eax, 8(%rbx)"
    \expect "movb %al, 8(%rbx)"
    \expect "movq $5, 8(%rbx)"
    \expect "addl %eax, 8(%rbx)"
    \expect "lock incl 8(%rbx)"
    \expect "xchgl %ecx, 8(%rbx)"
    \expect "cmpxchgl %ecx, 8(%rbx)"
    \expect "setc 8(%rbx)"
    \expect "shll $1, 8(%rbx)"
    \expect "pushq $8; popq 8(%rbx)"
    \expect "movups %xmm0, 0x10(%rbx)"
    \expect "btsl $1, 8(%rbx)"
    .endm
    .macro fine what
    \what
    .endm
    .macro fault what
    movq %rsp, %r13
    EXPECT_FAULT(PF_VECTOR, \what)
    movq %r13, %rsp
    cmpl %ebp, last_error
    EXPECT(e)
    movq fault_cr2, %rdx
    andl $~0x18, %edx
    cmpq %rbx, %rdx
    EXPECT(e)
    .endm
    .macro fine_without_wp what
    movq %cr0, %rdx
    btrl $16, %edx
    movq %rdx, %cr0
    \what
    btsl $16, %edx
    movq %rdx, %cr0
    fault "\what"
    .endm
works:
    each_read fine
    each_write fine
    ret
reads:
    each_read fault
    ret
reads_well:
    each_read fine
    ret
writes:
    each_write fault
    ret
writes_wp:
    each_write fine_without_wp
    ret
    .bss
    .p2align 12
pdpt_high: .skip 0x1000
pd_high: .skip 0x1000
pt_high: .skip 0x1000
