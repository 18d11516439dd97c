/* Registers of the local APIC: offsets in its 4-KiB page; register `offset` is MSR
 * 800H + offset / 16 in x2APIC mode. Needed by the local APIC and by APIC virtualization, which
 * do not meet. [SDM 3A "The Local APIC Block Diagram"], [SDM 3A "x2APIC Register Address Space"] */
#pragma once
#include <stdint.h>

/* The clock that the APIC timer divides: the core crystal clock of CPUID leaf 15H. [SDM 3A "APIC
 * Timer"] */
#define APIC_TIMER_HZ UINT64_C(25000000)

#define APIC_DEFAULT_BASE UINT64_C(0xfee00000)
#define APIC_X2_MSR_FIRST 0x800u
#define APIC_X2_MSR_LAST 0x8ffu
#define APIC_X2_MSR(off) (APIC_X2_MSR_FIRST + (off) / 16)

enum {
    APIC_ID = 0x020,
    APIC_VERSION = 0x030,
    APIC_TPR = 0x080,
    APIC_APR = 0x090,
    APIC_PPR = 0x0a0,
    APIC_EOI = 0x0b0,
    APIC_RRD = 0x0c0,
    APIC_LDR = 0x0d0,
    APIC_DFR = 0x0e0,
    APIC_SVR = 0x0f0,
    APIC_ISR = 0x100, /* eight registers of 32 vectors each, 16 bytes apart */
    APIC_TMR = 0x180,
    APIC_IRR = 0x200,
    APIC_ESR = 0x280,
    APIC_LVT_CMCI = 0x2f0,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PMC = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
    APIC_SELF_IPI = 0x3f0, /* x2APIC mode only */
};

/* IA32_APIC_BASE */
enum {
    APIC_BASE_BSP = 1 << 8,
    APIC_BASE_EXTD = 1 << 10, /* x2APIC mode */
    APIC_BASE_EN = 1 << 11,
};

/* delivery modes, bits 10:8 of the ICR, of an LVT entry and of an MSI's data */
enum apic_delivery {
    APIC_FIXED = 0,
    APIC_LOWEST = 1,
    APIC_SMI = 2,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_SIPI = 6,
    APIC_EXTINT = 7,
};

/* bits of the ICR and of an LVT entry */
enum {
    APIC_DEST_LOGICAL = 1 << 11,
    APIC_DELIVERY_PENDING = 1 << 12, /* read-only */
    APIC_ACTIVE_LOW = 1 << 13,
    APIC_REMOTE_IRR = 1 << 14,   /* LVT, read-only */
    APIC_LEVEL_ASSERT = 1 << 14, /* ICR */
    APIC_TRIGGER_LEVEL = 1 << 15,
    APIC_LVT_MASKED = 1 << 16,
};

/* bits 18:17 of the timer's LVT entry */
enum apic_timer_mode {
    APIC_TIMER_ONE_SHOT = 0,
    APIC_TIMER_PERIODIC = 1,
    APIC_TIMER_TSC_DEADLINE = 2,
};

/* bits 19:18 of the ICR */
enum apic_shorthand {
    APIC_TO_DEST = 0,
    APIC_TO_SELF = 1,
    APIC_TO_ALL = 2,
    APIC_TO_OTHERS = 3,
};

/* spurious-interrupt vector register */
enum { APIC_SVR_ENABLE = 1 << 8, APIC_SVR_NO_EOI_BROADCAST = 1 << 12 };

/* error status register */
enum {
    APIC_ESR_SEND_VECTOR = 1 << 5,
    APIC_ESR_RECEIVE_VECTOR = 1 << 6,
    APIC_ESR_REGISTER = 1 << 7,
};
