/* Two 8259A programmable interrupt controllers, the slave on IRQ 2 of the master, with the
 * edge/level control registers of the ICH. Ports 20H-21H, A0H-A1H, 4D0H-4D1H.
 * [Intel 8259A data sheet], [ICH9 data sheet "Interrupt Controller I/O Registers"]
 *
 * A request in edge mode is latched by the rising edge and lost if the input falls before it is
 * acknowledged, as the data sheet says: the acknowledge then finds nothing and gives IRQ 7. */
#include "devices/pic8259.h"

#include "base/bits.h"
#include "devices/trace.h"

enum { MASTER, SLAVE, CHIPS };
enum { CASCADE = 2, SPURIOUS = 7 };
enum { ICW1_NEEDS_ICW4 = 1, ICW1_SINGLE = 2, ICW1 = 0x10 };
enum { ICW4_AUTO_EOI = 2, ICW4_SPECIAL_NESTED = 0x10 };
enum {
    OCW3 = 0x08,
    OCW3_READ_ISR = 1,
    OCW3_READ = 2,
    OCW3_POLL = 4,
    OCW3_SMM = 0x20,
    OCW3_SET_SMM = 0x40
};

struct pic8259 {
    struct device dev;
    uint8_t edges[CHIPS];  /* requests latched by a rising edge */
    uint8_t levels[CHIPS]; /* the inputs */
    uint8_t elcr[CHIPS];   /* 1: level-triggered */
    uint8_t imr[CHIPS];
    uint8_t isr[CHIPS];
    uint8_t base[CHIPS];   /* vector of IR 0 */
    uint8_t lowest[CHIPS]; /* which IR has the lowest priority */
    uint8_t icw1[CHIPS];
    uint8_t icw4[CHIPS];
    uint8_t step[CHIPS]; /* 0, or the ICW that is expected next: 2 to 4 */
    uint8_t read_isr[CHIPS];
    uint8_t poll[CHIPS];
    uint8_t special_mask[CHIPS];
    uint8_t rotate_auto[CHIPS];
    struct line intr;
};

/* Masked after reset, so that nothing comes before somebody has set the vectors. */
static const struct field pic8259_fields[] = {
    FIELD_ARRAY(struct pic8259, edges, .reset = 0),
    FIELD_ARRAY(struct pic8259, levels, .kept = true),
    FIELD_ARRAY(struct pic8259, elcr, .reset = 0),
    FIELD_ARRAY(struct pic8259, imr, .reset = 0xff),
    FIELD_ARRAY(struct pic8259, isr, .reset = 0),
    FIELD_ARRAY(struct pic8259, base, .reset = 0),
    FIELD_ARRAY(struct pic8259, lowest, .reset = 7),
    FIELD_ARRAY(struct pic8259, icw1, .reset = 0),
    FIELD_ARRAY(struct pic8259, icw4, .reset = 0),
    FIELD_ARRAY(struct pic8259, step, .reset = 0),
    FIELD_ARRAY(struct pic8259, read_isr, .reset = 0),
    FIELD_ARRAY(struct pic8259, poll, .reset = 0),
    FIELD_ARRAY(struct pic8259, special_mask, .reset = 0),
    FIELD_ARRAY(struct pic8259, rotate_auto, .reset = 0),
    { 0 },
};

/* inputs that can be made level-triggered: not 0 to 2, 8 and 13 */
static const uint8_t pic8259_elcr_writable[CHIPS] = { 0xf8, 0xde };

static uint8_t pic8259_irr(const struct pic8259 *p, unsigned c)
{
    return (uint8_t)((p->edges[c] & ~p->elcr[c]) | (p->levels[c] & p->elcr[c]));
}

/* the input of highest priority in `set`, or -1 */
static int pic8259_first(const struct pic8259 *p, unsigned c, uint8_t set)
{
    for (unsigned i = 1; i <= 8; i++) {
        unsigned n = (p->lowest[c] + i) & 7;

        if (bit(set, n))
            return (int)n;
    }
    return -1;
}

/* how far from the highest priority an input is: 0 to 7 */
static unsigned pic8259_rank(const struct pic8259 *p, unsigned c, int n)
{
    return ((unsigned)n - p->lowest[c] - 1) & 7;
}

/* the input that this chip requests an interrupt for, or -1 */
static int pic8259_request(const struct pic8259 *p, unsigned c)
{
    int wanted = pic8259_first(p, c, (uint8_t)(pic8259_irr(p, c) & ~p->imr[c]));
    uint8_t blocking = p->isr[c];
    int served;

    if (wanted < 0)
        return -1;
    if (p->special_mask[c])
        blocking &= (uint8_t)~p->imr[c];
    if (c == MASTER && (p->icw4[c] & ICW4_SPECIAL_NESTED))
        blocking &= (uint8_t)~BIT(CASCADE);
    served = pic8259_first(p, c, blocking);
    if (served >= 0 && pic8259_rank(p, c, served) <= pic8259_rank(p, c, wanted))
        return -1;
    return wanted;
}

static void pic8259_input(struct pic8259 *p, unsigned c, unsigned n, bool level)
{
    uint8_t mask = (uint8_t)BIT(n);

    if (bit(p->levels[c], n) == level)
        return;
    if (level) {
        p->levels[c] |= mask;
        p->edges[c] |= mask;
    } else {
        p->levels[c] &= (uint8_t)~mask;
        p->edges[c] &= (uint8_t)~mask;
    }
}

static void pic8259_update(struct pic8259 *p)
{
    pic8259_input(p, MASTER, CASCADE, pic8259_request(p, SLAVE) >= 0);
    line_set(&p->intr, pic8259_request(p, MASTER) >= 0);
}

void pic8259_irq(void *owner, unsigned n, bool level)
{
    struct pic8259 *p = owner;

    if (n >= 16 || n == CASCADE)
        return;
    pic8259_input(p, n >> 3, n & 7, level);
    pic8259_update(p);
}

struct line *pic8259_intr(struct device *dev)
{
    return &((struct pic8259 *)dev)->intr;
}

/* one chip's part in an INTA cycle: the input, or -1 if the request has gone away */
static int pic8259_take(struct pic8259 *p, unsigned c)
{
    int n = pic8259_request(p, c);

    if (n < 0)
        return -1;
    p->edges[c] &= (uint8_t)~BIT(n);
    if (!(p->icw4[c] & ICW4_AUTO_EOI))
        p->isr[c] |= (uint8_t)BIT(n);
    else if (p->rotate_auto[c])
        p->lowest[c] = (uint8_t)n;
    if (c == SLAVE) /* INT falls, so that a further request is an edge */
        pic8259_input(p, MASTER, CASCADE, false);
    return n;
}

int pic8259_acknowledge(void *owner)
{
    struct pic8259 *p = owner;
    int n = pic8259_take(p, MASTER);
    unsigned chip = MASTER;
    unsigned vector;

    if (n == CASCADE) {
        chip = SLAVE;
        n = pic8259_take(p, SLAVE);
    }
    vector = p->base[chip] + (unsigned)(n < 0 ? SPURIOUS : n);
    trace_pic8259_ack(p->dev.id, vector, n < 0);
    pic8259_update(p);
    return (int)vector;
}

static void pic8259_init(struct pic8259 *p, unsigned c, uint8_t icw1)
{
    p->icw1[c] = icw1;
    p->step[c] = 2;
    p->imr[c] = 0;
    p->isr[c] = 0;
    p->edges[c] = 0; /* an input must fall and rise again to be seen */
    p->lowest[c] = 7;
    p->read_isr[c] = 0;
    p->poll[c] = 0;
    p->special_mask[c] = 0;
    p->rotate_auto[c] = 0;
    p->icw4[c] = 0;
}

static void pic8259_eoi(struct pic8259 *p, unsigned c, int n, bool rotate)
{
    if (n < 0)
        return;
    p->isr[c] &= (uint8_t)~BIT(n);
    if (rotate)
        p->lowest[c] = (uint8_t)n;
}

static void pic8259_ocw2(struct pic8259 *p, unsigned c, uint8_t v)
{
    uint8_t served = p->isr[c];

    if (p->special_mask[c])
        served &= (uint8_t)~p->imr[c];
    switch (v >> 5) { /* R, SL, EOI */
    case 0: p->rotate_auto[c] = 0; break;
    case 1:
    case 5: pic8259_eoi(p, c, pic8259_first(p, c, served), v >> 5 == 5); break;
    case 3:
    case 7: pic8259_eoi(p, c, v & 7, v >> 5 == 7); break;
    case 4: p->rotate_auto[c] = 1; break;
    case 6: p->lowest[c] = v & 7; break;
    }
}

static void pic8259_ocw3(struct pic8259 *p, unsigned c, uint8_t v)
{
    if (v & OCW3_POLL)
        p->poll[c] = 1;
    if (v & OCW3_READ)
        p->read_isr[c] = v & OCW3_READ_ISR;
    if (v & OCW3_SET_SMM)
        p->special_mask[c] = (v & OCW3_SMM) != 0;
}

/* the port with A0 = 1: the rest of the initialization, or the mask */
static void pic8259_write_high(struct pic8259 *p, unsigned c, uint8_t v)
{
    bool single = p->icw1[c] & ICW1_SINGLE;
    bool icw4 = p->icw1[c] & ICW1_NEEDS_ICW4;

    switch (p->step[c]) {
    case 2:
        p->base[c] = v & 0xf8;
        p->step[c] = !single ? 3 : icw4 ? 4 : 0;
        break;
    case 3: /* how the two are wired is fixed */ p->step[c] = icw4 ? 4 : 0; break;
    case 4:
        p->icw4[c] = v;
        p->step[c] = 0;
        break;
    default: p->imr[c] = v;
    }
}

static void pic8259_write(struct pic8259 *p, unsigned c, uint64_t offset, uint8_t v)
{
    if (offset)
        pic8259_write_high(p, c, v);
    else if (v & ICW1)
        pic8259_init(p, c, v);
    else if (v & OCW3)
        pic8259_ocw3(p, c, v);
    else
        pic8259_ocw2(p, c, v);
    pic8259_update(p);
}

static uint64_t pic8259_read(struct pic8259 *p, unsigned c, uint64_t offset)
{
    int n;

    if (p->poll[c]) { /* the read is the acknowledge */
        p->poll[c] = 0;
        n = pic8259_take(p, c);
        pic8259_update(p);
        return n < 0 ? 0 : 0x80u | (unsigned)n;
    }
    if (offset)
        return p->imr[c];
    return p->read_isr[c] ? p->isr[c] : pic8259_irr(p, c);
}

static uint64_t pic8259_master_read(void *owner, uint64_t offset, unsigned size)
{
    return pic8259_read(owner, MASTER, offset);
}

static void pic8259_master_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    pic8259_write(owner, MASTER, offset, (uint8_t)value);
}

static uint64_t pic8259_slave_read(void *owner, uint64_t offset, unsigned size)
{
    return pic8259_read(owner, SLAVE, offset);
}

static void pic8259_slave_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    pic8259_write(owner, SLAVE, offset, (uint8_t)value);
}

static uint64_t pic8259_elcr_read(void *owner, uint64_t offset, unsigned size)
{
    return ((struct pic8259 *)owner)->elcr[offset & 1];
}

static void pic8259_elcr_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct pic8259 *p = owner;

    p->elcr[offset & 1] = (uint8_t)value & pic8259_elcr_writable[offset & 1];
    pic8259_update(p);
}

static bool pic8259_realize(struct device *dev, struct err *e)
{
    static const struct io_ops master = { pic8259_master_read, pic8259_master_write, SIZE_8 };
    static const struct io_ops slave = { pic8259_slave_read, pic8259_slave_write, SIZE_8 };
    static const struct io_ops elcr = { pic8259_elcr_read, pic8259_elcr_write, SIZE_8 };
    struct ports *ports = dev->host->ports;

    ports_map(ports, 0x20, 2, "8259 master", &master, dev);
    ports_map(ports, 0xa0, 2, "8259 slave", &slave, dev);
    ports_map(ports, 0x4d0, 2, "8259 edge/level", &elcr, dev);
    return true;
}

static void pic8259_settle(struct device *dev)
{
    pic8259_update((struct pic8259 *)dev);
}

static void pic8259_show(const struct device *dev, FILE *out)
{
    const struct pic8259 *p = (const struct pic8259 *)dev;

    for (unsigned c = 0; c < CHIPS; c++)
        fprintf(out, "%s: IRR %02x ISR %02x IMR %02x, requests IR %d\n", c ? "slave" : "master",
                pic8259_irr(p, c), p->isr[c], p->imr[c], pic8259_request(p, c));
    fprintf(out, "INTR %d\n", p->intr.level);
}

const struct device_class pic8259_class = {
    .name = "pic8259",
    .title = "8259A interrupt controllers (master and slave)",
    .size = sizeof(struct pic8259),
    .version = 1,
    .fields = pic8259_fields,
    .realize = pic8259_realize,
    .settle = pic8259_settle,
    .show = pic8259_show,
};
