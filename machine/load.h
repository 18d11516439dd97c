/* What is booted directly: kept as bytes, and loaded again at every reset. */
#pragma once
#include "base/err.h"
#include "machine/machine.h"

struct boot_image {
    uint8_t *kernel, *initrd;
    size_t kernel_bytes, initrd_bytes;
    char *command_line;
    bool (*load)(struct nidus *m,
                 struct err *e); /* into RAM, and the bootstrap processor's state */
};

/* Does it look like one of ours? Sets image->load, or explains. */
bool linux_recognize(struct boot_image *image);
bool linux_load(struct nidus *m, struct err *e);
bool multiboot_recognize(struct boot_image *image);
bool multiboot_load(struct nidus *m, struct err *e);

/* the memory map that firmware would report; returns the number of entries, at most `max` */
enum { MEMORY_RAM = 1, MEMORY_RESERVED = 2, MEMORY_ACPI = 3 };
struct memory_range {
    uint64_t base, size;
    uint32_t type;
};
size_t memory_map(const struct nidus *m, struct memory_range *out, size_t max);

/* RAM below 4 GiB of a machine with `ram` bytes */
uint64_t memory_low(uint64_t ram);
