/* VMX of one logical processor, as the board sees it. Everything else of vmx/ is behind
 * cpu->virt. [SDM 3C "Introduction to Virtual Machine Extensions"] */
#pragma once
#include <stdint.h>
#include <stdio.h>

#include "base/differ.h"
#include "base/field.h"
#include "base/trace.h"
#include "cpu/cpu.h"
#include "vmx/caps.h"

struct vmx;

/* Give the processor VMX: fills cpu->virt and cpu->virt_state. caps: vmx_caps_init, then what the
 * user has switched off; settled here against the processor's features. */
struct vmx *vmx_create(struct cpu *cpu, const struct vmx_caps *caps);
void vmx_destroy(struct cpu *cpu);

/* Snapshots: vmx_save_prepare writes the cached VMCSs to guest memory, which changes nothing that
 * the guest may rely on; then the fields of struct vmx are all there is. After these and the
 * processor's fields have been restored, and cpu_settle: vmx_settle. */
extern const struct field vmx_fields[];
void vmx_save_prepare(struct cpu *cpu);
void vmx_settle(struct cpu *cpu);

/* the VMX state of two processors, cached VMCSs field by field */
void vmx_compare(const struct cpu *a, const struct cpu *b, struct differences *d);

/* `info vmx`, `info vmcs`, `info ept`; processors without VMX say so */
void vmx_show(const struct cpu *cpu, FILE *out);
void vmcs_show(const struct cpu *cpu, FILE *out);
void ept_show(const struct cpu *cpu, FILE *out);

/* VM exits of all reasons since the start, and VM entries */
uint64_t vmx_exit_count(const struct cpu *cpu);
uint64_t vmx_entry_count(const struct cpu *cpu);

extern struct trace_point *const vmx_trace_points[];
