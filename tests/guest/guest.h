/* For guest programs (.S): ends of a program, expectations, exceptions. A program's `test` is
 * called in 32-bit protected mode, flat, CPL 0, with an IDT that catches everything (start.S), and
 * returns when all is well. What fails sends its line through COM1 and ends the machine. */

/* selectors of start.S's GDT */
#define CODE32   0x08
#define DATA32   0x10
#define CODE64   0x18
#define CODE16   0x20
#define DATA16   0x28
#define USER_CODE32 0x33
#define USER_DATA   0x3b
#define USER_CODE64 0x43
#define TSS_SEL  0x48 /* the current task; in 64-bit mode it takes 48H and 50H */
#define FREE1    0x58 /* for the program, gdt + FREE1 */
#define FREE2    0x60
#define FREE3    0x68

/* 4 MiB to 6 MiB: with paging on, user 4-KiB pages mapped by test_pt (identity) */
#define REGION   0x400000
#define USER_STACK 0x7f0000 /* stacks of CPL 3 grow down from here, without paging */

#define SERIAL    0x3f8
#define EXIT_PORT  0xf4

#define PASS() xorl %eax, %eax; outl %eax, $EXIT_PORT; 772: hlt; jmp 772b
#define FAIL(line)                                                            \
    movw $SERIAL, %dx; movb $0x4c, %al; outb %al, %dx; movl $(line), %eax;    \
    outb %al, %dx; movb %ah, %al; outb %al, %dx;                              \
    movl $1, %eax; outl %eax, $EXIT_PORT; 772: hlt; jmp 772b

/* go on if the condition holds */
#define EXPECT(cc) j##cc 771f; FAIL(__LINE__); 771:
#define EXPECT_EQ(value, where)  cmpl $(value), where; EXPECT(e)
#define EXPECT_EQB(value, where) cmpb $(value), where; EXPECT(e)
#define EXPECT_EQW(value, where) cmpw $(value), where; EXPECT(e)

/* run instructions; an exception among them ends up behind them, with last_vector and the like set
 * (last_vector -1: none) */
#define TRY(...) movl $-1, last_vector; movl $773f, resume; __VA_ARGS__; 773: movl $0, resume
#define EXPECT_FAULT(vector, ...) TRY(__VA_ARGS__); EXPECT_EQ(vector, last_vector)
#define EXPECT_FAULT_CODE(vector, code, ...) \
    EXPECT_FAULT(vector, __VA_ARGS__); EXPECT_EQ(code, last_error)
#define EXPECT_FINE(...) EXPECT_FAULT(-1, __VA_ARGS__)

/* to 64-bit mode: 4 GiB mapped 1:1 by supervisor 2-MiB pages but REGION */
#define ENTER_LONG() movl $774f, %esi; jmp enter_long; .code64; 774:
/* to 32-bit paging: 4 GiB mapped 1:1 by supervisor 4-MiB pages but REGION */
#define ENTER_PAGING() call enter_paging

/* to CPL 3 (32-bit), with IOPL 3 so that FAIL and PASS work there */
#define ENTER_USER(label) \
    movw $USER_DATA, %ax; movw %ax, %ds; movw %ax, %es; pushl $USER_DATA; pushl $USER_STACK; pushfl; \
    orl $0x3000, (%esp); pushl $USER_CODE32; pushl $label; iretl

#define DE_VECTOR 0
#define DB_VECTOR 1
#define BP_VECTOR 3
#define OF_VECTOR 4
#define BR_VECTOR 5
#define UD_VECTOR 6
#define NM_VECTOR 7
#define DF_VECTOR 8
#define TS_VECTOR 10
#define NP_VECTOR 11
#define SS_VECTOR 12
#define GP_VECTOR 13
#define PF_VECTOR 14

/* What the APIC sends is recognized soon, not at once: the machine looks between blocks of code,
 * which a branch ends. */
#define SOON() jmp 775f; 775:

#define APIC        0xfee00000
#define APIC_TPR    (APIC + 0x80)
#define APIC_EOI    (APIC + 0xb0)
#define APIC_SVR    (APIC + 0xf0)
#define APIC_ICR    (APIC + 0x300)
#define APIC_ICR_HIGH (APIC + 0x310)
#define APIC_LVT_TIMER (APIC + 0x320)
#define APIC_INITIAL (APIC + 0x380)
#define APIC_CURRENT (APIC + 0x390)
#define APIC_DIVIDE (APIC + 0x3e0)
#define IRQ_VECTOR  0x30 /* what the programs use for the APIC's interrupts */
#define APIC_ON()   movl $0x1ff, APIC_SVR
#define SELF_IPI(vector) movl $0, APIC_ICR_HIGH; movl $(0x44000 | (vector)), APIC_ICR
#define NMI_TO_0()  movl $0, APIC_ICR_HIGH; movl $0x4400, APIC_ICR

#define FRAME_EIP   44 /* from %ebp in a hook of 32-bit mode: after DS, eight registers, vector */
#define FRAME_CS    48
#define FRAME_FLAGS 52
#define FRAME_ESP   56
