/* The state of a local APIC, shared by lapic.c, lapic_regs.c and lapic_timer.c and by nobody
 * else. */
#pragma once
#include "devices/lapic.h"

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PMC, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

struct lapic {
    struct device dev;
    uint64_t base;    /* IA32_APIC_BASE */
    uint8_t xapic_id; /* software can change it in xAPIC mode */
    uint32_t tpr;
    uint32_t ldr; /* of xAPIC mode; that of x2APIC mode follows from the ID */
    uint32_t dfr;
    uint32_t svr;
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t esr;    /* as software reads it */
    uint32_t errors; /* what the next write moves there */
    uint32_t icr_low, icr_high;
    uint32_t lvt[LVT_COUNT];
    uint32_t timer_initial;
    uint32_t timer_divide;
    uint8_t timer_running; /* counts: one-shot and periodic */
    uint64_t timer_origin; /* the cycle at which it had the initial count */
    uint64_t tsc_deadline; /* a cycle; 0: not armed */
    uint8_t lint[2];       /* levels of the pins */
    uint8_t extint;        /* an ExtINT message has come */
    struct lapic_config config;
    struct apic_client client;
    struct timer timer;
    bool intr; /* derived: what the processor was told */
};

extern const struct field lapic_fields[];

static inline bool lapic_in_xapic(const struct lapic *l)
{
    return (l->base & (APIC_BASE_EN | APIC_BASE_EXTD)) == APIC_BASE_EN;
}

static inline bool lapic_in_x2apic(const struct lapic *l)
{
    return (l->base & (APIC_BASE_EN | APIC_BASE_EXTD)) == (APIC_BASE_EN | APIC_BASE_EXTD);
}

/* lapic.c */
void lapic_update(struct lapic *l); /* is an interrupt deliverable? */
uint8_t lapic_ppr(const struct lapic *l);
uint32_t lapic_logical_id(const struct lapic *l); /* LDR */
void lapic_error(struct lapic *l, uint32_t error);
void lapic_fire_lvt(struct lapic *l, enum lapic_lvt which); /* unless masked */
void lapic_service_lint(struct lapic *l, unsigned n);
void lapic_eoi(struct lapic *l);
void lapic_self_ipi(struct lapic *l, uint8_t vector);
void lapic_send_ipi(struct lapic *l); /* what the ICR says */

/* lapic_regs.c; index is offset / 16, below 40H */
uint64_t lapic_mmio_read(void *owner, uint64_t offset, unsigned size);
void lapic_mmio_write(void *owner, uint64_t offset, uint64_t value, unsigned size);
bool lapic_msr_read(void *owner, uint32_t msr, uint64_t *value);
bool lapic_msr_write(void *owner, uint32_t msr, uint64_t value);

/* lapic_timer.c */
void lapic_timer_init(struct lapic *l);
void lapic_timer_settle(struct lapic *l);
uint32_t lapic_timer_current(struct lapic *l);
void lapic_timer_set_initial(struct lapic *l, uint32_t value);
void lapic_timer_set_divide(struct lapic *l, uint32_t value);
void lapic_timer_set_lvt(struct lapic *l, uint32_t value);
uint64_t lapic_timer_read_deadline(void *owner);
void lapic_timer_write_deadline(void *owner, uint64_t cycle);
