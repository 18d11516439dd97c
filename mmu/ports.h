/* The 64 Ki I/O ports. An address that nothing decodes reads as ones and ignores writes. */
#pragma once
#include <stdio.h>

#include "mmu/io_ops.h"

struct ports;

struct ports *ports_create(void);
void ports_destroy(struct ports *p);

/* Later mappings win over earlier ones on the same port; `name` must outlive its mapping. */
void ports_map(struct ports *p, uint16_t base, unsigned count, const char *name,
               const struct io_ops *ops, void *owner);
/* Remove what this owner has mapped in the range (PCI BARs and PM base move). */
void ports_unmap(struct ports *p, uint16_t base, unsigned count, void *owner);

/* size 1, 2 or 4; an access that crosses a mapping's end is split into bytes */
uint32_t ports_read(struct ports *p, uint16_t port, unsigned size);
void ports_write(struct ports *p, uint16_t port, uint32_t value, unsigned size);

/* one line a mapping, for `info mtree` */
void ports_show(const struct ports *p, FILE *out);
