/* The Q35 board: creates the parts and connects them. */
#pragma once
#include "machine/machine.h"

enum { BOARD_SERIALS = 4, BOARD_DISKS = 16 };

struct board {
    struct nidus *m;
    struct device *pic, *pit, *rtc, *i8042, *port92, *pm, *hpet, *ioapic, *lpc, *host_bridge,
        *fw_cfg, *debugcon, *virtio_console, *exit_port, *testdev;
    struct device *lapic[MACHINE_MAX_CPUS];
    struct apic_bus *apic_bus;
    struct device *serial[BOARD_SERIALS];
    struct char_backend serial_out[BOARD_SERIALS], debug_out, console_out;
    struct block_backend disk[BOARD_DISKS];
    unsigned disk_count;
    unsigned next_slot;        /* PCI slot of the next card */
    uint32_t isa[16], gsi[24]; /* who pulls a line, as bits; the line is their OR */
};

bool board_create(struct nidus *m, struct err *e);
void board_destroy(struct nidus *m);
/* after all devices have been reset: what firmware would have set up */
void board_firmware_setup(struct nidus *m);

/* cards and ports that the caller asks for, before the first run */
bool board_add_serial(struct nidus *m, unsigned n, const struct char_backend *out, struct err *e);
bool board_add_debugcon(struct nidus *m, const struct char_backend *out, struct err *e);
bool board_add_virtio_console(struct nidus *m, const struct char_backend *out, struct err *e);
bool board_add_disk(struct nidus *m, const struct block_backend *disk, struct err *e);
bool board_add_rng(struct nidus *m, struct err *e);
bool board_add_exit_port(struct nidus *m, uint16_t base, unsigned count, struct err *e);
bool board_add_testdev(struct nidus *m, struct err *e);
/* bytes from outside for "serialN" or "virtio-console"; how many were taken */
size_t board_input(struct nidus *m, const char *device, const uint8_t *bytes, size_t count);
