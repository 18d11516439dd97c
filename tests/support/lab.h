/* A processor with VMX, some memory and nothing else, ready in one call: to look at one rule of the
 * manual at a time. Root operation runs in 64-bit mode with identity mapping; programs are a few
 * bytes; a VM exit lands on a HLT, so that whatever happens, the processor ends up halted. */
#pragma once
#include <check.h>

#include "cpu/cpu.h"
#include "vmx/state.h"
#include "vmx/vmx.h"

enum {
    LAB_RAM = 16 << 20,
    LAB_PML4 = 0x1000,
    LAB_PDPT = 0x2000,
    LAB_GDT = 0x3000,
    LAB_IDT = 0x4000,
    LAB_TSS = 0x5000,
    LAB_HANDLER = 0x6000, /* of every vector: OUT of the vector is not possible, so it halts */
    LAB_CODE = 0x8000,
    LAB_HOST_CODE = 0x9000,
    LAB_GUEST_CODE = 0xa000,
    LAB_HOST_STACK = 0xc000,
    LAB_GUEST_STACK = 0xe000,
    LAB_VMXON = 0x10000,
    LAB_VMCS = 0x11000,
    LAB_VMCS_2 = 0x12000,
    LAB_IO_A = 0x13000,
    LAB_IO_B = 0x14000,
    LAB_MSR_BITMAPS = 0x15000,
    LAB_VAPIC = 0x16000,
    LAB_APIC_ACCESS = 0x17000,
    LAB_POSTED = 0x18000,
    LAB_PML = 0x19000,
    LAB_EPTP_LIST = 0x1a000,
    LAB_MSR_AREA = 0x1b000,
    LAB_DATA = 0x1c000,
    LAB_EPT_PML4 = 0x20000,
    LAB_EPT_PDPT = 0x21000,
    LAB_EPT_PD = 0x22000,
    LAB_EPT_PT = 0x23000,
    LAB_EPTP = LAB_EPT_PML4 | 0x1e, /* write-back, four levels */
};

struct lab {
    struct bus *bus;
    struct ports *ports;
    struct clock clock;
    struct cpu *cpu;
    struct vmx *vmx;
    struct vmx_caps caps;
    int pending_vector; /* of the local APIC, -1: none */
    unsigned eois;
    uint64_t apic_base, cr8;
    bool shut_down;
};

/* outside VMX operation */
struct lab *lab_create(void);
/* the same with features switched off: "vmx-ept", ...; NULL at the end */
struct lab *lab_create_without(const char *const *features);
/* VMXON done, LAB_VMCS current and clear, with a state that passes every check of VM entry: EPT
 * (identity, 1-GiB pages) and VPID on, a 64-bit guest at LAB_GUEST_CODE */
struct lab *lab_ready_to_launch(void);
/* such a state into the current VMCS */
void lab_fill(struct lab *lab);
void lab_destroy(struct lab *lab);

/* Run machine code followed by HLT in root operation until the processor halts. */
void lab_run(struct lab *lab, const char *code, size_t bytes);
#define lab_execute(lab, code) lab_run(lab, code, sizeof(code) - 1)
/* what the guest will run; LAB_GUEST_CODE */
void lab_guest(struct lab *lab, const char *code, size_t bytes);
#define lab_guest_code(lab, code) lab_guest(lab, code, sizeof(code) - 1)

void lab_vmlaunch(struct lab *lab);
void lab_vmresume(struct lab *lab);
/* fields of the current VMCS by encoding, without an instruction */
void lab_set(struct lab *lab, uint32_t encoding, uint64_t value);
uint64_t lab_get(struct lab *lab, uint32_t encoding);
#define lab_vmwrite(lab, field, value) lab_set(lab, VMCS_##field, value)
#define lab_vmread(lab, field) lab_get(lab, VMCS_##field)
void lab_or(struct lab *lab, uint32_t encoding, uint64_t bits);
#define lab_enable(lab, field, bits) lab_or(lab, VMCS_##field, bits)

uint64_t lab_peek(struct lab *lab, uint64_t pa, unsigned size);
void lab_poke(struct lab *lab, uint64_t pa, uint64_t value, unsigned size);
/* split the EPT: 4-KiB pages for the first 2 MiB; then set the entry of one */
void lab_ept_small_pages(struct lab *lab);
void lab_ept_page(struct lab *lab, uint64_t gpa, uint64_t entry);

/* the manual's words, of the processor as it halted */
void expect_vmsucceed(struct lab *lab);
void expect_vmfail_invalid(struct lab *lab);
void expect_vmfail_valid(struct lab *lab, unsigned error);
/* the last VMX instruction raised this exception in root operation */
void expect_exception(struct lab *lab, unsigned vector);
void expect_check(struct lab *lab, enum entry_check check);
void expect_exit(struct lab *lab, unsigned reason, uint64_t qualification);
/* exit reason with bit 31 */
void expect_entry_failure(struct lab *lab, unsigned reason, uint64_t qualification);
