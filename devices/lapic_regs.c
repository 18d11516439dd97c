/* The local APIC's registers: as memory in xAPIC mode, as MSRs 800H-8FFH in x2APIC mode.
 * [SDM 3A "The Local APIC Block Diagram"], [SDM 3A "x2APIC Register Address Space"],
 * [SDM 3A "Reserved Bit Checking"]
 *
 * In xAPIC mode reserved bits are ignored and reserved addresses are noted in the ESR; in x2APIC
 * mode both are general-protection faults. */
#include <string.h>

#include "base/bits.h"
#include "devices/lapic_state.h"
#include "devices/trace.h"

enum { VERSION = 0x15 | (LVT_COUNT - 1) << 16 | 1 << 24 };

/* in which mode a register can be read (R) and written (W) */
enum { XR = 1, XW = 2, X2R = 4, X2W = 8, RW = XR | XW | X2R | X2W, RO = XR | X2R };

#define ICR_WRITABLE 0x000ccfffu
#define LVT_COMMON (APIC_LVT_MASKED | 0xff)
#define LVT_PIN (LVT_COMMON | 0x700 | APIC_ACTIVE_LOW | APIC_TRIGGER_LEVEL)
#define LVT_NO_FAULT (APIC_DELIVERY_PENDING | APIC_REMOTE_IRR) /* read-only bits of LVT entries */

struct lapic_reg {
    uint8_t access;
    uint32_t writable;
    uint32_t harmless; /* bits that are not writable but no fault either in x2APIC mode */
};

#define REG(offset, ...) [(offset) / 16] = { __VA_ARGS__ }
#define REG8(offset)                                                    \
    REG((offset) + 0x00, RO, 0, 0), REG((offset) + 0x10, RO, 0, 0),     \
        REG((offset) + 0x20, RO, 0, 0), REG((offset) + 0x30, RO, 0, 0), \
        REG((offset) + 0x40, RO, 0, 0), REG((offset) + 0x50, RO, 0, 0), \
        REG((offset) + 0x60, RO, 0, 0), REG((offset) + 0x70, RO, 0, 0)

static const struct lapic_reg lapic_regs[0x40] = {
    REG(APIC_ID, RO | XW, 0xff000000, 0),
    REG(APIC_VERSION, RO, 0, 0),
    REG(APIC_TPR, RW, 0xff, 0),
    REG(APIC_APR, XR, 0, 0),
    REG(APIC_PPR, RO, 0, 0),
    REG(APIC_EOI, XW | X2W, 0, 0),
    REG(APIC_RRD, XR, 0, 0),
    REG(APIC_LDR, RO | XW, 0xff000000, 0),
    REG(APIC_DFR, XR | XW, 0xf0000000, 0),
    REG(APIC_SVR, RW, 0xff | APIC_SVR_ENABLE | APIC_SVR_NO_EOI_BROADCAST, 0),
    REG8(APIC_ISR),
    REG8(APIC_TMR),
    REG8(APIC_IRR),
    REG(APIC_ESR, RW, 0, 0),
    REG(APIC_ICR, RW, ICR_WRITABLE, APIC_DELIVERY_PENDING),
    REG(APIC_ICR_HIGH, XR | XW, 0xff000000, 0),
    REG(APIC_LVT_TIMER, RW, LVT_COMMON | 3 << 17, APIC_DELIVERY_PENDING),
    REG(APIC_LVT_THERMAL, RW, LVT_COMMON | 0x700, APIC_DELIVERY_PENDING),
    REG(APIC_LVT_PMC, RW, LVT_COMMON | 0x700, APIC_DELIVERY_PENDING),
    REG(APIC_LVT_LINT0, RW, LVT_PIN, LVT_NO_FAULT),
    REG(APIC_LVT_LINT1, RW, LVT_PIN, LVT_NO_FAULT),
    REG(APIC_LVT_ERROR, RW, LVT_COMMON, APIC_DELIVERY_PENDING),
    REG(APIC_TIMER_INITIAL, RW, 0xffffffff, 0),
    REG(APIC_TIMER_CURRENT, RO, 0, 0),
    REG(APIC_TIMER_DIVIDE, RW, 0x0b, 0),
    REG(APIC_SELF_IPI, X2W, 0xff, 0),
};

static uint32_t lapic_get(struct lapic *l, unsigned offset)
{
    unsigned word = offset >> 4 & 7;

    switch (offset & 0x380) {
    case APIC_ISR: return l->isr[word];
    case APIC_TMR: return l->tmr[word];
    case APIC_IRR: return l->irr[word];
    }
    if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR)
        return l->lvt[(offset - APIC_LVT_TIMER) >> 4];
    switch (offset) {
    case APIC_ID: return lapic_in_x2apic(l) ? l->config.id : (uint32_t)l->xapic_id << 24;
    case APIC_VERSION: return VERSION;
    case APIC_TPR: return l->tpr;
    case APIC_PPR: return lapic_ppr(l);
    case APIC_LDR: return lapic_logical_id(l);
    case APIC_DFR: return l->dfr;
    case APIC_SVR: return l->svr;
    case APIC_ESR: return l->esr;
    case APIC_ICR: return l->icr_low;
    case APIC_ICR_HIGH: return l->icr_high;
    case APIC_TIMER_INITIAL: return l->timer_initial;
    case APIC_TIMER_CURRENT: return lapic_timer_current(l);
    case APIC_TIMER_DIVIDE: return l->timer_divide;
    default: /* arbitration priority and remote read, which processors do not have any more */
        return 0;
    }
}

/* While the APIC is disabled by software, all LVT entries stay masked. */
static void lapic_set_lvt(struct lapic *l, enum lapic_lvt which, uint32_t value)
{
    if (!(l->svr & APIC_SVR_ENABLE))
        value |= APIC_LVT_MASKED;
    if (which == LVT_TIMER) {
        lapic_timer_set_lvt(l, value);
        return;
    }
    if (value & APIC_TRIGGER_LEVEL)
        value |= l->lvt[which] & APIC_REMOTE_IRR;
    l->lvt[which] = value;
    if (which == LVT_LINT0 || which == LVT_LINT1)
        lapic_service_lint(l, which - LVT_LINT0);
}

static void lapic_set_svr(struct lapic *l, uint32_t value)
{
    l->svr = value;
    for (unsigned i = 0; i < LVT_COUNT && !(value & APIC_SVR_ENABLE); i++)
        lapic_set_lvt(l, i, l->lvt[i]);
    lapic_update(l);
}

/* value: the writable bits */
static void lapic_put(struct lapic *l, unsigned offset, uint32_t value)
{
    if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR) {
        lapic_set_lvt(l, (offset - APIC_LVT_TIMER) >> 4, value);
        return;
    }
    switch (offset) {
    case APIC_ID: l->xapic_id = (uint8_t)(value >> 24); break;
    case APIC_TPR:
        l->tpr = value;
        lapic_update(l);
        break;
    case APIC_EOI: lapic_eoi(l); break;
    case APIC_LDR: l->ldr = value; break;
    case APIC_DFR: l->dfr = value | 0x0fffffff; break;
    case APIC_SVR: lapic_set_svr(l, value); break;
    case APIC_ESR: /* a write shows what has gathered since the last one */
        l->esr = l->errors;
        l->errors = 0;
        break;
    case APIC_ICR:
        l->icr_low = value & ~(uint32_t)APIC_DELIVERY_PENDING;
        lapic_send_ipi(l);
        break;
    case APIC_ICR_HIGH: l->icr_high = value; break;
    case APIC_TIMER_INITIAL: lapic_timer_set_initial(l, value); break;
    case APIC_TIMER_DIVIDE: lapic_timer_set_divide(l, value); break;
    case APIC_SELF_IPI: lapic_self_ipi(l, (uint8_t)value); break;
    }
}

/* the register at an offset, or NULL with the error noted */
static const struct lapic_reg *lapic_find(struct lapic *l, uint64_t offset, unsigned access)
{
    const struct lapic_reg *reg = offset < 0x400 ? &lapic_regs[offset / 16] : NULL;

    if (reg && (reg->access & (XR | XW))) {
        /* a write to what can only be read is ignored, and the other way round */
        return reg->access & access ? reg : NULL;
    }
    lapic_error(l, APIC_ESR_REGISTER);
    return NULL;
}

/* Registers are the first 4 of each 16 bytes; narrower reads take bytes of that. */
uint64_t lapic_mmio_read(void *owner, uint64_t offset, unsigned size)
{
    struct lapic *l = owner;
    unsigned at = offset & 15;

    if (!lapic_in_xapic(l))
        return zero_extend(UINT64_MAX, size);
    if (at >= 4 || !lapic_find(l, offset, XR))
        return 0;
    return zero_extend((uint64_t)lapic_get(l, offset & 0x3f0) >> 8 * at, size);
}

/* Only aligned doublewords write. [SDM 3A "The Local APIC Block Diagram"] */
void lapic_mmio_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct lapic *l = owner;
    const struct lapic_reg *reg;

    if (!lapic_in_xapic(l) || size != 4 || offset & 15)
        return;
    reg = lapic_find(l, offset, XW);
    if (!reg)
        return;
    trace_lapic_write(l->dev.id, (unsigned)offset, value);
    lapic_put(l, (unsigned)offset, (uint32_t)value & reg->writable);
}

static const struct lapic_reg *lapic_find_msr(const struct lapic *l, uint32_t msr, unsigned access)
{
    uint32_t index = msr - APIC_X2_MSR_FIRST;

    if (!lapic_in_x2apic(l) || index >= 0x40 || !(lapic_regs[index].access & access))
        return NULL;
    return &lapic_regs[index];
}

bool lapic_msr_read(void *owner, uint32_t msr, uint64_t *value)
{
    struct lapic *l = owner;
    unsigned offset = (msr - APIC_X2_MSR_FIRST) * 16;

    if (!lapic_find_msr(l, msr, X2R))
        return false;
    *value = lapic_get(l, offset);
    if (offset == APIC_ICR)
        *value |= (uint64_t)l->icr_high << 32;
    return true;
}

bool lapic_msr_write(void *owner, uint32_t msr, uint64_t value)
{
    struct lapic *l = owner;
    unsigned offset = (msr - APIC_X2_MSR_FIRST) * 16;
    const struct lapic_reg *reg = lapic_find_msr(l, msr, X2W);

    if (!reg || (uint32_t)value & ~(reg->writable | reg->harmless) ||
        (value >> 32 && offset != APIC_ICR))
        return false;
    trace_lapic_write(l->dev.id, offset, value);
    if (offset == APIC_ICR)
        l->icr_high = (uint32_t)(value >> 32);
    lapic_put(l, offset, (uint32_t)value & reg->writable);
    return true;
}
