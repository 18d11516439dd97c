/* A board with nothing but memory, ports, time, the Q35 host bridge and the ICH9 LPC bridge. */
#pragma once
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devices/ich9_lpc.h"
#include "devices/pci_host.h"

enum { LAB_RAM = 0x200000, LAB_MESSAGES = 64 };

struct pci_lab {
    struct clock clock;
    uint64_t now;
    struct device_host host;
    struct device *mch, *lpc;
    struct pci_bus *bus;
    struct {
        uint64_t address;
        uint32_t data;
    } message[LAB_MESSAGES];
    unsigned messages; /* how many were sent */
    uint8_t next_random;
};

static inline uint64_t lab_now(void *owner)
{
    return ((struct pci_lab *)owner)->now;
}

static inline void lab_send(void *owner, uint64_t address, uint32_t data)
{
    struct pci_lab *lab = owner;

    lab->message[lab->messages % LAB_MESSAGES].address = address;
    lab->message[lab->messages++ % LAB_MESSAGES].data = data;
}

/* counts up from 1 */
static inline void lab_entropy(void *owner, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = ++((struct pci_lab *)owner)->next_random;
}

static inline void lab_realize(struct device *dev)
{
    struct err e = { "" };

    ck_assert_msg(device_realize(dev, &e), "%s", e.text);
    device_reset(dev);
}

static inline struct pci_lab *lab_create(void)
{
    struct pci_lab *lab = calloc(1, sizeof *lab);
    struct err e = { "" };

    lab->clock.now = lab_now;
    lab->clock.owner = lab;
    lab->host.clock = &lab->clock;
    lab->host.bus = bus_create();
    lab->host.ports = ports_create();
    lab->host.msi = (struct msi_port){ lab_send, lab };
    lab->host.outside = (struct outside){ .owner = lab, .entropy = lab_entropy };
    ck_assert(bus_add_ram(lab->host.bus, LAB_RAM, LAB_RAM, &e));
    lab->mch = pci_host_create("mch", &lab->host, LAB_RAM, 0);
    lab->bus = pci_host_bus(lab->mch);
    lab_realize(lab->mch);
    lab->lpc = ich9_lpc_create("lpc", &lab->host, lab->bus);
    lab_realize(lab->lpc);
    return lab;
}

static inline void lab_destroy(struct pci_lab *lab)
{
    device_destroy(lab->lpc);
    device_destroy(lab->mch);
    ports_destroy(lab->host.ports);
    bus_destroy(lab->host.bus);
    free(lab);
}

/* let time pass and fire the timers on the way */
static inline void lab_advance(struct pci_lab *lab, uint64_t cycles)
{
    uint64_t until = lab->now + cycles;

    while (clock_deadline(&lab->clock) <= until) {
        if (clock_deadline(&lab->clock) > lab->now)
            lab->now = clock_deadline(&lab->clock);
        clock_run(&lab->clock, lab->now);
    }
    lab->now = until;
}

static inline uint32_t lab_config(struct pci_lab *lab, unsigned devfn, unsigned reg, unsigned size)
{
    return pci_config_read(lab->bus, devfn, reg, size);
}

static inline void lab_set_config(struct pci_lab *lab, unsigned devfn, unsigned reg, uint32_t value,
                                  unsigned size)
{
    pci_config_write(lab->bus, devfn, reg, value, size);
}

/* offset of the n-th capability with this id, 0 if there is none */
static inline unsigned lab_capability(struct pci_lab *lab, unsigned devfn, uint8_t id, unsigned n)
{
    unsigned at = lab_config(lab, devfn, 0x34, 1), steps = 0;

    while (at && steps++ < 48) {
        if (lab_config(lab, devfn, at, 1) == id && n-- == 0)
            return at;
        at = lab_config(lab, devfn, at + 1, 1);
    }
    return 0;
}

/* Save, overwrite the state with noise, settle, restore: the state must come back, and no noise may
 * hurt. */
static inline void lab_expect_restores(struct device *dev)
{
    const struct field *list = dev->class->fields;
    size_t bytes = fields_bytes(list);
    uint8_t *image = malloc(bytes), *noise = malloc(bytes), *again = malloc(bytes);
    uint32_t seed = 12345;

    fields_save(dev, list, image);
    for (unsigned round = 0; round < 50; round++) {
        for (size_t i = 0; i < bytes; i++) {
            seed = seed * 1664525 + 1013904223;
            noise[i] = (uint8_t)(seed >> 24);
        }
        ck_assert(fields_restore(dev, list, noise, bytes));
        if (dev->class->settle)
            dev->class->settle(dev);
    }
    ck_assert(fields_restore(dev, list, image, bytes));
    if (dev->class->settle)
        dev->class->settle(dev);
    fields_save(dev, list, again);
    ck_assert_mem_eq(image, again, bytes);
    free(image);
    free(noise);
    free(again);
}
