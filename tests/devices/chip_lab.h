/* A board with memory, ports and time, for one chip at a time, and probes for its lines. */
#pragma once
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devices/device.h"

enum { CHIP_MESSAGES = 16, CHIP_TEXT = 256 };

/* what a line did */
struct probe {
    bool level;
    unsigned rises, falls;
};

struct chip_lab {
    struct clock clock;
    uint64_t now;
    struct device_host host;
    int64_t wall;
    uint64_t message_address[CHIP_MESSAGES];
    uint32_t message_data[CHIP_MESSAGES];
    unsigned messages;
    char text[CHIP_TEXT]; /* what came out of a char_backend */
    size_t text_length;
    unsigned can_receive;
};

static inline void probe_set(void *owner, unsigned n, bool level)
{
    struct probe *p = (struct probe *)owner + n;

    p->rises += level && !p->level;
    p->falls += !level && p->level;
    p->level = level;
}

static inline void probe_connect(struct probe *p, struct line *l)
{
    memset(p, 0, sizeof *p);
    line_connect(l, probe_set, p, 0);
}

static inline uint64_t chip_now(void *owner)
{
    return ((struct chip_lab *)owner)->now;
}

static inline void chip_send(void *owner, uint64_t address, uint32_t data)
{
    struct chip_lab *lab = owner;

    lab->message_address[lab->messages % CHIP_MESSAGES] = address;
    lab->message_data[lab->messages++ % CHIP_MESSAGES] = data;
}

static inline int64_t chip_wall(void *owner)
{
    return ((struct chip_lab *)owner)->wall;
}

static inline void chip_write_text(void *owner, const uint8_t *bytes, size_t count)
{
    struct chip_lab *lab = owner;

    ck_assert_uint_lt(lab->text_length + count, CHIP_TEXT);
    memcpy(lab->text + lab->text_length, bytes, count);
    lab->text_length += count;
}

static inline void chip_can_receive(void *owner)
{
    ((struct chip_lab *)owner)->can_receive++;
}

static inline struct char_backend chip_backend(struct chip_lab *lab)
{
    return (struct char_backend){ lab, chip_write_text, chip_can_receive };
}

static inline struct chip_lab *chip_lab_create(void)
{
    struct chip_lab *lab = calloc(1, sizeof *lab);

    lab->clock.now = chip_now;
    lab->clock.owner = lab;
    lab->host.clock = &lab->clock;
    lab->host.bus = bus_create();
    lab->host.ports = ports_create();
    lab->host.msi = (struct msi_port){ chip_send, lab };
    lab->host.outside = (struct outside){ .owner = lab, .wall_seconds = chip_wall };
    return lab;
}

static inline void chip_lab_destroy(struct chip_lab *lab)
{
    ports_destroy(lab->host.ports);
    bus_destroy(lab->host.bus);
    free(lab);
}

/* realize and reset, after the caller has connected the lines */
static inline void chip_start(struct device *dev)
{
    struct err e = { "" };

    ck_assert_msg(device_realize(dev, &e), "%s", e.text);
    device_reset(dev);
}

/* time passes; timers fire at their deadlines */
static inline void chip_run_to(struct chip_lab *lab, uint64_t cycle)
{
    while (clock_deadline(&lab->clock) <= cycle) {
        if (clock_deadline(&lab->clock) > lab->now)
            lab->now = clock_deadline(&lab->clock);
        clock_run(&lab->clock, lab->now);
    }
    lab->now = cycle;
}

static inline void chip_run(struct chip_lab *lab, uint64_t cycles)
{
    chip_run_to(lab, lab->now + cycles);
}

static inline void chip_run_ns(struct chip_lab *lab, uint64_t ns)
{
    chip_run(lab, ns * CLOCK_CYCLES_A_NS);
}

static inline uint8_t in8(struct chip_lab *lab, uint16_t port)
{
    return (uint8_t)ports_read(lab->host.ports, port, 1);
}

static inline void out8(struct chip_lab *lab, uint16_t port, uint8_t value)
{
    ports_write(lab->host.ports, port, value, 1);
}
