/* The PS/2 keyboard (101/102 keys, scan code sets 1 and 2) and mouse (with wheel and five
 * buttons, as drivers find out by the rates that they set).
 * [IBM PS/2 Hardware Interface Technical Reference "Keyboard", "Mouse"],
 * [Microsoft "IntelliMouse" and "IntelliMouse Explorer" protocols] */
#include "devices/ps2.h"

#include <string.h>

#include "base/bits.h"

enum { ACK = 0xfa, RESEND = 0xfe, TEST_OK = 0xaa, ECHO = 0xee };
enum { KEYS_ROOM = 16 }; /* a keyboard holds this many bytes of keys */

/* index: set 2, value: set 1; codes from 85H on stay as they are */
static const uint8_t ps2_set1[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
    0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11,
    0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14,
    0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24,
    0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35,
    0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36,
    0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c,
    0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
    0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, 0x80, 0x81, 0x82, 0x41, 0x54,
};

bool ps2_queue_put(struct ps2_queue *q, uint8_t byte)
{
    if (q->count == PS2_QUEUE)
        return false;
    q->bytes[(q->head + q->count) % PS2_QUEUE] = byte;
    q->count++;
    return true;
}

int ps2_queue_get(struct ps2_queue *q)
{
    int byte;

    if (!q->count)
        return -1;
    byte = q->bytes[q->head];
    q->head = (q->head + 1) % PS2_QUEUE;
    q->count--;
    return byte;
}

void ps2_queue_settle(struct ps2_queue *q)
{
    q->head %= PS2_QUEUE;
    if (q->count > PS2_QUEUE)
        q->count = PS2_QUEUE;
}

static void ps2_queue_clear(struct ps2_queue *q)
{
    q->count = 0;
}

uint8_t ps2_translate(uint8_t set2)
{
    return set2 < sizeof ps2_set1 ? ps2_set1[set2] : set2;
}

/* From the end, because F7 and SysRq have a second entry below, which no key sends. */
static uint8_t ps2_to_set2(uint8_t set1)
{
    unsigned code = sizeof ps2_set1;

    while (code-- > 0) {
        if (ps2_set1[code] == set1)
            return (uint8_t)code;
    }
    return 0;
}

/* --- keyboard --- */

static void ps2_keyboard_defaults(struct ps2_keyboard *k)
{
    ps2_queue_clear(&k->out);
    k->scanning = 1;
    k->set = 2;
    k->leds = 0;
    k->command = 0;
}

static void ps2_keyboard_reply(struct ps2_keyboard *k, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ps2_queue_put(&k->out, (uint8_t)bytes[i]);
}

static void ps2_keyboard_parameter(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t command = k->command;

    k->command = 0;
    ps2_keyboard_reply(k, "\xfa", 1);
    if (command == 0xed)
        k->leds = byte & 7;
    else if (command == 0xf0 && byte == 0)
        ps2_queue_put(&k->out, k->set);
    else if (command == 0xf0 && byte <= 2)
        k->set = byte;
    /* F3: the typematic rate; keys repeat where they are pressed */
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte)
{
    if (k->command && byte < 0xed) {
        ps2_keyboard_parameter(k, byte);
        return;
    }
    k->command = 0;
    switch (byte) {
    case 0xed: /* LEDs */
    case 0xf0: /* scan code set */
    case 0xf3: /* typematic rate */
        k->command = byte;
        ps2_keyboard_reply(k, "\xfa", 1);
        break;
    case 0xee: ps2_keyboard_reply(k, "\xee", 1); break;
    case 0xf2: /* identify */ ps2_keyboard_reply(k, "\xfa\xab\x83", 3); break;
    case 0xf4:
        k->scanning = 1;
        ps2_keyboard_reply(k, "\xfa", 1);
        break;
    case 0xf5: /* default values, and stop */
    case 0xf6:
        ps2_keyboard_defaults(k);
        k->scanning = byte == 0xf6;
        ps2_keyboard_reply(k, "\xfa", 1);
        break;
    case 0xf7:
    case 0xf8:
    case 0xf9:
    case 0xfa:
    case 0xfb:
    case 0xfc:
    case 0xfd:
        ps2_keyboard_reply(k, "\xfa", 1); /* for scan code set 3 only */
        break;
    case 0xfe: ps2_queue_put(&k->out, k->last); break;
    case 0xff:
        ps2_keyboard_defaults(k);
        ps2_keyboard_reply(k, "\xfa\xaa", 2);
        break;
    default: ps2_keyboard_reply(k, "\xfe", 1);
    }
}

void ps2_keyboard_key(struct ps2_keyboard *k, uint16_t key, bool down)
{
    uint8_t code = key & 0x7f;
    char bytes[8];
    size_t n = 0;

    if (!k->scanning || !code)
        return;
    if (key == 0xe11d) { /* Pause sends both parts when pressed and nothing when released */
        if (!down)
            return;
        memcpy(bytes, k->set == 1 ? "\xe1\x1d\x45\xe1\x9d\xc5" : "\xe1\x14\x77\xe1\xf0\x14\xf0\x77",
               8 - 2 * (k->set == 1));
        n = 8 - 2 * (k->set == 1);
    } else {
        if (key >> 8 == 0xe0)
            bytes[n++] = '\xe0';
        if (k->set == 1) {
            bytes[n++] = (char)(code | (down ? 0 : 0x80));
        } else {
            if (!down)
                bytes[n++] = '\xf0';
            bytes[n++] = (char)ps2_to_set2(code);
        }
    }
    if (k->out.count + n <= KEYS_ROOM) /* a full keyboard drops keys, whole */
        ps2_keyboard_reply(k, bytes, n);
}

/* --- mouse --- */

static void ps2_mouse_defaults(struct ps2_mouse *m)
{
    m->reporting = 0;
    m->remote = 0;
    m->wrap = 0;
    m->scaling = 0;
    m->resolution = 2;
    m->rate = 100;
    m->dx = m->dy = m->dz = 0;
}

/* at most `limit` of what has gathered; the rest stays */
static int ps2_mouse_take(int32_t *d, int limit)
{
    int v = *d < -limit ? -limit : *d >= limit ? limit - 1 : *d;

    *d -= v;
    return v;
}

static void ps2_mouse_packet(struct ps2_mouse *m)
{
    int dx = ps2_mouse_take(&m->dx, 256);
    int dy = ps2_mouse_take(&m->dy, 256);
    int dz;

    ps2_queue_put(&m->out,
                  (uint8_t)(0x08 | (m->buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0)));
    ps2_queue_put(&m->out, (uint8_t)dx);
    ps2_queue_put(&m->out, (uint8_t)dy);
    if (m->kind == 0) {
        m->dz = 0;
        return;
    }
    dz = ps2_mouse_take(&m->dz, m->kind == 4 ? 8 : 128);
    if (m->kind == 4)
        ps2_queue_put(&m->out, (uint8_t)((dz & 15) | (m->buttons & 0x18) << 1));
    else
        ps2_queue_put(&m->out, (uint8_t)dz);
}

static void ps2_mouse_set_rate(struct ps2_mouse *m, uint8_t rate)
{
    if (m->knock[0] == 200 && m->knock[1] == 100 && rate == 80)
        m->kind = 3;
    else if (m->knock[0] == 200 && m->knock[1] == 200 && rate == 80 && m->kind >= 3)
        m->kind = 4;
    m->knock[0] = m->knock[1];
    m->knock[1] = rate;
    m->rate = rate;
}

static void ps2_mouse_status(struct ps2_mouse *m)
{
    bool left = m->buttons & 1, right = m->buttons & 2, middle = m->buttons & 4;

    ps2_queue_put(&m->out, (uint8_t)((m->remote ? 0x40 : 0) | (m->reporting ? 0x20 : 0) |
                                     (m->scaling ? 0x10 : 0) | left << 2 | middle << 1 | right));
    ps2_queue_put(&m->out, m->resolution);
    ps2_queue_put(&m->out, m->rate);
}

static void ps2_mouse_command(struct ps2_mouse *m, uint8_t byte)
{
    ps2_queue_put(&m->out, ACK);
    switch (byte) {
    case 0xe6:
    case 0xe7: m->scaling = byte == 0xe7; break;
    case 0xe8: /* resolution */
    case 0xf3: /* rate */ m->command = byte; break;
    case 0xe9: ps2_mouse_status(m); break;
    case 0xea: m->remote = 0; break;
    case 0xeb: ps2_mouse_packet(m); break;
    case 0xec: m->wrap = 0; break;
    case 0xee: m->wrap = 1; break;
    case 0xf0: m->remote = 1; break;
    case 0xf2: ps2_queue_put(&m->out, m->kind); break;
    case 0xf4:
    case 0xf5: m->reporting = byte == 0xf4; break;
    case 0xf6: ps2_mouse_defaults(m); break;
    }
}

/* the commands that there are: E6H to F6H but E4H, E5H, EDH, EFH, F1H */
static bool ps2_mouse_knows(uint8_t byte)
{
    return byte >= 0xe6 && byte <= 0xf6 && byte != 0xed && byte != 0xef && byte != 0xf1;
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte)
{
    uint8_t command = m->command;

    m->command = 0;
    if (m->wrap && byte != 0xec && byte != 0xff) {
        ps2_queue_put(&m->out, byte);
    } else if (command) {
        ps2_queue_put(&m->out, ACK);
        if (command == 0xf3)
            ps2_mouse_set_rate(m, byte);
        else
            m->resolution = byte & 3;
    } else if (byte == 0xff) {
        ps2_mouse_defaults(m);
        m->kind = 0;
        ps2_queue_clear(&m->out);
        ps2_queue_put(&m->out, ACK);
        ps2_queue_put(&m->out, TEST_OK);
        ps2_queue_put(&m->out, 0); /* the identification follows */
    } else if (ps2_mouse_knows(byte)) {
        ps2_mouse_command(m, byte);
    } else {
        ps2_queue_put(&m->out, RESEND);
    }
}

static int32_t ps2_mouse_gather(int32_t sum, int d)
{
    int64_t v = (int64_t)sum + d;

    return (int32_t)(v > 10000 ? 10000 : v < -10000 ? -10000 : v);
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, uint8_t buttons)
{
    bool pressed = m->buttons != buttons;

    m->buttons = buttons;
    m->dx = ps2_mouse_gather(m->dx, dx);
    m->dy = ps2_mouse_gather(m->dy, dy);
    m->dz = ps2_mouse_gather(m->dz, dz);
    if (!m->reporting || m->remote)
        return;
    while ((pressed || m->dx || m->dy || (m->dz && m->kind)) && m->out.count < KEYS_ROOM) {
        ps2_mouse_packet(m);
        pressed = false;
    }
}
