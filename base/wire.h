/* How parts signal each other without including each other. The board connects them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One wire: an output of one part, an input of another. */
struct line {
    void (*set)(void *owner, unsigned n, bool level); /* NULL while not connected */
    void *owner;
    unsigned n; /* which input of the owner */
    bool level; /* what was last driven */
};

static inline void line_connect(struct line *l, void (*set)(void *, unsigned, bool), void *owner,
                                unsigned n)
{
    l->set = set;
    l->owner = owner;
    l->n = n;
}

static inline void line_set(struct line *l, bool level)
{
    if (l->level == level)
        return;
    l->level = level;
    if (l->set)
        l->set(l->owner, l->n, level);
}

static inline void line_pulse(struct line *l)
{
    line_set(l, true);
    line_set(l, false);
}

/* A message-signalled interrupt: a write of `data` to `address`, [SDM 3A "Message Signalled
 * Interrupts"]. The board routes it to the local APICs. */
struct msi_port {
    void (*send)(void *owner, uint64_t address, uint32_t data);
    void *owner;
};

/* What a local APIC tells its logical processor; filled by the board from cpu/. */
struct apic_client {
    void *owner;
    void (*set_intr)(void *owner, bool level); /* an interrupt is deliverable (above PPR) */
    void (*nmi)(void *owner);
    void (*smi)(void *owner);
    void (*init)(void *owner);
    void (*sipi)(void *owner, uint8_t vector);
};

/* What a logical processor asks of its local APIC; filled by the board from devices/lapic.c. */
struct apic_ops {
    /* acknowledge the highest deliverable interrupt (INTA cycle; the 8259 for ExtINT);
     * -1: nothing any more (spurious vectors are reported as vectors) */
    int (*acknowledge)(void *owner);
    /* IA32_APIC_BASE; a write that the manual refuses returns false (#GP) */
    uint64_t (*read_base)(void *owner);
    bool (*write_base)(void *owner, uint64_t value);
    /* x2APIC MSRs 800H to 8FFH; false: #GP */
    bool (*read_msr)(void *owner, uint32_t msr, uint64_t *value);
    bool (*write_msr)(void *owner, uint32_t msr, uint64_t value);
    /* xAPIC registers at IA32_APIC_BASE, offset 0 to FFFH */
    uint64_t (*read)(void *owner, uint64_t offset, unsigned size);
    void (*write)(void *owner, uint64_t offset, uint64_t value, unsigned size);
    /* CR8: TPR[7:4] */
    uint8_t (*read_cr8)(void *owner);
    void (*write_cr8)(void *owner, uint8_t value);
    /* IA32_TSC_DEADLINE as cycles of the machine's clock: the processor adds or subtracts its own
     * TSC offset, and writes again when that offset changes while the timer is armed. 0: not
     * armed, so a value that converts to 0 or less is written as 1. */
    uint64_t (*read_tsc_deadline)(void *owner);
    void (*write_tsc_deadline)(void *owner, uint64_t cycle);
    /* deliver a fixed interrupt `vector` to the APIC with this physical APIC ID (IPI
     * virtualization, posted-interrupt notification) */
    void (*send_fixed)(void *owner, uint32_t apic_id, uint8_t vector);
    /* the processor performs an INIT (now, not when the message came): registers as after INIT */
    void (*init)(void *owner);
};
