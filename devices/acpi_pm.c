/* ACPI power management of the ICH9: 128 ports at PMBASE with the PM1 registers, the PM timer and
 * GPE0, and the APM ports B2H-B3H by which software switches to ACPI mode. There is no SMM here:
 * the chip itself does what the SMI handler of a firmware does with the two commands.
 * [ICH9 data sheet "Power Management I/O Registers", "APM I/O Decode"],
 * [ACPI specification "ACPI Hardware Specification"] */
#include "devices/acpi_pm.h"

#include <string.h>

#include "base/bits.h"
#include "devices/trace.h"

#define PM_TIMER_HZ UINT64_C(3579545)

enum {
    PM1_STS = 0x00,
    PM1_EN = 0x02,
    PM1_CNT = 0x04,
    PM_TMR = 0x08,
    GPE0_STS = 0x20,
    GPE0_EN = 0x28,
    SMI_EN = 0x30
};
enum {
    STS_TIMER = 1 << 0,
    STS_POWER_BUTTON = 1 << 8,
    STS_CLEARABLE = 0x8d31,
    EN_WRITABLE = 0x4521,
    SCI_SOURCES = 0x0521
};
enum {
    CNT_SCI_EN = 1 << 0,
    CNT_SLEEP_TYPE = 7 << 10,
    CNT_SLEEP_NOW = 1 << 13,
    CNT_WRITABLE = 0x1c03
};
enum { GPE_BYTES = 8 };

struct acpi_pm {
    struct device dev;
    uint16_t pm1_sts;
    uint16_t pm1_en;
    uint16_t pm1_cnt;
    uint8_t gpe0_sts[GPE_BYTES];
    uint8_t gpe0_en[GPE_BYTES];
    uint8_t gpe0_level[GPE_BYTES];
    uint32_t smi_en;
    uint8_t apm_cnt, apm_sts;
    uint64_t overflow; /* the tick at which the timer's top bit next sets its status */
    uint16_t base;     /* where the ports are mapped; 0: nowhere. PMBASE itself is the bridge's */
    bool wide_timer;
    void (*power_off)(void *owner);
    void *owner;
    struct timer timer;
    struct line sci;
};

static const struct field acpi_pm_fields[] = {
    FIELD(struct acpi_pm, pm1_sts, .reset = 0),
    FIELD(struct acpi_pm, pm1_en, .reset = 0),
    FIELD(struct acpi_pm, pm1_cnt, .reset = 0),
    FIELD_ARRAY(struct acpi_pm, gpe0_sts, .reset = 0),
    FIELD_ARRAY(struct acpi_pm, gpe0_en, .reset = 0),
    FIELD_ARRAY(struct acpi_pm, gpe0_level, .kept = true),
    FIELD(struct acpi_pm, smi_en, .reset = 0),
    FIELD(struct acpi_pm, apm_cnt, .reset = 0),
    FIELD(struct acpi_pm, apm_sts, .reset = 0),
    FIELD(struct acpi_pm, overflow, .kept = true),
    { 0 },
};

static uint64_t acpi_pm_ticks(const struct acpi_pm *a)
{
    return clock_to_ticks(clock_now(a->dev.host->clock), PM_TIMER_HZ);
}

/* The status is set whenever the timer's top bit changes. */
static uint64_t acpi_pm_half(const struct acpi_pm *a)
{
    return BIT(a->wide_timer ? 31 : 23);
}

/* what is due has happened; then the interrupt, and a timer if one depends on the time */
static void acpi_pm_drive(struct acpi_pm *a)
{
    uint64_t ticks = acpi_pm_ticks(a);
    bool gpe = false;
    bool sci;

    if (ticks >= a->overflow) {
        a->pm1_sts |= STS_TIMER;
        a->overflow = align_down(ticks, acpi_pm_half(a)) + acpi_pm_half(a);
    }
    for (unsigned i = 0; i < GPE_BYTES; i++) {
        a->gpe0_sts[i] |= a->gpe0_level[i];
        gpe = gpe || (a->gpe0_sts[i] & a->gpe0_en[i]);
    }
    sci = (a->pm1_cnt & CNT_SCI_EN) && ((a->pm1_sts & a->pm1_en & SCI_SOURCES) || gpe);
    line_set(&a->sci, sci);
    if (!(a->pm1_sts & STS_TIMER) && (a->pm1_en & STS_TIMER))
        timer_set(&a->timer, clock_from_ticks(a->overflow, PM_TIMER_HZ));
    else
        timer_cancel(&a->timer);
}

static void acpi_pm_fire(void *owner)
{
    acpi_pm_drive(owner);
}

static void acpi_pm_put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
}

/* the first 52 bytes as software reads them; the rest reads as 0 */
static void acpi_pm_image(const struct acpi_pm *a, uint8_t image[ACPI_PM_PORTS])
{
    uint32_t timer = (uint32_t)(acpi_pm_ticks(a) & (2 * acpi_pm_half(a) - 1));

    memset(image, 0, ACPI_PM_PORTS);
    acpi_pm_put16(image + PM1_STS, a->pm1_sts);
    acpi_pm_put16(image + PM1_EN, a->pm1_en);
    acpi_pm_put16(image + PM1_CNT, a->pm1_cnt);
    memcpy(image + PM_TMR, &timer, sizeof timer);
    memcpy(image + GPE0_STS, a->gpe0_sts, GPE_BYTES);
    memcpy(image + GPE0_EN, a->gpe0_en, GPE_BYTES);
    memcpy(image + SMI_EN, &a->smi_en, sizeof a->smi_en);
}

static uint64_t acpi_pm_read(struct device *dev, uint64_t offset, unsigned size)
{
    struct acpi_pm *a = (struct acpi_pm *)dev;
    uint8_t image[ACPI_PM_PORTS];
    uint64_t value = 0;

    if (offset == PM_TMR && size == 4)
        return acpi_pm_ticks(a) & (2 * acpi_pm_half(a) - 1);
    acpi_pm_drive(a);
    acpi_pm_image(a, image);
    if (offset < sizeof image && size <= sizeof image - offset)
        memcpy(&value, image + offset, size);
    return value;
}

/* a byte of a 16-bit register: what it becomes, among the bits that `writable` has */
static uint16_t acpi_pm_byte_of(uint16_t old, uint16_t writable, unsigned high, uint8_t v)
{
    uint16_t lane = (uint16_t)((high ? 0xff00 : 0x00ff) & writable);

    return (uint16_t)((old & ~lane) | ((high ? v << 8 : v) & lane));
}

static void acpi_pm_write_byte(struct acpi_pm *a, unsigned at, uint8_t v)
{
    switch (at) {
    case PM1_STS: /* ones clear */
    case PM1_STS + 1: a->pm1_sts &= (uint16_t) ~((at & 1 ? v << 8 : v) & STS_CLEARABLE); break;
    case PM1_EN:
    case PM1_EN + 1: a->pm1_en = acpi_pm_byte_of(a->pm1_en, EN_WRITABLE, at & 1, v); break;
    case PM1_CNT:
    case PM1_CNT + 1: a->pm1_cnt = acpi_pm_byte_of(a->pm1_cnt, CNT_WRITABLE, at & 1, v); break;
    default:
        if (at >= GPE0_STS && at < GPE0_STS + GPE_BYTES)
            a->gpe0_sts[at - GPE0_STS] &= (uint8_t)~v;
        else if (at >= GPE0_EN && at < GPE0_EN + GPE_BYTES)
            a->gpe0_en[at - GPE0_EN] = v;
        else if (at >= SMI_EN && at < SMI_EN + 4)
            a->smi_en = (uint32_t)bits_set(a->smi_en, 8 * (at - SMI_EN) + 7, 8 * (at - SMI_EN), v);
    }
}

/* Of the sleeping states there is S5 only: the machine has no firmware to wake it from others. */
static void acpi_pm_sleep(struct acpi_pm *a)
{
    if (bits(a->pm1_cnt, 12, 10) == ACPI_PM_S5_TYPE && a->power_off)
        a->power_off(a->owner);
}

static void acpi_pm_write(struct device *dev, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *a = (struct acpi_pm *)dev;
    bool sleep = false;

    trace_acpi_pm_write(dev->id, (unsigned)offset, (unsigned)value);
    acpi_pm_drive(a);
    for (unsigned i = 0; i < size; i++) {
        uint8_t v = (uint8_t)(value >> 8 * i);

        acpi_pm_write_byte(a, (unsigned)offset + i, v);
        sleep = sleep || (offset + i == PM1_CNT + 1 && (v & CNT_SLEEP_NOW >> 8));
    }
    acpi_pm_drive(a);
    if (sleep)
        acpi_pm_sleep(a); /* last: this may end the machine */
}

static uint64_t acpi_pm_apm_read(void *owner, uint64_t offset, unsigned size)
{
    struct acpi_pm *a = owner;

    return offset ? a->apm_sts : a->apm_cnt;
}

static void acpi_pm_apm_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *a = owner;

    if (offset) {
        a->apm_sts = (uint8_t)value;
        return;
    }
    a->apm_cnt = (uint8_t)value;
    if (a->apm_cnt == ACPI_PM_ENABLE)
        a->pm1_cnt |= CNT_SCI_EN;
    else if (a->apm_cnt == ACPI_PM_DISABLE)
        a->pm1_cnt &= (uint16_t)~CNT_SCI_EN;
    acpi_pm_drive(a);
}

void acpi_pm_move(void *owner, uint16_t base, bool enabled)
{
    struct acpi_pm *a = owner;
    uint16_t to = enabled ? base : 0;

    if (to == a->base)
        return;
    if (a->base)
        ports_unmap(a->dev.host->ports, a->base, ACPI_PM_PORTS, a);
    a->base = to;
    if (to)
        ports_map(a->dev.host->ports, to, ACPI_PM_PORTS, "acpi pm", &a->dev.ops, a);
}

void acpi_pm_gpe(void *owner, unsigned n, bool level)
{
    struct acpi_pm *a = owner;

    if (n >= 8 * GPE_BYTES)
        return;
    a->gpe0_level[n / 8] = (uint8_t)bits_set(a->gpe0_level[n / 8], n % 8, n % 8, level);
    acpi_pm_drive(a);
}

void acpi_pm_press_power_button(struct device *dev)
{
    struct acpi_pm *a = (struct acpi_pm *)dev;

    a->pm1_sts |= STS_POWER_BUTTON;
    acpi_pm_drive(a);
}

static bool acpi_pm_realize(struct device *dev, struct err *e)
{
    static const struct io_ops apm = { acpi_pm_apm_read, acpi_pm_apm_write, SIZE_8 };
    struct acpi_pm *a = (struct acpi_pm *)dev;

    a->overflow = acpi_pm_half(a);
    timer_init(&a->timer, dev->host->clock, "acpi pm timer", acpi_pm_fire, a);
    ports_map(dev->host->ports, ACPI_PM_SMI_CMD, 2, "apm", &apm, dev);
    return true;
}

static void acpi_pm_unrealize(struct device *dev)
{
    struct acpi_pm *a = (struct acpi_pm *)dev;

    if (a->timer.clock)
        timer_cancel(&a->timer);
}

static void acpi_pm_settle(struct device *dev)
{
    acpi_pm_drive((struct acpi_pm *)dev);
}

static void acpi_pm_show(const struct device *dev, FILE *out)
{
    const struct acpi_pm *a = (const struct acpi_pm *)dev;

    fprintf(out, "ports %#x, ACPI mode %d, timer %#jx, SCI %d\n", a->base, a->pm1_cnt & CNT_SCI_EN,
            (uintmax_t)(acpi_pm_ticks(a) & (2 * acpi_pm_half(a) - 1)), a->sci.level);
}

void acpi_pm_configure(struct device *dev, void (*power_off)(void *owner), void *owner,
                       bool wide_timer)
{
    struct acpi_pm *a = (struct acpi_pm *)dev;

    a->power_off = power_off;
    a->owner = owner;
    a->wide_timer = wide_timer;
}

struct line *acpi_pm_sci(struct device *dev)
{
    return &((struct acpi_pm *)dev)->sci;
}

const struct device_class acpi_pm_class = {
    .name = "acpi_pm",
    .title = "ICH9 ACPI power management",
    .size = sizeof(struct acpi_pm),
    .version = 1,
    .fields = acpi_pm_fields,
    .realize = acpi_pm_realize,
    .unrealize = acpi_pm_unrealize,
    .settle = acpi_pm_settle,
    .show = acpi_pm_show,
    .read = acpi_pm_read,
    .write = acpi_pm_write,
    .sizes = SIZE_8 | SIZE_16 | SIZE_32,
};
