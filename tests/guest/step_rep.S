/* A single step over REP is a trap after each repetition; RIP stays on the instruction until the
 * last. [SDM 2B "REP/REPE/REPZ/REPNE/REPNZ"] */
#include "guest.inc"
    .text
    .code32
    .globl test
trap:
    movl traps, %ecx
    movl last_eip, %eax
    movl %eax, where(, %ecx, 4)
    movl 28(%ebp), %eax         /* ECX */
    movl %eax, counts(, %ecx, 4)
    incl traps
    ret
test:
    movl $trap, hook
    movl $from, %esi
    movl $to, %edi
    movl $3, %ecx
    pushfl
    orl $0x100, (%esp)
    popfl
a:  rep movsb
b:  pushfl
    andl $~0x100, (%esp)
    popfl
    EXPECT_EQ(6, traps)
    EXPECT_EQ(a, where)
    EXPECT_EQ(2, counts)
    EXPECT_EQ(a, where + 4)
    EXPECT_EQ(1, counts + 4)
    EXPECT_EQ(b, where + 8)
    EXPECT_EQ(0, counts + 8)
    EXPECT_EQ(0x00636261, to)

    /* no repetition: one trap, behind */
    movl $0, traps
    xorl %ecx, %ecx
    pushfl
    orl $0x100, (%esp)
    popfl
c:  rep stosb
d:  pushfl
    andl $~0x100, (%esp)
    popfl
    EXPECT_EQ(4, traps)
    EXPECT_EQ(d, where)

    /* REPE CMPSB ends at the difference */
    movl $0, traps
    movl $from, %esi
    movl $other, %edi
    movl $4, %ecx
    pushfl
    orl $0x100, (%esp)
    popfl
e:  repe cmpsb
f:  pushfl
    andl $~0x100, (%esp)
    popfl
    EXPECT_EQ(5, traps)
    EXPECT_EQ(e, where)
    EXPECT_EQ(f, where + 4)
    EXPECT_EQ(2, counts + 4)
    ret
    .data
    .p2align 2
traps: .long 0
where: .skip 64
counts: .skip 64
from: .ascii "abcd"
other: .ascii "aXcd"
to: .long 0, 0
