/* One logical processor. Every field has its manual name; what a guest can observe is in the field
 * lists of cpu/cpu.c. */
#pragma once
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/field.h"
#include "base/wire.h"
#include "cpu/features.h"
#include "cpu/flags.h"
#include "cpu/fpu.h"
#include "cpu/native.h"
#include "mmu/mmu.h"
#include "mmu/ports.h"

struct insn;
struct block;
struct block_cache;
struct virt_ops;
struct jit;

/* r[]: the sixteen general registers in encoding order, then two that make every effective address
 * one expression: the RIP of the current block (disp already holds the distance from there to the
 * next instruction), and zero. */
/* clang-format off */
enum {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
    REG_BLOCK_RIP, REG_ZERO, REG_COUNT
};
/* clang-format on */

/* seg[]: in encoding order; SEG_FLAT has base 0 for ever and is what 64-bit mode uses for ES, CS,
 * SS and DS. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_FLAT, SEG_LDTR, SEG_TR, SEG_COUNT };

/* Access rights in the format of the VMCS [SDM 3C "Guest Register State"]: type 3:0, S 4,
 * DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
/* clang-format off */
enum {
    AR_S = 1 << 4, AR_P = 1 << 7, AR_AVL = 1 << 12, AR_L = 1 << 13, AR_DB = 1 << 14,
    AR_G = 1 << 15, AR_UNUSABLE = 1 << 16,
    AR_ACCESSED = 1, AR_WRITE = 2 /* data */, AR_READ = 2 /* code */, AR_DOWN = 4 /* data */,
    AR_CONFORMING = 4 /* code */, AR_CODE = 8,
};
/* clang-format on */
static inline unsigned ar_type(uint32_t ar)
{
    return ar & 15;
}
static inline unsigned ar_dpl(uint32_t ar)
{
    return ar >> 5 & 3;
}

struct seg {
    uint64_t base;
    uint32_t limit; /* in bytes, granularity applied */
    uint32_t ar;    /* AR_* */
    uint16_t selector;
    uint8_t readable; /* derived by seg_settle: expand-up and readable: offset + size - 1 <= limit
                          is the whole check; else the slow check decides */
    uint8_t writable;
};

struct table_reg { /* GDTR, IDTR */
    uint64_t base;
    uint16_t limit;
};

/* What translation and decoding of code depend on: the key of blocks beside the physical address. */
/* clang-format off */
enum {
    KEY_CODE16 = 0, KEY_CODE32 = 1, KEY_CODE64 = 2, KEY_CODE_MASK = 3,
    KEY_SS32 = 1 << 2,    /* SS.B: stack size 32; 0 in 64-bit mode, where it is 64 */
    KEY_USER = 1 << 3,    /* CPL 3 */
    KEY_REAL = 1 << 4,    /* real-address or virtual-8086 mode */
    KEY_NO_X87 = 1 << 5,  /* CR0.EM or CR0.TS: x87 raises #NM */
    KEY_NO_SSE = 1 << 6,  /* CR0.EM, CR0.TS or not CR4.OSFXSR: SSE raises #UD or #NM */
    KEY_SINGLE = 1 << 7,  /* blocks of one instruction: TF, MTF, shadows, tracing, breakpoints */
    KEY_NON_ROOT = 1 << 8,
    KEY_SSE_TRAPS = 1 << 9, /* MXCSR unmasks an exception */
    KEY_X87_TRAPS = 1 << 10, /* the x87 control word does, or one is pending */
};
/* clang-format on */

/* Asynchronous events and states that the boundary between blocks must look at; cpu_events runs
 * when any is set or the budget has run out. */
enum {
    EVENT_INTR = 1 << 0, /* the local APIC has a deliverable interrupt */
    EVENT_NMI = 1 << 1,
    EVENT_SMI = 1 << 2,
    EVENT_INIT = 1 << 3,
    EVENT_SIPI = 1 << 4,
    EVENT_DEBUG_TRAP = 1 << 5, /* pending_dbg: #DB after this instruction */
    EVENT_VIRT = 1 << 6,       /* VMX has something of its own: windows, MTF, timer, virtual intr */
    EVENT_SHADOW = 1 << 7,     /* one instruction of STI or MOV SS blocking is running out */
    EVENT_STOP = 1 << 8,       /* the machine wants this processor out of its loop */
};

/* blocking by [SDM 3C "Guest Non-Register State"], same bits as interruptibility state */
enum { BLOCK_STI = 1, BLOCK_MOV_SS = 2, BLOCK_SMI = 4, BLOCK_NMI = 8 };

/* activity state, values of the VMCS field */
enum activity { ACTIVE = 0, HALTED = 1, SHUTDOWN = 2, WAIT_FOR_SIPI = 3, MWAITING = 4 };

/* event types, values of VM-entry interruption-information */
/* clang-format off */
enum event_type {
    EVENT_TYPE_EXTERNAL = 0, EVENT_TYPE_NMI = 2, EVENT_TYPE_HARDWARE = 3,
    EVENT_TYPE_SOFTWARE_INT = 4, EVENT_TYPE_PRIV_SOFTWARE = 5 /* INT1 */,
    EVENT_TYPE_SOFTWARE_EXC = 6 /* INT3, INTO */, EVENT_TYPE_OTHER = 7,
};
/* clang-format on */

/* An exception or interrupt on its way through the IDT. */
struct event {
    uint8_t vector;
    uint8_t type; /* enum event_type */
    bool has_error;
    uint32_t error_code;
    uint8_t insn_length; /* software interrupts and exceptions: to skip */
    uint64_t payload;    /* #PF: linear address for CR2; #DB: bits for DR6 */
    bool nmi_unblocking; /* the fault came from IRET that had unblocked NMIs */
};

enum {
    DE = 0,
    DB = 1,
    NMI = 2,
    BP = 3,
    OF = 4,
    BR = 5,
    UD = 6,
    NM = 7,
    DF = 8,
    TS = 10,
    NP = 11,
    SS = 12,
    GP = 13,
    PF = 14,
    MF = 16,
    AC = 17,
    MC = 18,
    XM = 19,
    VE = 20,
    CP = 21
};

/* CR0, CR4, EFER bits */
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_VME BIT(0)
#define CR4_PVI BIT(1)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_VMXE BIT(13)
#define CR4_SMXE BIT(14)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

enum { MTRR_VARIABLE_COUNT = 8, MTRR_FIXED_COUNT = 11, MC_BANK_COUNT = 4 };
enum { CPU_MAXPHYADDR = 46, CPU_LINEAR_BITS = 48 };

/* MSRs that are only stored (the ones with behaviour have fields of their own in struct cpu) */
struct msr_values {
    uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, misc_enable, feature_control, debugctl, spec_ctrl, xss;
    uint64_t mtrr_def_type, mtrr_fixed[MTRR_FIXED_COUNT];
    uint64_t mtrr_base[MTRR_VARIABLE_COUNT], mtrr_mask[MTRR_VARIABLE_COUNT];
    uint64_t mcg_status, mcg_ctl, mc_ctl[MC_BANK_COUNT], bios_sign_id;
    uint64_t misc_features, power_ctl, cst_config;
    uint64_t perf_global_ctrl;
};

struct cpu {
    /* hot */
    uint64_t r[REG_COUNT];
    struct flags flags;    /* the six arithmetic flags, lazily: cpu/flags.h */
    uint64_t rip;          /* valid at block boundaries; inside a block use insn_rip() */
    const struct insn *in; /* the running instruction; NULL outside a block */
    struct block *block;   /* the running block */
    int64_t budget;        /* cycles until `horizon`; at or below 0: look at events */
    uint64_t insn_count;   /* instructions retired, by blocks */
    uint32_t events;       /* EVENT_* */
    uint32_t key;          /* KEY_*, derived: cpu_update_key */
    uint64_t rflags;       /* all but the six arithmetic flags; bit 1 is set */
    struct native_state native;
    uint64_t interpreted; /* of insn_count: by the interpreter alone, for statistics */
    uint8_t cpl;
    uint64_t virt_mask; /* BIT(enum virt_insn): ask cpu->virt->insn before executing */
    struct seg seg[SEG_COUNT];
    struct mmu mmu;

    struct fpu fpu; /* x87, MMX, XMM, MXCSR */

    struct table_reg gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
    uint64_t dr[8];
    struct msr_values msr;
    uint64_t tsc_offset; /* TSC of root operation = cycles + tsc_offset (IA32_TSC writes) */
    uint64_t tsc_adjust;

    uint32_t blocking; /* BLOCK_* */
    enum activity activity;
    uint64_t pending_dbg; /* DR6 bits (B0..B3, BS, ..) of a #DB trap that waits */
    uint8_t sipi_vector;
    bool delivering; /* `current` is being delivered through the IDT */
    struct event current;
    struct event raised;     /* by cpu_raise, for the run loop */
    uint64_t monitor_pa;     /* armed by MONITOR; MMU_NO_PAGE: not */
    bool mwait_break;        /* MWAIT with ECX[0]: an interrupt ends it even if IF is 0 */
    bool iret_unblocked_nmi; /* IRET in progress has removed NMI blocking */
    bool step_trap_lost;     /* the running instruction entered a handler: no single-step trap
                                    after it (INT n, exceptions) */
    bool step_always;        /* blocks of one: instruction log, debugger, monitor trap flag */

    /* time */
    uint64_t horizon; /* cycle at which budget reaches 0: now = horizon - budget */
    uint64_t until;   /* cycle at which cpu_run returns */

    /* wiring */
    unsigned index; /* 0 is the bootstrap processor; also the APIC ID */
    unsigned count; /* processors of the machine, for CPUID's topology; 1 */
    const struct cpu_model *model;
    uint64_t features[FEATURE_WORDS]; /* bits of enum feature */
    struct bus *bus;
    struct ports *ports;
    struct clock *clock;
    const struct apic_ops *apic;
    void *apic_owner;
    const struct virt_ops *virt; /* never NULL: virt_none where there is no VMX */
    void *virt_state;            /* of vmx/ */
    bool vmx_operation;          /* VMXON has succeeded: INIT is blocked in root, CR4.VMXE fixed */
    bool non_root;
    uint64_t cr0_fixed_1, cr4_fixed_1; /* bits that must stay 1 (VMX operation), else #GP */
    bool virt_single;                  /* VMX wants blocks of one: monitor trap flag, APIC writes */
    uint64_t virt_deadline;            /* cycle at which VMX wants EVENT_VIRT (preemption timer), or
                                    TIMER_OFF */
    struct block_cache *blocks;
    struct block **block_hash;           /* of blocks */
    const struct native_ops *native_ops; /* NULL: everything is interpreted */
    struct jit *jit;                     /* of native_ops */
    /* the board: entropy of RDRAND, shutdown of a triple fault, a stop for the debugger */
    void *board;
    uint64_t (*entropy)(void *board);
    void (*triple_fault)(struct cpu *cpu, void *board);
    sigjmp_buf *unwind; /* of the run loop */
    FILE *log;          /* -d: cpu/log.h */
    bool log_registers;
};

enum unwind { UNWIND_EXCEPTION = 1, UNWIND_RESTART = 2 };

static inline bool cpu_has(const struct cpu *cpu, enum feature f)
{
    return bit(cpu->features[f / 64], f % 64);
}

/* ---- time ---- */
/* cycles since power-on, as this processor sees them now */
static inline uint64_t cpu_cycles(const struct cpu *cpu)
{
    return cpu->horizon - (uint64_t)cpu->budget + cpu->mmu.cost;
}
/* charge cycles that no row carries */
static inline void cpu_charge(struct cpu *cpu, uint64_t cycles)
{
    cpu->mmu.cost += cycles;
}
/* between blocks: what has been charged besides their static costs counts now (walks; faults alone,
 * as of a handler that faults at its first fetch) */
static inline void cpu_settle_cost(struct cpu *cpu)
{
    cpu->budget -= (int64_t)cpu->mmu.cost;
    cpu->mmu.cost = 0;
}
/* TSC as RDTSC in root operation sees it; non-root adds its offset and multiplier (virt) */
static inline uint64_t cpu_tsc(const struct cpu *cpu)
{
    return cpu_cycles(cpu) + cpu->tsc_offset;
}

/* ---- life (cpu/cpu.c) ---- */
struct cpu *cpu_create(unsigned index, const struct cpu_model *model, const uint64_t *features,
                       struct bus *bus, struct ports *ports, struct clock *clock);
void cpu_destroy(struct cpu *cpu);
/* power-up: [SDM 3A "Processor State After Reset"]; processors but 0 then wait for SIPI */
void cpu_reset(struct cpu *cpu);
/* INIT: as the table says, x87/SSE and the cache control of CR0 are kept */
void cpu_init_signal(struct cpu *cpu);
/* start at vector * 1000H in real mode */
void cpu_startup(struct cpu *cpu, uint8_t vector);
/* after cpu_fields have been restored: derive the rest again */
void cpu_settle(struct cpu *cpu);
/* IA32_APIC_BASE has changed: the local APIC's page is elsewhere, or nowhere (x2APIC mode, off) */
void cpu_apic_moved(struct cpu *cpu);
extern const struct field cpu_fields[];

/* ---- running (cpu/run.c) ---- */
/* Run until `until` (cycles) is reached, the processor idles (activity is not ACTIVE and nothing
 * wakes it), or EVENT_STOP is set. Returns the cycle count reached. */
uint64_t cpu_run(struct cpu *cpu, uint64_t until);
/* leave at the next block boundary and look at events */
void cpu_kick(struct cpu *cpu);
/* a timer has been armed for before what cpu_run was told: return at `deadline` already */
void cpu_limit(struct cpu *cpu, uint64_t deadline);
/* idle time passes: the processor's clock moves on to `now` */
void cpu_advance(struct cpu *cpu, uint64_t now);
static inline void cpu_raise_event(struct cpu *cpu, uint32_t event)
{
    cpu->events |= event;
    cpu_kick(cpu);
}

/* ---- unwinding ---- */
/* Give up the running instruction and raise an exception (type EVENT_TYPE_HARDWARE). The
 * instruction must have changed nothing yet. */
_Noreturn void cpu_raise(struct cpu *cpu, unsigned vector);
_Noreturn void cpu_raise_error(struct cpu *cpu, unsigned vector, uint32_t error_code);
_Noreturn void cpu_raise_event_struct(struct cpu *cpu, const struct event *ev);
/* Give up the running instruction; the run loop goes on at cpu->rip with what the caller has set
 * up (after a VM exit, a VM entry, a task switch). */
_Noreturn void cpu_restart(struct cpu *cpu);
/* Make cpu->rip the address of the running instruction, if one is running (before state is saved
 * or an exception is pushed); afterwards cpu->in is NULL. */
void cpu_sync_rip(struct cpu *cpu);
/* mmu.fault: a fault of the MMU becomes an exception or a VM exit */
__attribute__((noreturn)) void cpu_mmu_fault(void *cpu, const struct mmu_fault *f);

#define raise_ud(cpu) cpu_raise(cpu, UD)
#define raise_gp(cpu, code) cpu_raise_error(cpu, GP, code)
#define raise_ss(cpu, code) cpu_raise_error(cpu, SS, code)
#define raise_np(cpu, code) cpu_raise_error(cpu, NP, code)
#define raise_ts(cpu, code) cpu_raise_error(cpu, TS, code)
#define raise_nm(cpu) cpu_raise(cpu, NM)

/* ---- mode ---- */
/* Derive `key`, the MMU's view and the like from CS, SS, CPL, CR0, CR4, EFER, RFLAGS, MXCSR, the x87
 * control word. Call after a change of any of these that is not one of arithmetic flags or exception
 * flags. Cheap. */
void cpu_update_key(struct cpu *cpu);
/* the MMU's view of accesses at a privilege level (interrupt frames are written at the new one) */
enum mmu_view cpu_view(const struct cpu *cpu, unsigned cpl);
/* BLOCK_STI or BLOCK_MOV_SS: events wait for the end of the next instruction */
void cpu_shadow(struct cpu *cpu, uint32_t block);
/* Copy CR0, CR3, CR4, EFER into mmu.paging and choose the TLB context. */
void cpu_update_paging(struct cpu *cpu);

static inline bool cpu_64bit(const struct cpu *cpu)
{
    return (cpu->key & KEY_CODE64) != 0;
}
static inline bool cpu_long(const struct cpu *cpu)
{
    return (cpu->efer & EFER_LMA) != 0;
}
static inline bool cpu_protected(const struct cpu *cpu)
{
    return (cpu->cr0 & CR0_PE) != 0;
}
static inline bool cpu_vm86(const struct cpu *cpu)
{
    return (cpu->rflags & BIT(17)) != 0;
}
/* real-address or virtual-8086 */
static inline bool cpu_real(const struct cpu *cpu)
{
    return (cpu->key & KEY_REAL) != 0;
}

/* ---- RFLAGS (whole) ---- */
static inline uint64_t cpu_rflags(const struct cpu *cpu)
{
    return cpu->rflags | flags_get(&cpu->flags);
}
/* Sets all bits; caller has applied privilege rules. Updates key and events (TF, IF, AC, VM). */
void cpu_set_rflags(struct cpu *cpu, uint64_t rflags);
#define RFLAGS_CF BIT(0)
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define RFLAGS_DF BIT(10)
#define RFLAGS_OF BIT(11)
#define RFLAGS_IOPL (BIT(12) | BIT(13))
#define RFLAGS_NT BIT(14)
#define RFLAGS_RF BIT(16)
#define RFLAGS_VM BIT(17)
#define RFLAGS_AC BIT(18)
#define RFLAGS_VIF BIT(19)
#define RFLAGS_VIP BIT(20)
#define RFLAGS_ID BIT(21)
#define RFLAGS_FIXED BIT(1)
/* what cpu->rflags holds beside the fixed bit: TF IF DF IOPL NT RF VM AC VIF VIP ID */
#define RFLAGS_KEPT (BITS(10, 8) | BITS(14, 12) | BITS(21, 16))

/* DR6 and DR7 */
#define DR6_B_ALL BITS(3, 0) /* B0 to B3: breakpoints that matched */
#define DR6_BD BIT(13)       /* access to a debug register while DR7.GD */
#define DR6_BS BIT(14)       /* single step */
#define DR6_BT BIT(15)       /* T flag of a TSS */
#define DR6_FIXED_1 UINT64_C(0xffff0ff0)
#define DR6_WRITABLE (DR6_B_ALL | DR6_BD | DR6_BS | DR6_BT)
#define DR7_GD BIT(13)
#define DR7_FIXED_1 UINT64_C(0x400)
#define DR7_WRITABLE (BITS(31, 16) | DR7_GD | BITS(9, 0))
