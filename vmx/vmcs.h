/* A VMCS: its fields as a native struct, its image in guest memory, its launch state.
 * [SDM 3C "Virtual Machine Control Structures"]
 *
 * VMPTRLD turns the region in guest memory into a struct vmcs; several stay cached at once, as in
 * processors; VMCLEAR and eviction write one back. The region's layout is ours: revision and abort
 * indicator as the manual says, then the launch state, then the fields in the order of
 * vmcs_fields.def. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mmu/bus.h"
#include "mmu/stage2.h"
#include "vmx/caps.h"

enum { VMCS_16, VMCS_64, VMCS_32, VMCS_NAT };         /* encoding bits 14:13 */
enum { VMCS_CTRL, VMCS_INFO, VMCS_GUEST, VMCS_HOST }; /* encoding bits 11:10 */
enum { BYTES_16 = 2, BYTES_64 = 8, BYTES_32 = 4, BYTES_NAT = 8 };

enum { CR3_TARGETS = 4 };

/* encodings */
/* clang-format off */
enum vmcs_encoding {
#define VMCS_FIELD(name, enc, width, kind, at, need, stale, doc) VMCS_##name = (enc),
#include "vmx/vmcs_fields.def"
};
/* clang-format on */

/* in their order */
/* clang-format off */
enum vmcs_index {
#define VMCS_FIELD(name, enc, width, kind, at, need, stale, doc) FIELD_##name,
#include "vmx/vmcs_fields.def"
    VMCS_FIELD_COUNT
};
/* clang-format on */

/* groups of VM-entry checks that a VMWRITE makes stale; what no group guards is checked always */
enum {
    STALE_NOTHING = 0,
    STALE_CONTROLS = 1,
    STALE_HOST = 2,
    STALE_REGISTERS = 4,
    STALE_SEGMENTS = 8,
    STALE_CONTROLS_HOST = STALE_CONTROLS | STALE_HOST,
    STALE_REGISTERS_SEGMENTS = STALE_REGISTERS | STALE_SEGMENTS,
    STALE_ALL = 15,
};

/* guest.seg[]: in the VMCS's order */
enum { VSEG_ES, VSEG_CS, VSEG_SS, VSEG_DS, VSEG_FS, VSEG_GS, VSEG_LDTR, VSEG_TR, VSEG_COUNT };

struct vmcs_msr_area {
    uint64_t address;
    uint32_t count;
};

struct vmcs_segment {
    uint64_t base;
    uint32_t limit, ar;
    uint16_t selector;
};

struct vmcs_controls {
    uint32_t pin, proc, proc2_field, exit, entry;
    uint32_t proc2; /* derived: the effective value, 0 while secondary controls are off */
    uint32_t exceptions, pf_mask, pf_match, cr3_targets;
    uint32_t intr_info, intr_error, intr_length;
    uint32_t tpr_threshold, ple_gap, ple_window;
    uint16_t vpid, posted_vector;
    uint64_t io_bitmap[2], msr_bitmaps, executive_vmcs, pml_address, tsc_offset;
    uint64_t virtual_apic, apic_access, posted_desc, vmfunc, eptp, eoi_exit[4], eptp_list;
    uint64_t xss_exiting, tsc_multiplier;
    uint64_t cr0_mask, cr4_mask, cr0_shadow, cr4_shadow, cr3_target[CR3_TARGETS];
    struct vmcs_msr_area exit_store, exit_load, entry_load;
};

struct vmcs_exit_info {
    uint32_t error, reason, intr_info, intr_error, idt_info, idt_error, insn_length, insn_info;
    uint64_t qualification, io_rcx, io_rsi, io_rdi, io_rip, guest_linear, guest_physical;
};

struct vmcs_guest {
    struct vmcs_segment seg[VSEG_COUNT];
    uint64_t gdtr_base, idtr_base;
    uint32_t gdtr_limit, idtr_limit;
    uint64_t cr0, cr3, cr4, dr7, rsp, rip, rflags, pending_dbg;
    uint64_t sysenter_esp, sysenter_eip, link_pointer, debugctl, pat, efer, pdpte[4];
    uint32_t sysenter_cs, interruptibility, activity, smbase, timer;
    uint16_t intr_status, pml_index;
};

struct vmcs_host {
    uint16_t selector[7]; /* ES, CS, SS, DS, FS, GS, TR */
    uint32_t sysenter_cs;
    uint64_t pat, efer, cr0, cr3, cr4, fs_base, gs_base, tr_base, gdtr_base, idtr_base;
    uint64_t sysenter_esp, sysenter_eip, rsp, rip;
};

#define VMCS_NONE UINT64_MAX

enum { LAUNCH_CLEAR = 0, LAUNCH_LAUNCHED = 1 };

struct vmcs {
    uint64_t pa;       /* of its region; VMCS_NONE: this slot is free */
    uint64_t used;     /* when it was last made current, for eviction */
    uint32_t launched; /* LAUNCH_* */
    struct vmcs_controls ctl;
    struct vmcs_exit_info info;
    struct vmcs_guest guest;
    struct vmcs_host host;
    /* derived, rebuilt when stale: */
    uint32_t stale;       /* STALE_* */
    bool checked_vm86;    /* RFLAGS.VM when the segments were checked */
    uint64_t virt_mask;   /* cpu->virt_mask in non-root operation */
    struct stage2 stage2; /* for mmu.paging */
};

struct vmcs_field {
    uint16_t encoding;
    uint16_t offset; /* in struct vmcs */
    uint8_t bytes, kind, stale;
    uint16_t need; /* enum vmx_need */
    const char *name, *doc;
};
extern const struct vmcs_field vmcs_fields[VMCS_FIELD_COUNT];

/* From encoding bits 14:13, 11:10 and 5:1 to a field; bit 0 (the high half of a 64-bit field) is
 * the caller's business. Empty where this processor has no such field. */
enum { VMCS_INDEX_BITS = 5, VMCS_MAP_SIZE = 16 << VMCS_INDEX_BITS };
struct vmcs_map {
    uint8_t field[VMCS_MAP_SIZE]; /* enum vmcs_index + 1 */
};
void vmcs_map_build(struct vmcs_map *map, const struct vmx_caps *caps);

/* the field of an encoding, or NULL: unsupported (then VMREAD and VMWRITE fail) */
const struct vmcs_field *vmcs_find(const struct vmcs_map *map, uint64_t encoding);
uint64_t vmcs_read(const struct vmcs *v, const struct vmcs_field *f, bool high);
void vmcs_write(struct vmcs *v, const struct vmcs_field *f, bool high, uint64_t value);

/* IA32_VMX_VMCS_ENUM: the highest index of a supported field, in bits 9:1 */
uint64_t vmcs_enum(const struct vmx_caps *caps);

/* the region in guest memory */
void vmcs_load(struct vmcs *v, struct bus *bus, uint64_t pa);
void vmcs_store(const struct vmcs *v, struct bus *bus);
/* launch state := clear in a region that is not cached */
void vmcs_clear_region(struct bus *bus, uint64_t pa);
void vmcs_set_abort(struct bus *bus, uint64_t pa, uint32_t indicator);
