/* Where things are in the guest of test_native.c: for its kernel (native_guest.S) and for what fills it
 * in (native_guest.c, native_stream.c). Physical addresses, mapped 1:1 for the supervisor, but for
 * those of the stream: its code, its data. */
#pragma once

#define NG_GDT 0x1000
#define NG_IDT 0x2000
#define NG_TSS 0x3000
#define NG_KERNEL 0x4000
#define NG_KERNEL_SIZE 0x2000
#define NG_VARS 0x6000
#define NG_STACK 0x9000   /* down from here */
#define NG_FX 0x9000      /* FXSAVE image that each round begins with */
#define NG_FX_LEFT 0x9800 /* what it has left */
#define NG_RESUME \
    0xa000 /* by distance from the first byte of code: how far to the next instruction */
#define NG_TABLES 0x10000
#define NG_TABLES_END 0x40000
#define NG_TEMPLATE 0x40000  /* of page table entries */
#define NG_SEEDS 0x80000     /* records of rounds */
#define NG_PRISTINE 0x100000 /* the code, to be put back */
#define NG_CODE_PA 0x200000
#define NG_OTHER_PA 0x210000 /* the code once more, changed */
#define NG_DATA_PA 0x220000
#define NG_USER_PA 0x3ff000

/* linear addresses of the stream */
#define NG_USER 0x5ff000 /* variables that it reads and writes */
#define NG_DATA 0x600000
#define NG_DATA_PAGES 24
#define NG_ALIAS_PAGE 20 /* of NG_DATA: from here on its code again */
#define NG_CODE_PAGES 3
#define NG_CODE_BYTES 0x3000

/* variables of the stream */
#define NG_FUEL 0  /* how often it may still jump backwards */
#define NG_ROUND 4 /* number of the round */
#define NG_FUEL_A_ROUND 24

/* variables of the kernel */
#define NG_ROUNDS (NG_VARS + 0)     /* to go */
#define NG_FAULTS (NG_VARS + 4)     /* of this round */
#define NG_TICKS (NG_VARS + 8)      /* of the timer, in this round */
#define NG_STEPS (NG_VARS + 12)     /* single steps */
#define NG_PERIOD (NG_VARS + 16)    /* of the timer; 0: it is off */
#define NG_RESTORE (NG_VARS + 20)   /* rounds (a mask) between which the code is put back */
#define NG_SUM (NG_VARS + 24)       /* of all frames that exceptions have left */
#define NG_NEXT (NG_VARS + 32)      /* record of the next round */
#define NG_CODE_AT (NG_VARS + 40)   /* linear address of the code */
#define NG_CONTEXT_B (NG_VARS + 48) /* CR3 of the second context */
#define NG_CR4 (NG_VARS + 56)       /* at the begin of a round */
#define NG_DATA_PT (NG_VARS + 64)   /* page table entries of NG_DATA, of both contexts */
#define NG_CODE_PT (NG_VARS + 80)   /* ... of the code */
#define NG_COPIES (NG_VARS + 96)    /* four times: where entries are to be restored, how many */

#define NG_FAULTS_A_ROUND 40
#define NG_TICKS_A_ROUND 12

/* a record: CR3, CR0, FS base, GS base, 15 registers, RIP, CS, RFLAGS, RSP, SS */
#define NG_RECORD_WORDS 24

#define NG_KERNEL_CODE 0x18
#define NG_KERNEL_DATA 0x10
#define NG_USER_CODE32 0x33
#define NG_USER_DATA 0x3b
#define NG_USER_CODE 0x43
#define NG_TSS_SEL 0x48

#define NG_TIMER_VECTOR 0x30
#define NG_END_VECTOR 0x80 /* the round is over; the next three change the mode */
#define NG_APIC 0xfee00000
#define NG_EXIT_PORT 0xf4
