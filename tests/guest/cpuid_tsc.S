/* CPUID leaf 15H tells the TSC's rate; the 8254 is the witness. [SDM 2A "CPUID"] */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    movl $0x15, %eax
    xorl %ecx, %ecx
    cpuid
    testl %eax, %eax
    EXPECT(nz)
    testl %ecx, %ecx
    EXPECT(nz)
    movl %eax, %esi
    movl %ecx, %eax
    mull %ebx
    divl %esi                   /* Hz; fits 32 bits up to 4.29 GHz */
    movl %eax, %ebp

    /* channel 2, mode 0, 11932 counts = 10 ms; gate by port 61H, output in its bit 5 */
    inb $0x61, %al
    andb $~2, %al
    orb $1, %al
    outb %al, $0x61
    movb $0xb0, %al
    outb %al, $0x43
    movb $(11932 & 255), %al
    outb %al, $0x42
    movb $(11932 >> 8), %al
    outb %al, $0x42
    rdtsc
    movl %eax, %esi
1:  inb $0x61, %al
    testb $0x20, %al
    jz 1b
    rdtsc
    subl %esi, %eax
    movl %eax, %ecx             /* ticks in 10 ms */
    movl %ebp, %eax
    xorl %edx, %edx
    movl $100, %ebx
    divl %ebx
    movl %eax, %edi
    subl %ecx, %eax
    jns 2f
    negl %eax
2:  shll $6, %eax               /* within 1/64 */
    cmpl %edi, %eax
    EXPECT(b)

    /* RDTSCP gives IA32_TSC_AUX; RDTSC is #GP for users with CR4.TSD */
    movl $0xc0000103, %ecx
    movl $0x4242, %eax
    xorl %edx, %edx
    wrmsr
    rdtscp
    cmpl $0x4242, %ecx
    EXPECT(e)
    movl %cr4, %eax
    orl $4, %eax
    movl %eax, %cr4
    rdtsc
    ENTER_USER(user)
user:
    movl $1f, resume
    rdtsc
1:  EXPECT_EQ(GP_VECTOR, last_vector)
    PASS_WITHOUT_TIME()
