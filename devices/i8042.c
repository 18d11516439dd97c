/* The 8042 keyboard controller of a PS/2: data at port 60H, status and commands at port 64H.
 * [IBM PS/2 Hardware Interface Technical Reference "Keyboard and Auxiliary Device Controller"]
 *
 * Everything takes no time: a byte waits in the output buffer as soon as the one before it has
 * been read, and the interrupt line falls and rises between the two. */
#include "devices/i8042.h"

#include "base/bits.h"
#include "devices/ps2.h"
#include "devices/trace.h"

enum { FROM_NOBODY, FROM_KEYBOARD, FROM_MOUSE };
enum {
    STATUS_FULL = 0x01,
    STATUS_SYSTEM = 0x04,
    STATUS_COMMAND = 0x08,
    STATUS_UNLOCKED = 0x10,
    STATUS_MOUSE = 0x20
};
/* the command byte, which is byte 0 of the controller's memory */
enum {
    CTR_KEYBOARD_IRQ = 0x01,
    CTR_MOUSE_IRQ = 0x02,
    CTR_SYSTEM = 0x04,
    CTR_NO_KEYBOARD = 0x10,
    CTR_NO_MOUSE = 0x20,
    CTR_TRANSLATE = 0x40
};
/* the output port */
enum {
    OUT_NOT_RESET = 0x01,
    OUT_A20 = 0x02,
    OUT_MOUSE_FULL = 0x20,
    OUT_KEYBOARD_FULL = 0x10,
    OUT_IDLE = 0xcc
};

struct i8042 {
    struct device dev;
    uint8_t ram[32];
    uint8_t data;         /* the output buffer */
    uint8_t source;       /* whose byte that is; FROM_NOBODY: empty */
    uint8_t last_command; /* status bit 3: the last write was to port 64H */
    uint8_t command;      /* waits for its byte at port 60H; 0: none */
    uint8_t port;         /* output port, bits 1:0 */
    uint8_t released;     /* F0H has come and is to be translated with the next byte */
    struct ps2_queue reply, reply_mouse; /* the controller's own bytes */
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    struct line irq1, irq12, a20, reset;
};

/* After reset the controller is as firmware leaves it: tested, translating, with IRQ 1. */
static const struct field i8042_fields[] = {
    FIELD_ARRAY(struct i8042, ram, .reset = 0),
    FIELD(struct i8042, data, .reset = 0),
    FIELD(struct i8042, source, .reset = FROM_NOBODY),
    FIELD(struct i8042, last_command, .reset = 0),
    FIELD(struct i8042, command, .reset = 0),
    FIELD(struct i8042, port, .reset = OUT_NOT_RESET | OUT_A20),
    FIELD(struct i8042, released, .reset = 0),
    PS2_QUEUE_FIELDS(struct i8042, reply),
    PS2_QUEUE_FIELDS(struct i8042, reply_mouse),
    PS2_KEYBOARD_FIELDS(struct i8042, keyboard),
    PS2_MOUSE_FIELDS(struct i8042, mouse),
    { 0 },
};

/* the keyboard's next byte as the controller shows it, or -1 */
static int i8042_from_keyboard(struct i8042 *k)
{
    int byte = ps2_queue_get(&k->keyboard.out);

    if (byte >= 0)
        k->keyboard.last = (uint8_t)byte;
    if (!(k->ram[0] & CTR_TRANSLATE))
        return byte;
    if (byte == 0xf0) { /* held back: it becomes bit 7 of what follows */
        k->released = 0x80;
        byte = ps2_queue_get(&k->keyboard.out);
    }
    if (byte < 0)
        return -1;
    byte = ps2_translate((uint8_t)byte) | k->released;
    k->released = 0;
    return byte;
}

static void i8042_drive(struct i8042 *k)
{
    line_set(&k->irq1, k->source == FROM_KEYBOARD && (k->ram[0] & CTR_KEYBOARD_IRQ));
    line_set(&k->irq12, k->source == FROM_MOUSE && (k->ram[0] & CTR_MOUSE_IRQ));
}

/* the next byte into the output buffer, if that is empty */
static void i8042_fill(struct i8042 *k)
{
    int byte;

    if (k->source == FROM_NOBODY && (byte = ps2_queue_get(&k->reply)) >= 0) {
        k->data = (uint8_t)byte;
        k->source = FROM_KEYBOARD;
    }
    if (k->source == FROM_NOBODY && (byte = ps2_queue_get(&k->reply_mouse)) >= 0) {
        k->data = (uint8_t)byte;
        k->source = FROM_MOUSE;
    }
    if (k->source == FROM_NOBODY && !(k->ram[0] & CTR_NO_KEYBOARD) &&
        (byte = i8042_from_keyboard(k)) >= 0) {
        k->data = (uint8_t)byte;
        k->source = FROM_KEYBOARD;
    }
    if (k->source == FROM_NOBODY && !(k->ram[0] & CTR_NO_MOUSE) &&
        (byte = ps2_queue_get(&k->mouse.out)) >= 0) {
        k->data = (uint8_t)byte;
        k->source = FROM_MOUSE;
    }
    i8042_drive(k);
}

static uint8_t i8042_status(const struct i8042 *k)
{
    return (uint8_t)(STATUS_UNLOCKED | (k->source != FROM_NOBODY ? STATUS_FULL : 0) |
                     (k->source == FROM_MOUSE ? STATUS_MOUSE : 0) |
                     (k->ram[0] & CTR_SYSTEM ? STATUS_SYSTEM : 0) |
                     (k->last_command ? STATUS_COMMAND : 0));
}

static uint8_t i8042_output_port(const struct i8042 *k)
{
    return (uint8_t)(OUT_IDLE | k->port | (k->source == FROM_KEYBOARD ? OUT_KEYBOARD_FULL : 0) |
                     (k->source == FROM_MOUSE ? OUT_MOUSE_FULL : 0));
}

static void i8042_set_port(struct i8042 *k, uint8_t value)
{
    k->port = (value & OUT_A20) | OUT_NOT_RESET;
    line_set(&k->a20, (k->port & OUT_A20) != 0);
    if (!(value & OUT_NOT_RESET))
        line_pulse(&k->reset);
}

static void i8042_reply(struct i8042 *k, uint8_t byte)
{
    ps2_queue_put(&k->reply, byte);
}

/* a byte at port 60H that belongs to a command */
static void i8042_parameter(struct i8042 *k, uint8_t command, uint8_t byte)
{
    if (command >= 0x60 && command <= 0x7f) {
        k->ram[command & 0x1f] = byte;
        return;
    }
    switch (command) {
    case 0xd2: /* as if the keyboard had sent it */ i8042_reply(k, byte); break;
    case 0xd3: /* as if the mouse had */ ps2_queue_put(&k->reply_mouse, byte); break;
    case 0xd4:
        trace_i8042_data(k->dev.id, "mouse", byte);
        k->ram[0] &= (uint8_t)~CTR_NO_MOUSE;
        ps2_mouse_write(&k->mouse, byte);
        break;
    case 0xd1: i8042_set_port(k, byte); break;
    }
}

static void i8042_write_data(struct i8042 *k, uint8_t byte)
{
    uint8_t command = k->command;

    k->last_command = 0;
    k->command = 0;
    if (command) {
        i8042_parameter(k, command, byte);
        return;
    }
    trace_i8042_data(k->dev.id, "keyboard", byte);
    k->ram[0] &= (uint8_t)~CTR_NO_KEYBOARD;
    ps2_keyboard_write(&k->keyboard, byte);
}

static void i8042_pulse(struct i8042 *k, uint8_t low)
{
    if (!(low & OUT_NOT_RESET))
        line_pulse(&k->reset);
}

static void i8042_command(struct i8042 *k, uint8_t c)
{
    trace_i8042_command(k->dev.id, c);
    k->last_command = 1;
    k->command = 0;
    if ((c >= 0x60 && c <= 0x7f) || (c >= 0xd1 && c <= 0xd4)) {
        k->command = c;
        return;
    }
    if (c >= 0x20 && c <= 0x3f) {
        i8042_reply(k, k->ram[c & 0x1f]);
        return;
    }
    switch (c) {
    case 0xa4: /* is there a password? no */ i8042_reply(k, 0xf1); break;
    case 0xa7: k->ram[0] |= CTR_NO_MOUSE; break;
    case 0xa8: k->ram[0] &= (uint8_t)~CTR_NO_MOUSE; break;
    case 0xaa: /* self-test */
        k->ram[0] |= CTR_SYSTEM;
        i8042_reply(k, 0x55);
        break;
    case 0xa9: /* the cables */
    case 0xab:
    case 0xe0: /* test inputs */ i8042_reply(k, 0x00); break;
    case 0xad: k->ram[0] |= CTR_NO_KEYBOARD; break;
    case 0xae: k->ram[0] &= (uint8_t)~CTR_NO_KEYBOARD; break;
    case 0xc0: /* input port: not locked, colour display */ i8042_reply(k, 0x80); break;
    case 0xd0: i8042_reply(k, i8042_output_port(k)); break;
    case 0xdd:
    case 0xdf: i8042_set_port(k, c == 0xdf ? OUT_NOT_RESET | OUT_A20 : OUT_NOT_RESET); break;
    default:
        if (c >= 0xf0)
            i8042_pulse(k, c & 0x0f);
    }
}

static uint64_t i8042_read_60(void *owner, uint64_t offset, unsigned size)
{
    struct i8042 *k = owner;
    uint8_t data = k->data; /* an empty buffer shows the last byte again */

    k->source = FROM_NOBODY;
    i8042_drive(k);
    i8042_fill(k);
    return data;
}

static void i8042_write_60(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *k = owner;

    i8042_write_data(k, (uint8_t)value);
    i8042_fill(k);
}

static uint64_t i8042_read_64(void *owner, uint64_t offset, unsigned size)
{
    return i8042_status(owner);
}

static void i8042_write_64(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *k = owner;

    i8042_command(k, (uint8_t)value);
    i8042_fill(k);
}

static bool i8042_realize(struct device *dev, struct err *e)
{
    static const struct io_ops data = { i8042_read_60, i8042_write_60, SIZE_8 };
    static const struct io_ops status = { i8042_read_64, i8042_write_64, SIZE_8 };

    ports_map(dev->host->ports, 0x60, 1, "8042 data", &data, dev);
    ports_map(dev->host->ports, 0x64, 1, "8042 status", &status, dev);
    return true;
}

static void i8042_reset(struct device *dev)
{
    ((struct i8042 *)dev)->ram[0] = CTR_KEYBOARD_IRQ | CTR_SYSTEM | CTR_NO_MOUSE | CTR_TRANSLATE;
}

static void i8042_settle(struct device *dev)
{
    struct i8042 *k = (struct i8042 *)dev;

    ps2_queue_settle(&k->reply);
    ps2_queue_settle(&k->reply_mouse);
    ps2_queue_settle(&k->keyboard.out);
    ps2_queue_settle(&k->mouse.out);
    line_set(&k->a20, (k->port & OUT_A20) != 0);
    i8042_drive(k);
}

static void i8042_show(const struct device *dev, FILE *out)
{
    const struct i8042 *k = (const struct i8042 *)dev;

    fprintf(out, "status %02x, command byte %02x, keyboard %s, set %u, mouse %s, kind %u\n",
            i8042_status(k), k->ram[0], k->keyboard.scanning ? "on" : "off", k->keyboard.set,
            k->mouse.reporting ? "on" : "off", k->mouse.kind);
}

struct line *i8042_irq_keyboard(struct device *dev)
{
    return &((struct i8042 *)dev)->irq1;
}

struct line *i8042_irq_mouse(struct device *dev)
{
    return &((struct i8042 *)dev)->irq12;
}

struct line *i8042_a20(struct device *dev)
{
    return &((struct i8042 *)dev)->a20;
}

struct line *i8042_reset_line(struct device *dev)
{
    return &((struct i8042 *)dev)->reset;
}

void i8042_key(struct device *dev, uint16_t key, bool down)
{
    struct i8042 *k = (struct i8042 *)dev;

    ps2_keyboard_key(&k->keyboard, key, down);
    i8042_fill(k);
}

void i8042_mouse(struct device *dev, int dx, int dy, int dz, uint8_t buttons)
{
    struct i8042 *k = (struct i8042 *)dev;

    ps2_mouse_move(&k->mouse, dx, dy, dz, buttons);
    i8042_fill(k);
}

const struct device_class i8042_class = {
    .name = "i8042",
    .title = "keyboard controller with PS/2 keyboard and mouse",
    .size = sizeof(struct i8042),
    .version = 1,
    .fields = i8042_fields,
    .realize = i8042_realize,
    .reset = i8042_reset,
    .settle = i8042_settle,
    .show = i8042_show,
};
