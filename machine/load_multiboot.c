/* Multiboot 1 kernels: ELF32 (or the header's own addresses), one module, 32-bit entry.
 * [Multiboot Specification 0.6.96] */
#include <string.h>

#include "base/bits.h"
#include "cpu/control_regs.h"
#include "cpu/segment.h"
#include "machine/load.h"

/* clang-format off */
enum {
    MB_MAGIC = 0x1badb002,
    MB_BOOT_MAGIC = 0x2badb002,
    MB_SEARCH = 8192,
    MB_HAS_ADDRESSES = 1 << 16,
    MBI_MEMORY = 1 << 0, MBI_CMDLINE = 1 << 2, MBI_MODULES = 1 << 3, MBI_MMAP = 1 << 6,
    MBI_LOADER = 1 << 9,

    /* what the kernel is told, near the end of conventional memory, where kernels that are loaded
     * low do not reach */
    AT_GDT = 0x90000, AT_MBI = 0x91000, AT_MODULE_LIST = 0x91100, AT_MMAP = 0x91200,
    AT_LOADER_NAME = 0x91f00, AT_COMMAND_LINE = 0x92000, COMMAND_LINE_MAX = 0x4000,
    AT_END = AT_COMMAND_LINE + COMMAND_LINE_MAX,
};
/* clang-format on */

struct header {
    uint32_t magic, flags, checksum, header_addr, load_addr, load_end_addr, bss_end_addr,
        entry_addr;
};

/* what to copy where */
struct layout {
    uint32_t entry;
    uint64_t end; /* highest address in use */
};

static bool find_header(const struct boot_image *image, struct header *h, size_t *at)
{
    size_t end = image->kernel_bytes < MB_SEARCH ? image->kernel_bytes : MB_SEARCH;

    for (*at = 0; *at + 12 <= end; *at += 4) {
        memset(h, 0, sizeof *h);
        memcpy(h, image->kernel + *at, image->kernel_bytes - *at < sizeof *h ? 12 : sizeof *h);
        if (h->magic == MB_MAGIC && h->magic + h->flags + h->checksum == 0)
            return true;
    }
    return false;
}

bool multiboot_recognize(struct boot_image *image)
{
    struct header h;
    size_t at;

    if (!find_header(image, &h, &at))
        return false;
    image->load = multiboot_load;
    return true;
}

static bool copy(struct nidus *m, const char *what, uint64_t to, uint64_t from, uint64_t bytes,
                 uint64_t room, struct layout *l, struct err *e)
{
    static const uint8_t zeroes[4096];

    if (from > m->image->kernel_bytes || bytes > m->image->kernel_bytes - from)
        return err_set(e, "the kernel is truncated: its %s ends at byte %ju of %zu", what,
                       (uintmax_t)(from + bytes), m->image->kernel_bytes);
    if (to + room > memory_low(m->config.ram) || to + room < to || bytes > room)
        return err_set(e, "the kernel's %s does not fit in RAM below %ju MiB; use a larger -m",
                       what, (uintmax_t)(memory_low(m->config.ram) >> 20));
    if (to < AT_END && to + room > AT_GDT)
        return err_set(e, "the kernel's %s lies where the boot information goes: %#x to %#x", what,
                       AT_GDT, AT_END - 1);
    bus_write_bytes(m->bus, to, m->image->kernel + from, bytes);
    for (uint64_t at = bytes; at < room; at += sizeof zeroes)
        bus_write_bytes(m->bus, to + at, zeroes,
                        room - at < sizeof zeroes ? room - at : sizeof zeroes);
    if (to + room > l->end)
        l->end = to + room;
    return true;
}

static bool load_by_header(struct nidus *m, const struct header *h, size_t at, struct layout *l,
                           struct err *e)
{
    uint64_t from = at - (h->header_addr - h->load_addr);
    uint64_t bytes = h->load_end_addr ? h->load_end_addr - h->load_addr
                                      : m->image->kernel_bytes - from;
    uint64_t room = h->bss_end_addr ? h->bss_end_addr - h->load_addr : bytes;

    if (h->header_addr < h->load_addr || from > at)
        return err_set(e, "the multiboot header's addresses are inconsistent");
    l->entry = h->entry_addr;
    return copy(m, "image", h->load_addr, from, bytes, room, l, e);
}

struct elf32_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf32_segment {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

static bool load_elf32(struct nidus *m, struct layout *l, struct err *e)
{
    const struct boot_image *image = m->image;
    struct elf32_header h;

    if (image->kernel_bytes < sizeof h || memcmp(image->kernel, "\177ELF\1\1", 6) != 0)
        return err_set(e,
                       "the multiboot kernel is neither ELF32 nor has load addresses of its own");
    memcpy(&h, image->kernel, sizeof h);
    l->entry = h.entry;
    for (unsigned i = 0; i < h.phnum; i++) {
        uint64_t at = h.phoff + (uint64_t)i * h.phentsize;
        struct elf32_segment s;

        if (at + sizeof s > image->kernel_bytes)
            return err_set(e, "the kernel is truncated: program header %u lies outside", i);
        memcpy(&s, image->kernel + at, sizeof s);
        if (s.type == 1 /* PT_LOAD */ &&
            !copy(m, "segment", s.paddr, s.offset, s.filesz, s.memsz, l, e))
            return false;
    }
    return true;
}

/* module 0, page-aligned after the kernel */
static bool load_module(struct nidus *m, struct layout *l, uint32_t *mbi, struct err *e)
{
    const struct boot_image *image = m->image;
    uint64_t at = align_up(l->end < 0x100000 ? 0x100000 : l->end, PAGE_SIZE);
    uint32_t entry[4];

    if (image->initrd_bytes == 0)
        return true;
    if (at + image->initrd_bytes > memory_low(m->config.ram))
        return err_set(e, "the module (%zu bytes) does not fit in RAM; use a larger -m",
                       image->initrd_bytes);
    bus_write_bytes(m->bus, at, image->initrd, image->initrd_bytes);
    entry[0] = (uint32_t)at;
    entry[1] = (uint32_t)(at + image->initrd_bytes);
    entry[2] = AT_COMMAND_LINE;
    entry[3] = 0;
    bus_write_bytes(m->bus, AT_MODULE_LIST, entry, sizeof entry);
    mbi[0] |= MBI_MODULES;
    mbi[5] = 1;
    mbi[6] = AT_MODULE_LIST;
    return true;
}

static uint32_t write_mmap(struct nidus *m)
{
    struct memory_range map[32];
    size_t n = memory_map(m, map, 32);
    uint8_t entry[24];
    uint32_t size = 20;

    for (size_t i = 0; i < n; i++) {
        memcpy(entry, &size, 4);
        memcpy(entry + 4, &map[i].base, 8);
        memcpy(entry + 12, &map[i].size, 8);
        memcpy(entry + 20, &map[i].type, 4);
        bus_write_bytes(m->bus, AT_MMAP + 24 * i, entry, sizeof entry);
    }
    return (uint32_t)(24 * n);
}

static void set_segment(struct cpu *cpu, unsigned seg, uint16_t selector, uint32_t ar)
{
    cpu->seg[seg] = (struct seg){ .selector = selector, .limit = 0xffffffff, .ar = ar };
    seg_settle(&cpu->seg[seg]);
}

static void start_processor(struct nidus *m, uint32_t entry)
{
    static const uint64_t gdt[3] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
    struct cpu *cpu = m->cpu[0];

    bus_write_bytes(m->bus, AT_GDT, gdt, sizeof gdt);
    cpu->gdtr = (struct table_reg){ AT_GDT, sizeof gdt - 1 };
    set_segment(cpu, SEG_CS, 0x08, 0xc09b);
    for (unsigned i = 0; i < 6; i++) {
        if (i != SEG_CS)
            set_segment(cpu, i, 0x10, 0xc093);
    }
    cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
    cpu->cpl = 0;
    cpu->rip = entry;
    cpu->r[RAX] = MB_BOOT_MAGIC;
    cpu->r[RBX] = AT_MBI;
    cpu_set_rflags(cpu, RFLAGS_FIXED);
    cpu_update_paging(cpu);
    cpu_update_key(cpu);
}

bool multiboot_load(struct nidus *m, struct err *e)
{
    static const char name[] = "nidus";
    struct layout l = { 0, 0 };
    struct header h;
    uint32_t mbi[22] = { 0 };
    char line[COMMAND_LINE_MAX] = "kernel ";
    size_t at;

    if (!find_header(m->image, &h, &at))
        return err_set(e, "the kernel has no multiboot header");
    if (strlen(m->image->command_line) + 8 > sizeof line)
        return err_set(e, "the command line is longer than %d characters", COMMAND_LINE_MAX - 8);
    strcat(line, m->image->command_line); /* argv[0] comes first */
    if (!(h.flags & MB_HAS_ADDRESSES ? load_by_header(m, &h, at, &l, e) : load_elf32(m, &l, e)) ||
        !load_module(m, &l, mbi, e))
        return false;
    bus_write_bytes(m->bus, AT_COMMAND_LINE, line, strlen(line) + 1);
    bus_write_bytes(m->bus, AT_LOADER_NAME, name, sizeof name);
    mbi[0] |= MBI_MEMORY | MBI_CMDLINE | MBI_MMAP | MBI_LOADER;
    mbi[1] = 639;
    mbi[2] = (uint32_t)((memory_low(m->config.ram) - 0x100000) >> 10);
    mbi[4] = AT_COMMAND_LINE;
    mbi[11] = write_mmap(m);
    mbi[12] = AT_MMAP;
    mbi[16] = AT_LOADER_NAME;
    bus_write_bytes(m->bus, AT_MBI, mbi, sizeof mbi);
    start_processor(m, l.entry);
    return true;
}
