/* Hot loops through pointers that walk over pages, stay in one, or jump about, while what they found
 * last changes: the frame, the rights, the entry in the TLB. [SDM 3A "Caching Translation Information"] */
#include "guest.inc"
#define ARRAY  (REGION + 0x40000)
#define PAGES  16
#define WORDS  (PAGES * 512)
#define SUM    (WORDS / 2 * (WORDS - 1))
#define TIMES  (16 * PAGES)
#define FIRSTS (TIMES * 512 * PAGES / 2 * (PAGES - 1))
#define MIDDLE (ARRAY + 0x7000)
#define OTHER  (REGION + 0x20000)
#define TWIN   (MIDDLE + 0x800000) /* the same bits 22:12 */
    .text
    .code32
    .globl test
test:
    ENTER_LONG()
    call fill

    /* forwards, backwards, two at once, across the ends of pages */
    HOT(call sum; cmpq $SUM, %rax; EXPECT(e); cmpl $150, %r15d; ja 1f; movl $1, %r15d; 1:)
    movl $16, %ebp
1:  movl $ARRAY + 8 * WORDS, %esi
    xorl %eax, %eax
2:  subq $8, %rsi
    addq (%rsi), %rax
    cmpq $ARRAY, %rsi
    ja 2b
    cmpq $SUM, %rax
    EXPECT(e)
    movl $ARRAY, %esi
    movl $ARRAY + 8 * WORDS - 8, %edi
    xorl %eax, %eax
2:  movq (%rsi), %rcx
    addq (%rdi), %rcx
    addq %rcx, %rax
    leaq 8(%rsi), %rsi
    leaq -8(%rdi), %rdi
    cmpq %rdi, %rsi
    jb 2b
    cmpq $SUM, %rax
    EXPECT(e)
    movl $ARRAY + 4, %esi           /* the halves of two neighbours */
    xorl %eax, %eax
2:  movq (%rsi), %rcx
    shrq $32, %rcx
    addq %rcx, %rax
    addq $8, %rsi
    cmpq $ARRAY + 8 * WORDS - 4, %rsi
    jb 2b
    cmpq $SUM, %rax
    EXPECT(e)
    decl %ebp
    jnz 1b

    /* from page to page, so often that they are known to lie in a row; then one of them is another */
    call jumps
    cmpq $FIRSTS, %rax
    EXPECT(e)
    movq $-1, OTHER
    MAP(MIDDLE, OTHER + 7)
    call jumps
    cmpq $FIRSTS - TIMES * (7 * 512 + 1), %rax
    EXPECT(e)
    MAP(MIDDLE, MIDDLE + 7)
    call stores
    MAP(MIDDLE, MIDDLE + 5)         /* not to be written */
    movq %cr0, %rax
    btsl $16, %eax
    movq %rax, %cr0
    movq %rsp, %r13
    EXPECT_PF(3, MIDDLE, store_at, call stores)
    movq %r13, %rsp
    MAP(MIDDLE, MIDDLE + 7)
    call stores

    /* three accesses of a page, then one that takes its place in the TLB, then one more: the page has
     * to be walked again, and that takes time */
    movl $MIDDLE, %ebx
    movl $TWIN, %esi
    xorl %r12d, %r12d
    HOT(movl (%rbx), %eax; movl 8(%rbx), %ecx; addl %ecx, 16(%rbx); movl (%rsi,%r12), %edx; \
        subl %ecx, 16(%rbx); movl 24(%rbx), %edi)
    HOT(movl (%rbx), %eax; movl 8(%rbx), %ecx; addl %ecx, 16(%rbx); \
        invlpg MIDDLE; subl %ecx, 16(%rbx); movl 24(%rbx), %edi; movl (%rbx), %eax)

    /* the access that follows takes a fault, whose handler gives the page another frame */
    movq $5, OTHER + 8
    movl $REGION + 0x10000, %edi
    movl $remap, hook
    HOT(movl $7 * 512 + 1, %ebp; MAP(MIDDLE, MIDDLE + 7); MAP(REGION + 0x10000, 0); \
        movl (%rbx), %eax; movl 8(%rbx), %ecx; addl 8(%rbx), %ecx; movl (%rdi), %edx; \
        cmpl $5, 8(%rbx); EXPECT(e); subl 8(%rbx), %ecx; leal -5(%rbp, %rbp), %eax; \
        cmpl %eax, %ecx; EXPECT(e))
    PASS()

remap:
    EXPECT_VECTOR(PF_VECTOR)
    MAP(MIDDLE, OTHER + 7)
    MAP(REGION + 0x10000, REGION + 0x10007)
    ret

/* each word becomes its number */
fill:
    movl $ARRAY, %edi
    xorl %eax, %eax
1:  movq %rax, (%rdi)
    addq $8, %rdi
    incl %eax
    cmpl $WORDS, %eax
    jb 1b
    ret

/* rax: the sum of all words */
sum:
    movl $ARRAY, %esi
    movl $WORDS, %ecx
    xorl %eax, %eax
1:  addq (%rsi), %rax
    addq $8, %rsi
    decl %ecx
    jnz 1b
    ret

/* rax: the sum of the first words of all pages, 256 times */
jumps:
    movl $TIMES, %ecx
    xorl %eax, %eax
1:  movl $ARRAY, %esi
2:  addq (%rsi), %rax
    addq $0x1000, %rsi
    cmpl $ARRAY + 8 * WORDS, %esi
    jb 2b
    decl %ecx
    jnz 1b
    ret

stores:
    movl $TIMES, %ecx
1:  movl $ARRAY, %esi
2:
store_at:
    movq %rcx, (%rsi)
    addq $0x1000, %rsi
    cmpl $ARRAY + 8 * WORDS, %esi
    jb 2b
    decl %ecx
    jnz 1b
    ret
