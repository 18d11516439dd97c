/* ACPI tables as a Q35's firmware leaves them, in the BIOS area of RAM. */
#pragma once
#include "machine/machine.h"

/* write the tables; after RAM exists, at every reset that boots directly */
void acpi_write_tables(struct nidus *m);
/* where the RSDP is */
uint64_t acpi_rsdp_address(const struct nidus *m);
