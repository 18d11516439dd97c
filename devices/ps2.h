/* A PS/2 keyboard and a PS/2 mouse, at the other end of the i8042's two cables. Parts of that
 * chip's struct, whose field list takes in PS2_KEYBOARD_FIELDS and PS2_MOUSE_FIELDS. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/field.h"

enum { PS2_QUEUE = 64 };

struct ps2_queue {
    uint8_t bytes[PS2_QUEUE];
    uint8_t head;
    uint8_t count;
};

struct ps2_keyboard {
    struct ps2_queue out;
    uint8_t scanning; /* keys are reported */
    uint8_t set;      /* scan code set: 1 or 2 */
    uint8_t leds;
    uint8_t command; /* waits for its parameter; 0: none */
    uint8_t last;    /* byte sent, for "resend" */
};

struct ps2_mouse {
    struct ps2_queue out;
    uint8_t reporting;
    uint8_t remote;
    uint8_t wrap;
    uint8_t scaling;
    uint8_t resolution;
    uint8_t rate;
    uint8_t knock[2]; /* the two rates set before: 200, 100, 80 makes it a wheel mouse */
    uint8_t kind;     /* 0, 3: wheel, 4: wheel and five buttons */
    uint8_t command;
    uint8_t buttons;
    int32_t dx, dy, dz; /* movement that has not been reported */
};

#define PS2_QUEUE_FIELDS(type, m)                                            \
    FIELD_ARRAY(type, m.bytes, .reset = 0), FIELD(type, m.head, .reset = 0), \
        FIELD(type, m.count, .reset = 0)

#define PS2_KEYBOARD_FIELDS(type, m)                                     \
    PS2_QUEUE_FIELDS(type, m.out), FIELD(type, m.scanning, .reset = 1),  \
        FIELD(type, m.set, .reset = 2), FIELD(type, m.leds, .reset = 0), \
        FIELD(type, m.command, .reset = 0), FIELD(type, m.last, .reset = 0)

#define PS2_MOUSE_FIELDS(type, m)                                                  \
    PS2_QUEUE_FIELDS(type, m.out), FIELD(type, m.reporting, .reset = 0),           \
        FIELD(type, m.remote, .reset = 0), FIELD(type, m.wrap, .reset = 0),        \
        FIELD(type, m.scaling, .reset = 0), FIELD(type, m.resolution, .reset = 2), \
        FIELD(type, m.rate, .reset = 100), FIELD_ARRAY(type, m.knock, .reset = 0), \
        FIELD(type, m.kind, .reset = 0), FIELD(type, m.command, .reset = 0),       \
        FIELD(type, m.buttons, .reset = 0), FIELD(type, m.dx, .reset = 0),         \
        FIELD(type, m.dy, .reset = 0), FIELD(type, m.dz, .reset = 0)

/* false, and nothing queued, if there is no room */
bool ps2_queue_put(struct ps2_queue *q, uint8_t byte);
/* the next byte, or -1 */
int ps2_queue_get(struct ps2_queue *q);
/* make a restored queue safe to use */
void ps2_queue_settle(struct ps2_queue *q);

/* The 8042's translation of scan code set 2 to set 1. */
uint8_t ps2_translate(uint8_t set2);

/* A byte from the controller. */
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte);

/* A key by its code in set 1: 01H to 7FH, E0xxH, E11DH for Pause. */
void ps2_keyboard_key(struct ps2_keyboard *k, uint16_t key, bool down);

/* Movement to the right, up and towards the user; buttons: bit 0 left, 1 right, 2 middle, 3, 4. */
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, uint8_t buttons);
