/* See lab.h. */
#include "tests/support/lab.h"

#include <stdlib.h>

#include "cpu/cpuid.h"
#include "cpu/segment.h"

/* ---- the local APIC: one vector at a time ---- */

static int lab_acknowledge(void *owner)
{
    struct lab *lab = owner;
    int vector = lab->pending_vector;

    lab->pending_vector = -1;
    lab->cpu->events &= ~(uint32_t)EVENT_INTR;
    return vector;
}
static uint64_t lab_read_base(void *owner)
{
    return ((struct lab *)owner)->apic_base;
}
static bool lab_write_base(void *owner, uint64_t value)
{
    ((struct lab *)owner)->apic_base = value;
    return true;
}
static bool lab_read_msr(void *owner, uint32_t msr, uint64_t *value)
{
    *value = msr;
    return true;
}
static bool lab_write_msr(void *owner, uint32_t msr, uint64_t value)
{
    ((struct lab *)owner)->eois += msr == 0x80b;
    return true;
}
static uint64_t lab_read(void *owner, uint64_t offset, unsigned size)
{
    return 0;
}
static void lab_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    ((struct lab *)owner)->eois += offset == 0xb0;
}
static uint8_t lab_read_cr8(void *owner)
{
    return (uint8_t)((struct lab *)owner)->cr8;
}
static void lab_write_cr8(void *owner, uint8_t value)
{
    ((struct lab *)owner)->cr8 = value;
}

static const struct apic_ops lab_apic = {
    .acknowledge = lab_acknowledge,
    .read_base = lab_read_base,
    .write_base = lab_write_base,
    .read_msr = lab_read_msr,
    .write_msr = lab_write_msr,
    .read = lab_read,
    .write = lab_write,
    .read_cr8 = lab_read_cr8,
    .write_cr8 = lab_write_cr8,
};

/* ---- the machine ---- */

static uint64_t lab_now(void *owner)
{
    return cpu_cycles(((struct lab *)owner)->cpu);
}
static void lab_sooner(void *owner, uint64_t deadline)
{
}
static uint64_t lab_entropy(void *board)
{
    return 4;
}
static void lab_triple_fault(struct cpu *cpu, void *board)
{
    ((struct lab *)board)->shut_down = true;
}

uint64_t lab_peek(struct lab *lab, uint64_t pa, unsigned size)
{
    return bus_read(lab->bus, pa, size);
}
void lab_poke(struct lab *lab, uint64_t pa, uint64_t value, unsigned size)
{
    bus_write(lab->bus, pa, value, size);
}

/* identity mapping of 4 GiB, a GDT with CS 08, SS 10, TR 18, an IDT whose handlers halt */
static void lab_tables(struct lab *lab)
{
    lab_poke(lab, LAB_PML4, LAB_PDPT | 7, 8);
    lab_poke(lab, LAB_EPT_PML4, LAB_EPT_PDPT | 7, 8);
    for (uint64_t i = 0; i < 4; i++) {
        lab_poke(lab, LAB_PDPT + 8 * i, i << 30 | 0xe7, 8);
        lab_poke(lab, LAB_EPT_PDPT + 8 * i, i << 30 | 0x80 | 6 << 3 | 7, 8);
    }
    lab_poke(lab, LAB_GDT + 0x08, UINT64_C(0x00af9b000000ffff), 8);
    lab_poke(lab, LAB_GDT + 0x10, UINT64_C(0x00cf93000000ffff), 8);
    lab_poke(lab, LAB_GDT + 0x18, UINT64_C(0x00008b0050000067), 8);
    for (uint64_t v = 0; v < 256; v++) {
        uint64_t handler = LAB_HANDLER + v;

        lab_poke(lab, LAB_IDT + 16 * v, UINT64_C(0x8e0000080000) | (handler & 0xffff), 8);
        lab_poke(lab, handler, 0xf4, 1);
    }
    lab_poke(lab, LAB_HOST_CODE, 0xf4, 1);
    lab_poke(lab, LAB_VMXON, VMCS_REVISION, 4);
    lab_poke(lab, LAB_VMCS, VMCS_REVISION, 4);
    lab_poke(lab, LAB_VMCS_2, VMCS_REVISION, 4);
}

static void lab_segment(struct lab *lab, unsigned n, uint16_t selector, uint64_t base,
                        uint32_t limit, uint32_t ar)
{
    struct seg *s = &lab->cpu->seg[n];

    *s = (struct seg){ .selector = selector, .base = base, .limit = limit, .ar = ar };
    seg_settle(s);
}

/* 64-bit mode, CPL 0, interrupts off */
static void lab_mode(struct lab *lab)
{
    struct cpu *cpu = lab->cpu;

    cpu->cr0 = CR0_PE | CR0_NE | CR0_PG | CR0_ET | CR0_WP;
    cpu->cr3 = LAB_PML4;
    cpu->cr4 = CR4_PAE | CR4_VMXE | CR4_OSFXSR | CR4_PGE | CR4_OSXSAVE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->rflags = 2;
    cpu->cpl = 0;
    cpu->activity = ACTIVE;
    cpu->msr.feature_control = 5;
    cpu->gdtr = (struct table_reg){ LAB_GDT, 0x7f };
    cpu->idtr = (struct table_reg){ LAB_IDT, 0xfff };
    lab_segment(lab, SEG_CS, 0x08, 0, UINT32_MAX, 0xa09b);
    lab_segment(lab, SEG_SS, 0x10, 0, UINT32_MAX, 0xc093);
    lab_segment(lab, SEG_DS, 0x10, 0, UINT32_MAX, 0xc093);
    lab_segment(lab, SEG_ES, 0x10, 0, UINT32_MAX, 0xc093);
    lab_segment(lab, SEG_FS, 0x10, 0, UINT32_MAX, 0xc093);
    lab_segment(lab, SEG_GS, 0x10, 0, UINT32_MAX, 0xc093);
    lab_segment(lab, SEG_TR, 0x18, LAB_TSS, 0x67, 0x8b);
    cpu_settle(cpu);
}

struct lab *lab_create_without(const char *const *without)
{
    struct lab *lab = calloc(1, sizeof *lab);
    uint64_t features[FEATURE_WORDS] = { 0 };
    const struct cpu_model *model = cpu_model_find("max");
    struct err e;

    lab->pending_vector = -1;
    lab->apic_base = 0xfee00900;
    lab->bus = bus_create();
    lab->ports = ports_create();
    ck_assert(bus_add_ram(lab->bus, LAB_RAM, LAB_RAM, &e));
    lab->clock = (struct clock){ .now = lab_now, .sooner = lab_sooner, .owner = lab };
    cpu_model_features(model, features);
    lab->cpu = cpu_create(0, model, features, lab->bus, lab->ports, &lab->clock);
    lab->cpu->apic = &lab_apic;
    lab->cpu->apic_owner = lab;
    lab->cpu->board = lab;
    lab->cpu->entropy = lab_entropy;
    lab->cpu->triple_fault = lab_triple_fault;
    vmx_caps_init(&lab->caps);
    while (without && *without)
        ck_assert(vmx_feature_set(&lab->caps, *without++, false));
    lab->vmx = vmx_create(lab->cpu, &lab->caps);
    lab->caps = lab->vmx->caps;
    lab_tables(lab);
    lab_mode(lab);
    return lab;
}

struct lab *lab_create(void)
{
    return lab_create_without(NULL);
}

void lab_destroy(struct lab *lab)
{
    vmx_destroy(lab->cpu);
    cpu_destroy(lab->cpu);
    ports_destroy(lab->ports);
    bus_destroy(lab->bus);
    free(lab);
}

void lab_run(struct lab *lab, const char *code, size_t bytes)
{
    struct cpu *cpu = lab->cpu;

    bus_write_bytes(lab->bus, LAB_CODE, code, bytes);
    lab_poke(lab, LAB_CODE + bytes, 0xf4, 1);
    cpu->rip = LAB_CODE;
    cpu->r[RSP] = LAB_HOST_STACK;
    cpu->activity = ACTIVE;
    flags_set(&cpu->flags, BITS(11, 0)); /* so that a cleared flag shows */
    cpu_run(cpu, cpu_cycles(cpu) + 100000000);
}

void lab_guest(struct lab *lab, const char *code, size_t bytes)
{
    bus_write_bytes(lab->bus, LAB_GUEST_CODE, code, bytes);
}

void lab_vmlaunch(struct lab *lab)
{
    lab_execute(lab, "\x0f\x01\xc2");
}
void lab_vmresume(struct lab *lab)
{
    lab_execute(lab, "\x0f\x01\xc3");
}

/* ---- fields ---- */

void lab_set(struct lab *lab, uint32_t encoding, uint64_t value)
{
    const struct vmcs_field *f = vmcs_find(&lab->vmx->map, encoding);

    ck_assert_msg(f != NULL, "no field %04x", encoding);
    vmcs_write(lab->vmx->current, f, false, value);
}
uint64_t lab_get(struct lab *lab, uint32_t encoding)
{
    const struct vmcs_field *f = vmcs_find(&lab->vmx->map, encoding);

    ck_assert_msg(f != NULL, "no field %04x", encoding);
    return vmcs_read(lab->vmx->current, f, false);
}
void lab_or(struct lab *lab, uint32_t encoding, uint64_t bits)
{
    lab_set(lab, encoding, lab_get(lab, encoding) | bits);
}

/* ---- a VMCS that passes ---- */

static const struct {
    uint16_t encoding;
    uint64_t value;
} lab_good[] = {
    { VMCS_VPID, 1 },
    { VMCS_EPT_POINTER, LAB_EPTP },
    { VMCS_IO_BITMAP_A, LAB_IO_A },
    { VMCS_IO_BITMAP_B, LAB_IO_B },
    { VMCS_MSR_BITMAPS, LAB_MSR_BITMAPS },
    { VMCS_VIRTUAL_APIC_ADDR, LAB_VAPIC },
    { VMCS_APIC_ACCESS_ADDR, LAB_APIC_ACCESS },
    { VMCS_POSTED_INTR_DESC, LAB_POSTED },
    { VMCS_PML_ADDRESS, LAB_PML },
    { VMCS_PML_INDEX, 511 },
    { VMCS_EPTP_LIST_ADDR, LAB_EPTP_LIST },
    { VMCS_TSC_MULTIPLIER, UINT64_C(1) << 48 },
    { VMCS_VMCS_LINK_POINTER, UINT64_MAX },
    { VMCS_GUEST_PAT, UINT64_C(0x0007040600070406) },
    { VMCS_HOST_PAT, UINT64_C(0x0007040600070406) },
    { VMCS_GUEST_EFER, 0xd01 },
    { VMCS_HOST_EFER, 0xd01 },
    { VMCS_HOST_CS_SELECTOR, 0x08 },
    { VMCS_HOST_SS_SELECTOR, 0x10 },
    { VMCS_HOST_DS_SELECTOR, 0x10 },
    { VMCS_HOST_ES_SELECTOR, 0x10 },
    { VMCS_HOST_FS_SELECTOR, 0x10 },
    { VMCS_HOST_GS_SELECTOR, 0x10 },
    { VMCS_HOST_TR_SELECTOR, 0x18 },
    { VMCS_HOST_TR_BASE, LAB_TSS },
    { VMCS_HOST_CR3, LAB_PML4 },
    { VMCS_GUEST_CR3, LAB_PML4 },
    { VMCS_HOST_GDTR_BASE, LAB_GDT },
    { VMCS_HOST_IDTR_BASE, LAB_IDT },
    { VMCS_HOST_RSP, LAB_HOST_STACK },
    { VMCS_HOST_RIP, LAB_HOST_CODE },
    { VMCS_GUEST_RSP, LAB_GUEST_STACK },
    { VMCS_GUEST_RIP, LAB_GUEST_CODE },
    { VMCS_GUEST_RFLAGS, 2 },
    { VMCS_GUEST_DR7, 0x400 },
    { VMCS_GUEST_GDTR_BASE, LAB_GDT },
    { VMCS_GUEST_GDTR_LIMIT, 0x7f },
    { VMCS_GUEST_IDTR_BASE, LAB_IDT },
    { VMCS_GUEST_IDTR_LIMIT, 0xfff },
    { VMCS_GUEST_CS_SELECTOR, 0x08 },
    { VMCS_GUEST_CS_LIMIT, UINT32_MAX },
    { VMCS_GUEST_CS_AR, 0xa09b },
    { VMCS_GUEST_SS_SELECTOR, 0x10 },
    { VMCS_GUEST_SS_LIMIT, UINT32_MAX },
    { VMCS_GUEST_SS_AR, 0xc093 },
    { VMCS_GUEST_DS_SELECTOR, 0x10 },
    { VMCS_GUEST_DS_LIMIT, UINT32_MAX },
    { VMCS_GUEST_DS_AR, 0xc093 },
    { VMCS_GUEST_ES_SELECTOR, 0x10 },
    { VMCS_GUEST_ES_LIMIT, UINT32_MAX },
    { VMCS_GUEST_ES_AR, 0xc093 },
    { VMCS_GUEST_FS_SELECTOR, 0x10 },
    { VMCS_GUEST_FS_LIMIT, UINT32_MAX },
    { VMCS_GUEST_FS_AR, 0xc093 },
    { VMCS_GUEST_GS_SELECTOR, 0x10 },
    { VMCS_GUEST_GS_LIMIT, UINT32_MAX },
    { VMCS_GUEST_GS_AR, 0xc093 },
    { VMCS_GUEST_LDTR_AR, 0x10000 },
    { VMCS_GUEST_TR_SELECTOR, 0x18 },
    { VMCS_GUEST_TR_BASE, LAB_TSS },
    { VMCS_GUEST_TR_LIMIT, 0x67 },
    { VMCS_GUEST_TR_AR, 0x8b },
};

void lab_fill(struct lab *lab)
{
    const struct vmx_caps *caps = &lab->caps;

    for (unsigned i = 0; i < sizeof lab_good / sizeof lab_good[0]; i++) {
        if (vmcs_find(&lab->vmx->map, lab_good[i].encoding))
            lab_set(lab, lab_good[i].encoding, lab_good[i].value);
    }
    lab_vmwrite(lab, PIN_CONTROLS, caps->must_1[GROUP_PIN] | PIN(EXTERNAL_INTR) | PIN(NMI));
    lab_vmwrite(lab, PROC_CONTROLS, caps->must_1[GROUP_PROC] | PROC(HLT) | PROC(SECONDARY));
    lab_vmwrite(lab, PROC2_CONTROLS, PROC2(EPT) | PROC2(VPID));
    lab_vmwrite(lab, EXIT_CONTROLS, caps->must_1[GROUP_EXIT] | EXIT(HOST_64) | EXIT(ACK_INTR));
    lab_vmwrite(lab, ENTRY_CONTROLS, caps->must_1[GROUP_ENTRY] | ENTRY(IA32E));
    lab_vmwrite(lab, HOST_CR0, lab->cpu->cr0);
    lab_vmwrite(lab, HOST_CR4, lab->cpu->cr4);
    lab_vmwrite(lab, GUEST_CR0, lab->cpu->cr0);
    lab_vmwrite(lab, GUEST_CR4, lab->cpu->cr4);
}

struct lab *lab_ready_to_launch(void)
{
    struct lab *lab = lab_create();

    lab_poke(lab, LAB_DATA, LAB_VMXON, 8);
    lab_poke(lab, LAB_DATA + 8, LAB_VMCS, 8);
    lab_execute(lab, "\xf3\x0f\xc7\x34\x25\x00\xc0\x01\x00" /* vmxon [LAB_DATA] */
                     "\x66\x0f\xc7\x34\x25\x08\xc0\x01\x00" /* vmclear [LAB_DATA + 8] */
                     "\x0f\xc7\x34\x25\x08\xc0\x01\x00");   /* vmptrld [LAB_DATA + 8] */
    ck_assert_ptr_nonnull(lab->vmx->current);
    lab_fill(lab);
    lab_guest_code(lab, "\x0f\xa2"); /* cpuid */
    return lab;
}

/* ---- EPT ---- */

void lab_ept_small_pages(struct lab *lab)
{
    lab_poke(lab, LAB_EPT_PDPT, LAB_EPT_PD | 7, 8);
    lab_poke(lab, LAB_EPT_PD, LAB_EPT_PT | 7, 8);
    for (uint64_t i = 0; i < 512; i++) {
        lab_poke(lab, LAB_EPT_PT + 8 * i, i << 12 | 6 << 3 | 7, 8);
        if (i > 0)
            lab_poke(lab, LAB_EPT_PD + 8 * i, i << 21 | 0x80 | 6 << 3 | 7, 8);
    }
}

void lab_ept_page(struct lab *lab, uint64_t gpa, uint64_t entry)
{
    lab_poke(lab, LAB_EPT_PT + (gpa >> 12) * 8, entry, 8);
    mmu_flush_all(&lab->cpu->mmu);
}

/* ---- expectations ---- */

void expect_vmsucceed(struct lab *lab)
{
    ck_assert_uint_eq(cpu_rflags(lab->cpu) & 0x8d5, 0);
}
void expect_vmfail_invalid(struct lab *lab)
{
    ck_assert_uint_eq(cpu_rflags(lab->cpu) & 0x8d5, RFLAGS_CF);
}
void expect_vmfail_valid(struct lab *lab, unsigned error)
{
    ck_assert_uint_eq(cpu_rflags(lab->cpu) & 0x8d5, RFLAGS_ZF);
    ck_assert_uint_eq(lab_vmread(lab, VM_INSTR_ERROR), error);
}
void expect_exception(struct lab *lab, unsigned vector)
{
    ck_assert(!lab->cpu->non_root);
    ck_assert_uint_eq(lab->cpu->rip, LAB_HANDLER + vector + 1u);
}
void expect_check(struct lab *lab, enum entry_check check)
{
    ck_assert_str_eq(entry_check_rows[lab->vmx->failure.check].name, entry_check_rows[check].name);
}
void expect_exit(struct lab *lab, unsigned reason, uint64_t qualification)
{
    ck_assert_msg(!lab->cpu->non_root && lab->cpu->rip == LAB_HOST_CODE + 1,
                  "no VM exit: rip %#jx, %s (%s)", (uintmax_t)lab->cpu->rip,
                  lab->cpu->non_root ? "in non-root operation" : "in root operation",
                  lab->vmx->failure.text);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_REASON), reason);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_QUALIFICATION), qualification);
}
void expect_entry_failure(struct lab *lab, unsigned reason, uint64_t qualification)
{
    expect_exit(lab, reason | UINT32_C(0x80000000), qualification);
}
