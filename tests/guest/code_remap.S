/* A page of hot code becomes another one: by INVLPG, MOV to CR3, CR4.PGE, or another PCID. Direct
 * and indirect jumps, calls, returns, and code that just goes on into the page, reach what is there
 * now. [SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"] */
#include "guest.inc"
#define PAGE_A  (REGION + 0x2000)
#define PAGE_B  (REGION + 0x3000)
#define FRAME_1 (REGION + 0x20000)
#define FRAME_2 (REGION + 0x21000)
#define WAYS    7                   /* into PAGE_B, one each 40H bytes of PAGE_A */
#define GLOBAL  0x100
#define SWITCHER (PAGE_A + 0x200)
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    COPY(image_a, PAGE_A, 0x1000)
    COPY(image_1, FRAME_1, image_2 - image_1)
    COPY(image_2, FRAME_2, image_end - image_2)

    /* INVLPG, after long runs and each time */
    MAP(PAGE_B, FRAME_1 + 7)
    movl $1, %ebx
    call tour
    MAP(PAGE_B, FRAME_2 + 7)
    movl $2, %ebx
    call tour
    HOT(MAP(PAGE_B, FRAME_1 + 7); movl $1, %ebx; call visit; \
        MAP(PAGE_B, FRAME_2 + 7); movl $2, %ebx; call visit)

    /* the page changes while a function that it called runs: the return finds the new one */
    HOT(MAP(PAGE_B, FRAME_1 + 7); movl $FRAME_1 + 7, %r12d; movl $PAGE_B + 0x40, %edx; \
        call *%rdx; cmpl $1, %eax; EXPECT(e))
    HOT(MAP(PAGE_B, FRAME_1 + 7); movl $FRAME_2 + 7, %r12d; movl $PAGE_B + 0x40, %edx; \
        call *%rdx; cmpl $2, %eax; EXPECT(e))

    /* MOV to CR3 */
    movq %cr3, %rbp
    HOT(movq $FRAME_1 + 7, PTE_OF(PAGE_B); movq %rbp, %cr3; movl $1, %ebx; call visit; \
        movq $FRAME_2 + 7, PTE_OF(PAGE_B); movq %rbp, %cr3; movl $2, %ebx; call visit)

    /* global pages: INVLPG, and a change of CR4.PGE */
    movq %cr4, %rax
    btsl $7, %eax
    movq %rax, %cr4
    HOT(MAP(PAGE_B, FRAME_1 + 7 + GLOBAL); movl $1, %ebx; call visit; \
        MAP(PAGE_B, FRAME_2 + 7 + GLOBAL); movl $2, %ebx; call visit)
    HOT(movq $FRAME_1 + 7 + GLOBAL, PTE_OF(PAGE_B); call pge; movl $1, %ebx; call visit; \
        movq $FRAME_2 + 7 + GLOBAL, PTE_OF(PAGE_B); call pge; movl $2, %ebx; call visit)
    MAP(PAGE_B, FRAME_1 + 7)
    call spaces

    /* the page that holds the running code: it goes on in the new frame */
    COPY(PAGE_A, FRAME_1, 0x1000)
    COPY(PAGE_A, FRAME_2, 0x1000)
    movl $2, FRAME_2 + 0x300 + by_invlpg_value - by_invlpg
    movl $2, FRAME_2 + 0x300 + by_cr3_value - by_invlpg
    movl $2, FRAME_2 + 0x300 + by_pge_value - by_invlpg
    .irp way, by_invlpg, by_cr3, by_pge
    MAP(PAGE_B, FRAME_1 + 7)
    movl $PAGE_B + 0x300 + \way - by_invlpg, %edx
    HOT(movl $FRAME_1 + 7, %r12d; call *%rdx; cmpl $1, %eax; EXPECT(e); \
        movl $FRAME_2 + 7, %r12d; call *%rdx; cmpl $2, %eax; EXPECT(e); \
        movl $FRAME_2 + 7, %r12d; call *%rdx; cmpl $2, %eax; EXPECT(e))
    .endr
    PASS()

pge:
    movq %cr4, %rax
    btrl $7, %eax
    movq %rax, %cr4
    btsl $7, %eax
    movq %rax, %cr4
    ret

/* each way, once: all must lead to the code that says EBX */
visit:
    movl $PAGE_A, %r14d
1:  call *%r14
    cmpl %ebx, %eax
    EXPECT(e)
    addl $0x40, %r14d
    cmpl $PAGE_A + 0x40 * WAYS, %r14d
    jne 1b
    ret
/* each way, hot */
tour:
    movl $PAGE_A, %r14d
2:  HOT(call *%r14; cmpl %ebx, %eax; EXPECT(e))
    addl $0x40, %r14d
    cmpl $PAGE_A + 0x40 * WAYS, %r14d
    jne 2b
    ret

/* Two address spaces, first with the flush of each MOV to CR3, then with PCIDs 1 and 2, where a
 * MOV to CR3 with bit 63 keeps all. */
spaces:
    movl pml4, %esi
    andl $~0xfff, %esi          /* the PDPT */
    movl $pdpt_b, %edi
    movl $0x200, %ecx
    rep movsq
    COPY(page_directory, pd_b, 0x1000)
    COPY(test_pt, pt_b, 0x1000)
    movq $pdpt_b + 7, pml4_b
    movq $pd_b + 7, pdpt_b
    movq $pt_b + 7, pd_b + 16
    movq $FRAME_2 + 7, pt_b + PTE_AT(PAGE_B)
    movl $pml4, %ebp
    movl $pml4_b, %r12d
    call there_and_back
    movq %cr4, %rax
    btsl $17, %eax              /* PCIDE, with PCID 0 in CR3 */
    movq %rax, %cr4
    incl %ebp                   /* PCID 1 */
    addl $2, %r12d
    call there_and_back
    btsq $63, %rbp
    btsq $63, %r12
    call there_and_back
    /* INVPCID of one address makes the change known */
    movq $FRAME_1 + 7, pt_b + PTE_AT(PAGE_B)
    movl $0, %eax
    invpcid one_address, %rax
    movq %r12, %cr3
    movl $1, %ebx
    call tour
    movq $FRAME_2 + 7, pt_b + PTE_AT(PAGE_B)
    invpcid one_address, %rax
    movl $2, %ebx
    call tour
    movl $pml4, %eax
    movq %rax, %cr3
    ret
there_and_back:
    movq %rbp, %cr3
    movl $1, %ebx
    call tour
    movq %r12, %cr3
    movl $2, %ebx
    call tour
    HOT(movq %rbp, %cr3; movl $1, %ebx; call visit; movq %r12, %cr3; movl $2, %ebx; call visit)
    ret

    .p2align 12
image_a:
    call image_1                /* direct */
    ret
    .org image_a + 0x40
    jmp image_1
    .org image_a + 0x80
    xorl %eax, %eax
    jz image_1
    ud2
    .org image_a + 0xc0         /* indirect */
    movl $PAGE_B, %edx
    jmp *%rdx
    .org image_a + 0x100
    pushq $PAGE_B
    call *(%rsp)
    popq %rdx
    ret
    .org image_a + 0x140        /* by RET */
    pushq $PAGE_B
    ret
    .org image_a + 0x180        /* from an instruction to the next */
    jmp 1f
    .org image_a + 0x200        /* SWITCHER */
    movq %r12, PTE_OF(PAGE_B)
    invlpg PAGE_B
    ret
    .org image_a + 0x300        /* the last part: changes its own page */
by_invlpg:
    movq %r12, PTE_OF(PAGE_B)
    invlpg PAGE_B
    movl $1, %eax
by_invlpg_value = . - 4
    ret
by_cr3:
    movq %cr3, %rax
    movq %r12, PTE_OF(PAGE_B)
    movq %rax, %cr3
    movl $1, %eax
by_cr3_value = . - 4
    ret
by_pge:
    movq %cr4, %rax
    movq %r12, PTE_OF(PAGE_B)
    btcl $7, %eax
    movq %rax, %cr4
    movl $1, %eax
by_pge_value = . - 4
    ret
    .org image_a + 0xffa
1:  xorl %eax, %eax
    cld
    cld
    cld
    cld

    .macro target n
    movl $\n, %eax
    ret
    .org image_\n + 0x40
    call . + SWITCHER - (PAGE_B + 0x40)
    movl $\n, %eax
    ret
    .endm
image_1:
    target 1
image_2:
    target 2
image_end:
    .data
    .p2align 3
one_address: .quad 2, PAGE_B
    .bss
    .p2align 12
pml4_b: .skip 0x1000
pdpt_b: .skip 0x1000
pd_b:   .skip 0x1000
pt_b:   .skip 0x1000
