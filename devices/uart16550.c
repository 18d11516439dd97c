/* The 16550A universal asynchronous receiver/transmitter with FIFOs, eight ports.
 * [National Semiconductor PC16550D data sheet]
 *
 * Transmission takes no time: a byte written leaves at once, the transmitter is always empty, and
 * each write raises the interrupt "transmitter holding register empty" again. Reception is as fast
 * as software reads; only the time-out of the receiver FIFO uses a timer, and only while that FIFO
 * holds less than its trigger level. The line status never shows parity or framing errors. */
#include "devices/uart16550.h"

#include "base/bits.h"
#include "devices/trace.h"

#define UART_HZ UINT64_C(1843200)

enum { REG_DATA, REG_IER, REG_IIR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };
enum { IER_RECEIVED = 1, IER_EMPTY = 2, IER_LINE = 4, IER_MODEM = 8, IER_ALL = 15 };
enum {
    IIR_NONE = 1,
    IIR_MODEM = 0,
    IIR_EMPTY = 2,
    IIR_RECEIVED = 4,
    IIR_LINE = 6,
    IIR_TIMEOUT = 12,
    IIR_FIFOS = 0xc0
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RECEIVER = 2, FCR_TRIGGER = 0xc0 };
enum { LCR_LENGTH = 3, LCR_TWO_STOPS = 4, LCR_PARITY = 8, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16, MCR_ALL = 31 };
enum { LSR_READY = 1, LSR_OVERRUN = 2, LSR_BREAK = 16, LSR_EMPTY = 0x60 };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_RI_FELL = 4 };
enum { FIFO = 16 };

struct uart16550 {
    struct device dev;
    uint8_t fifo[FIFO]; /* one byte of it without FIFOs */
    uint8_t head, count;
    uint8_t ier, fcr, lcr, mcr, scr;
    uint8_t errors; /* the bits of the line status that reading clears */
    uint8_t msr;    /* bits 3:0: changes since the last read; 7:4: the inputs as last seen */
    uint16_t divisor;
    uint8_t empty;     /* the interrupt "transmitter empty" is pending */
    uint8_t timed_out; /* the receiver FIFO's time-out has passed */
    uint64_t timeout;  /* the cycle when it will, or TIMER_OFF */
    uint16_t base;
    struct char_backend out;
    struct timer timer;
    struct line irq;
};

static const struct field uart16550_fields[] = {
    FIELD_ARRAY(struct uart16550, fifo, .reset = 0),
    FIELD(struct uart16550, head, .reset = 0),
    FIELD(struct uart16550, count, .reset = 0),
    FIELD(struct uart16550, ier, .reset = 0),
    FIELD(struct uart16550, fcr, .reset = 0),
    FIELD(struct uart16550, lcr, .reset = 0),
    FIELD(struct uart16550, mcr, .reset = 0),
    FIELD(struct uart16550, scr, .reset = 0),
    FIELD(struct uart16550, errors, .reset = 0),
    FIELD(struct uart16550, msr, .reset = MSR_CTS | MSR_DSR | MSR_DCD),
    FIELD(struct uart16550, divisor, .reset = 12), /* 9600 baud */
    FIELD(struct uart16550, empty, .reset = 0),
    FIELD(struct uart16550, timed_out, .reset = 0),
    FIELD(struct uart16550, timeout, .reset = TIMER_OFF),
    { 0 },
};

static unsigned uart16550_capacity(const struct uart16550 *u)
{
    return u->fcr & FCR_ENABLE ? FIFO : 1;
}

static unsigned uart16550_trigger(const struct uart16550 *u)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };

    return u->fcr & FCR_ENABLE ? levels[u->fcr >> 6] : 1;
}

/* what the interrupt identification register shows, in the order of the data sheet's table */
static uint8_t uart16550_cause(const struct uart16550 *u)
{
    if ((u->ier & IER_LINE) && u->errors)
        return IIR_LINE;
    if ((u->ier & IER_RECEIVED) && u->count >= uart16550_trigger(u))
        return IIR_RECEIVED;
    if ((u->ier & IER_RECEIVED) && u->timed_out)
        return IIR_TIMEOUT;
    if ((u->ier & IER_EMPTY) && u->empty)
        return IIR_EMPTY;
    if ((u->ier & IER_MODEM) && (u->msr & 15))
        return IIR_MODEM;
    return IIR_NONE;
}

/* On a PC the output OUT2 connects the interrupt; loop-back takes all outputs away. */
static void uart16550_drive(struct uart16550 *u)
{
    bool connected = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    line_set(&u->irq, connected && uart16550_cause(u) != IIR_NONE);
}

/* cycles of four characters, after which bytes below the trigger level are announced too */
static uint64_t uart16550_four_characters(const struct uart16550 *u)
{
    unsigned bits_each = 1 + 5 + (u->lcr & LCR_LENGTH) + !!(u->lcr & LCR_PARITY) + 1 +
                         !!(u->lcr & LCR_TWO_STOPS);
    uint64_t divisor = u->divisor ? u->divisor : 65536;

    return 4 * bits_each * divisor * 16 * CLOCK_HZ / UART_HZ;
}

/* bytes came or were read: the time-out starts anew */
static void uart16550_restart_timeout(struct uart16550 *u)
{
    bool wait = (u->fcr & FCR_ENABLE) && u->count && u->count < uart16550_trigger(u);

    u->timed_out = 0;
    u->timeout = TIMER_OFF;
    if (wait)
        u->timeout = clock_now(u->dev.host->clock) + uart16550_four_characters(u);
    timer_set(&u->timer, u->timeout);
}

static void uart16550_fire(void *owner)
{
    struct uart16550 *u = owner;

    u->timeout = TIMER_OFF;
    u->timed_out = u->count != 0;
    uart16550_drive(u);
}

static void uart16550_push(struct uart16550 *u, uint8_t byte)
{
    unsigned capacity = uart16550_capacity(u);

    if (u->count >= capacity) {
        u->errors |= LSR_OVERRUN;
        if (capacity == 1) /* the new byte replaces the old one; a full FIFO keeps what it has */
            u->fifo[u->head] = byte;
        return;
    }
    u->fifo[(u->head + u->count) % FIFO] = byte;
    u->count++;
}

static void uart16550_room_again(struct uart16550 *u)
{
    if (u->out.can_receive && uart16550_room(&u->dev))
        u->out.can_receive(u->out.owner);
}

static uint8_t uart16550_pop(struct uart16550 *u)
{
    uint8_t byte = u->fifo[u->head]; /* an empty receiver shows its last byte again */

    if (!u->count)
        return byte;
    u->count--;
    if (u->count || (u->fcr & FCR_ENABLE))
        u->head = (u->head + 1) % FIFO;
    uart16550_restart_timeout(u);
    uart16550_drive(u);
    uart16550_room_again(u);
    return byte;
}

static void uart16550_send(struct uart16550 *u, uint8_t byte)
{
    u->empty = 1; /* it has left already */
    if (u->mcr & MCR_LOOP) {
        uart16550_push(u, byte);
        uart16550_restart_timeout(u);
    } else if (u->out.write) {
        u->out.write(u->out.owner, &byte, 1);
    }
}

/* The modem's lines are always on; in loop-back the inputs are the chip's own outputs. */
static void uart16550_modem(struct uart16550 *u)
{
    uint8_t in = MSR_CTS | MSR_DSR | MSR_DCD;
    uint8_t changed;

    if (u->mcr & MCR_LOOP)
        in = (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                       (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
    changed = (uint8_t)((u->msr ^ in) >> 4);
    if (in & MSR_RI) /* only the end of a ring counts */
        changed &= (uint8_t)~MSR_RI_FELL;
    u->msr = (uint8_t)(in | (u->msr & 15) | changed);
}

static void uart16550_set_ier(struct uart16550 *u, uint8_t value)
{
    if (value & ~u->ier & IER_EMPTY)
        u->empty = 1; /* enabling announces an empty transmitter */
    u->ier = value & IER_ALL;
}

static void uart16550_set_fcr(struct uart16550 *u, uint8_t value)
{
    const uint8_t clear = FCR_ENABLE | FCR_CLEAR_RECEIVER;

    if (((value ^ u->fcr) & FCR_ENABLE) || (value & clear) == clear)
        u->head = u->count = 0;
    u->fcr = value & FCR_ENABLE ? value & (FCR_ENABLE | FCR_TRIGGER) : 0;
    uart16550_restart_timeout(u);
}

static void uart16550_write(struct device *dev, uint64_t offset, uint64_t value, unsigned size)
{
    struct uart16550 *u = (struct uart16550 *)dev;
    uint8_t v = (uint8_t)value;
    bool had_room = uart16550_room(dev) != 0;

    trace_uart16550_write(dev->id, (unsigned)offset, v);
    switch (offset) {
    case REG_DATA:
        if (u->lcr & LCR_DLAB)
            u->divisor = (uint16_t)((u->divisor & 0xff00) | v);
        else
            uart16550_send(u, v);
        break;
    case REG_IER:
        if (u->lcr & LCR_DLAB)
            u->divisor = (uint16_t)((u->divisor & 0x00ff) | v << 8);
        else
            uart16550_set_ier(u, v);
        break;
    case REG_IIR: uart16550_set_fcr(u, v); break;
    case REG_LCR:
        if ((u->mcr & MCR_LOOP) && (v & ~u->lcr & LCR_BREAK)) { /* receives its own break */
            uart16550_push(u, 0);
            u->errors |= LSR_BREAK;
        }
        u->lcr = v;
        break;
    case REG_MCR:
        u->mcr = v & MCR_ALL;
        uart16550_modem(u);
        break;
    case REG_SCR: u->scr = v; break;
    }
    uart16550_drive(u);
    if (!had_room)
        uart16550_room_again(u);
}

static uint64_t uart16550_read(struct device *dev, uint64_t offset, unsigned size)
{
    struct uart16550 *u = (struct uart16550 *)dev;
    uint8_t v;

    switch (offset) {
    case REG_DATA: return u->lcr & LCR_DLAB ? u->divisor & 0xff : uart16550_pop(u);
    case REG_IER: return u->lcr & LCR_DLAB ? u->divisor >> 8 : u->ier;
    case REG_IIR:
        v = uart16550_cause(u);
        if (v == IIR_EMPTY) { /* reading acknowledges this cause only */
            u->empty = 0;
            uart16550_drive(u);
        }
        return v | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
    case REG_LCR: return u->lcr;
    case REG_MCR: return u->mcr;
    case REG_LSR:
        v = (uint8_t)(LSR_EMPTY | u->errors | (u->count ? LSR_READY : 0));
        u->errors = 0;
        uart16550_drive(u);
        return v;
    case REG_MSR:
        v = u->msr;
        u->msr &= 0xf0;
        uart16550_drive(u);
        return v;
    default: return u->scr;
    }
}

size_t uart16550_room(const struct device *dev)
{
    const struct uart16550 *u = (const struct uart16550 *)dev;
    unsigned capacity = uart16550_capacity(u);

    if ((u->mcr & MCR_LOOP) || u->count >= capacity)
        return 0; /* in loop-back the input is disconnected: bytes wait outside */
    return capacity - u->count;
}

size_t uart16550_receive(struct device *dev, const uint8_t *bytes, size_t count)
{
    struct uart16550 *u = (struct uart16550 *)dev;
    size_t room = uart16550_room(dev);

    if (count > room)
        count = room;
    if (!count)
        return 0;
    for (size_t i = 0; i < count; i++)
        uart16550_push(u, bytes[i]);
    uart16550_restart_timeout(u);
    uart16550_drive(u);
    return count;
}

static bool uart16550_realize(struct device *dev, struct err *e)
{
    struct uart16550 *u = (struct uart16550 *)dev;

    if (!u->base)
        u->base = 0x3f8;
    timer_init(&u->timer, dev->host->clock, "16550 time-out", uart16550_fire, u);
    ports_map(dev->host->ports, u->base, 8, "16550", &dev->ops, dev);
    return true;
}

static void uart16550_unrealize(struct device *dev)
{
    struct uart16550 *u = (struct uart16550 *)dev;

    if (u->timer.clock)
        timer_cancel(&u->timer);
}

static void uart16550_settle(struct device *dev)
{
    struct uart16550 *u = (struct uart16550 *)dev;

    u->head %= FIFO;
    if (u->count > uart16550_capacity(u))
        u->count = (uint8_t)uart16550_capacity(u);
    timer_set(&u->timer, u->timeout);
    uart16550_drive(u);
}

static void uart16550_show(const struct device *dev, FILE *out)
{
    const struct uart16550 *u = (const struct uart16550 *)dev;

    fprintf(out, "ports %#x-%#x, %u baud, %u bytes received, IIR %02x, interrupt %d\n", u->base,
            u->base + 7u, (unsigned)(UART_HZ / 16 / (u->divisor ? u->divisor : 65536)), u->count,
            uart16550_cause(u), u->irq.level);
}

void uart16550_set_base(struct device *dev, uint16_t base)
{
    ((struct uart16550 *)dev)->base = base;
}

void uart16550_set_backend(struct device *dev, const struct char_backend *backend)
{
    ((struct uart16550 *)dev)->out = *backend;
}

struct line *uart16550_irq(struct device *dev)
{
    return &((struct uart16550 *)dev)->irq;
}

const struct device_class uart16550_class = {
    .name = "uart16550",
    .title = "16550A serial port",
    .size = sizeof(struct uart16550),
    .version = 1,
    .fields = uart16550_fields,
    .realize = uart16550_realize,
    .unrealize = uart16550_unrealize,
    .settle = uart16550_settle,
    .show = uart16550_show,
    .read = uart16550_read,
    .write = uart16550_write,
    .sizes = SIZE_8,
};
