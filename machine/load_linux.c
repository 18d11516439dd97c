/* Linux by its 64-bit boot protocol: bzImage, initrd and command line into RAM, zero page, identity
 * page tables, and the bootstrap processor at the 64-bit entry.
 * [Linux Documentation/arch/x86/boot.rst, zero-page.rst] */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cpu/control_regs.h"
#include "cpu/segment.h"
#include "machine/acpi.h"
#include "machine/load.h"

/* where things go in low memory */
enum {
    AT_GDT = 0x8000,
    AT_PAGE_TABLES = 0x9000, /* PML4, PDPT, four PDs */
    AT_ZERO_PAGE = 0x10000,
    AT_COMMAND_LINE = 0x11000,
    COMMAND_LINE_MAX = 0x8000,
};

/* fields of the setup header, as offsets in the file (and in the zero page) */
/* clang-format off */
enum {
    SETUP_SECTS = 0x1f1, SYSSIZE = 0x1f4, BOOT_FLAG = 0x1fe, HEADER = 0x202, VERSION = 0x206,
    LOADER_TYPE = 0x210, LOADFLAGS = 0x211, RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c, CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c, KERNEL_ALIGNMENT = 0x230, RELOCATABLE = 0x234, XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238, PREF_ADDRESS = 0x258, INIT_SIZE = 0x260, SETUP_END = 0x290,
    ZP_ACPI_RSDP = 0x070, ZP_EXT_RAMDISK_IMAGE = 0x0c0, ZP_E820_ENTRIES = 0x1e8, ZP_E820 = 0x2d0,
    ZP_SENTINEL = 0x1ef, ZP_SCREEN_INFO = 0x000,
};
/* clang-format on */

static uint32_t get32(const uint8_t *p, unsigned at)
{
    uint32_t v;

    memcpy(&v, p + at, 4);
    return v;
}

static void put(uint8_t *p, unsigned at, uint64_t v, unsigned size)
{
    memcpy(p + at, &v, size);
}

static unsigned setup_bytes(const struct boot_image *image)
{
    unsigned sectors = image->kernel[SETUP_SECTS];

    return ((sectors ? sectors : 4) + 1) * 512;
}

bool linux_recognize(struct boot_image *image)
{
    const uint8_t *k = image->kernel;

    if (image->kernel_bytes < 0x1000 || memcmp(k + HEADER, "HdrS", 4) != 0 ||
        k[BOOT_FLAG] != 0x55 || k[BOOT_FLAG + 1] != 0xaa)
        return false;
    image->load = linux_load;
    return true;
}

static bool check(const struct boot_image *image, struct err *e)
{
    const uint8_t *k = image->kernel;
    unsigned version = k[VERSION] | k[VERSION + 1] << 8;

    if (version < 0x020c || !(k[XLOADFLAGS] & 1))
        return err_set(e,
                       "the kernel has no 64-bit entry point (boot protocol %u.%02u); "
                       "use an x86-64 bzImage of Linux 3.8 or later",
                       version >> 8, version & 255);
    if (setup_bytes(image) >= image->kernel_bytes)
        return err_set(e, "the kernel is truncated: its setup part alone should have %u bytes",
                       setup_bytes(image));
    if (setup_bytes(image) + (uint64_t)get32(k, SYSSIZE) * 16 > image->kernel_bytes)
        return err_set(e, "the kernel is truncated: it should have at least %ju bytes, but has %zu",
                       (uintmax_t)(setup_bytes(image) + (uint64_t)get32(k, SYSSIZE) * 16),
                       image->kernel_bytes);
    if (strlen(image->command_line) >= COMMAND_LINE_MAX ||
        strlen(image->command_line) > get32(k, CMDLINE_SIZE))
        return err_set(e, "the command line has %zu characters; this kernel takes %u",
                       strlen(image->command_line), get32(k, CMDLINE_SIZE));
    return true;
}

/* identity map of the first 4 GiB with 2-MiB pages */
static void write_page_tables(struct nidus *m)
{
    uint64_t pd[512];
    uint64_t pml4 = (AT_PAGE_TABLES + 0x1000) | 3;

    bus_write_bytes(m->bus, AT_PAGE_TABLES, &pml4, 8);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t pdpte = (uint64_t)(AT_PAGE_TABLES + 0x2000 + i * 0x1000) | 3;

        for (unsigned j = 0; j < 512; j++)
            pd[j] = ((uint64_t)i << 30 | (uint64_t)j << 21) | 0x83;
        bus_write_bytes(m->bus, AT_PAGE_TABLES + 0x1000 + 8 * i, &pdpte, 8);
        bus_write_bytes(m->bus, AT_PAGE_TABLES + 0x2000 + 0x1000 * i, pd, sizeof pd);
    }
}

static void set_flat(struct cpu *cpu, unsigned seg, uint16_t selector, uint32_t ar)
{
    cpu->seg[seg] = (struct seg){ .selector = selector, .limit = 0xffffffff, .ar = ar };
    seg_settle(&cpu->seg[seg]);
}

/* 64-bit mode, paging, flat segments 10H and 18H, interrupts off: what the protocol asks for */
static void start_processor(struct nidus *m, uint64_t entry)
{
    static const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
    struct cpu *cpu = m->cpu[0];

    bus_write_bytes(m->bus, AT_GDT, gdt, sizeof gdt);
    cpu->gdtr = (struct table_reg){ AT_GDT, sizeof gdt - 1 };
    cpu->idtr = (struct table_reg){ 0, 0 };
    set_flat(cpu, SEG_CS, 0x10, 0xa09b);
    for (unsigned i = 0; i < 6; i++) {
        if (i != SEG_CS)
            set_flat(cpu, i, 0x18, 0xc093);
    }
    cpu->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP;
    cpu->cr4 = CR4_PAE;
    cpu->cr3 = AT_PAGE_TABLES;
    cpu->efer = EFER_LME | EFER_LMA;
    cpu->cpl = 0;
    cpu->rip = entry;
    cpu->r[RSI] = AT_ZERO_PAGE;
    cpu->r[RSP] = AT_GDT;
    cpu_set_rflags(cpu, RFLAGS_FIXED);
    cpu_update_paging(cpu);
    cpu_update_key(cpu);
}

static void write_e820(const struct nidus *m, uint8_t *zero_page)
{
    struct memory_range map[32];
    size_t n = memory_map(m, map, 32);

    zero_page[ZP_E820_ENTRIES] = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        put(zero_page, (unsigned)(ZP_E820 + 20 * i), map[i].base, 8);
        put(zero_page, (unsigned)(ZP_E820 + 20 * i + 8), map[i].size, 8);
        put(zero_page, (unsigned)(ZP_E820 + 20 * i + 16), map[i].type, 4);
    }
}

/* as high as the kernel and the low RAM allow */
static bool place_initrd(const struct nidus *m, uint64_t kernel_end, uint64_t *at, struct err *e)
{
    const struct boot_image *image = m->image;
    uint64_t top = memory_low(m->config.ram);
    uint64_t max = get32(image->kernel, INITRD_ADDR_MAX);

    if (!(image->kernel[XLOADFLAGS] & 2) && top > max + 1)
        top = max + 1;
    *at = 0;
    if (image->initrd_bytes == 0)
        return true;
    if (top < image->initrd_bytes || align_down(top - image->initrd_bytes, PAGE_SIZE) < kernel_end)
        return err_set(
            e, "kernel and initrd (%zu bytes) do not fit in %ju MiB of RAM; use a larger -m",
            image->initrd_bytes, (uintmax_t)(m->config.ram >> 20));
    *at = align_down(top - image->initrd_bytes, PAGE_SIZE);
    return true;
}

bool linux_load(struct nidus *m, struct err *e)
{
    const struct boot_image *image = m->image;
    uint8_t zero_page[0x1000] = { 0 };
    uint64_t kernel_at, init_size, initrd_at;
    unsigned setup = setup_bytes(image);

    if (!check(image, e))
        return false;
    memcpy(&kernel_at, image->kernel + PREF_ADDRESS, 8);
    init_size = get32(image->kernel, INIT_SIZE);
    if (init_size < image->kernel_bytes - setup)
        init_size = image->kernel_bytes - setup;
    if (kernel_at < 0x100000 || kernel_at > memory_low(m->config.ram) ||
        kernel_at + init_size > memory_low(m->config.ram))
        return err_set(e, "the kernel needs RAM up to %ju MiB; use a larger -m",
                       (uintmax_t)((kernel_at + init_size + 0xfffff) >> 20));
    if (!place_initrd(m, kernel_at + init_size, &initrd_at, e))
        return false;
    memcpy(zero_page + SETUP_SECTS, image->kernel + SETUP_SECTS, SETUP_END - SETUP_SECTS);
    put(zero_page, LOADER_TYPE, 0xff, 1);
    put(zero_page, RAMDISK_IMAGE, initrd_at, 4);
    put(zero_page, RAMDISK_SIZE, image->initrd_bytes, 4);
    put(zero_page, CMD_LINE_PTR, AT_COMMAND_LINE, 4);
    put(zero_page, ZP_ACPI_RSDP, acpi_rsdp_address(m), 8);
    write_e820(m, zero_page);
    bus_write_bytes(m->bus, kernel_at, image->kernel + setup, image->kernel_bytes - setup);
    bus_write_bytes(m->bus, initrd_at, image->initrd, image->initrd_bytes);
    bus_write_bytes(m->bus, AT_COMMAND_LINE, image->command_line, strlen(image->command_line) + 1);
    bus_write_bytes(m->bus, AT_ZERO_PAGE, zero_page, sizeof zero_page);
    write_page_tables(m);
    start_processor(m, kernel_at + 0x200);
    return true;
}
