/* The Q35 board: which part hangs on which wire. [ICH9 datasheet], and QEMU's q35 where the data
 * sheet leaves a choice to the board. */
#include "machine/board.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/events.h"
#include "devices/acpi_pm.h"
#include "devices/apic_bus.h"
#include "devices/debugcon.h"
#include "devices/fw_cfg.h"
#include "devices/hpet.h"
#include "devices/i8042.h"
#include "devices/ich9_lpc.h"
#include "devices/ioapic.h"
#include "devices/isa_debug_exit.h"
#include "devices/lapic.h"
#include "devices/pc_testdev.h"
#include "devices/pci_host.h"
#include "devices/pic8259.h"
#include "devices/pit8254.h"
#include "devices/port92.h"
#include "devices/rtc_cmos.h"
#include "devices/uart16550.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_rng.h"
#include "machine/load.h"

/* who pulls an interrupt line */
enum source { FROM_CHIP, FROM_LPC, FROM_SERIAL2, FROM_TESTDEV, FROM_HPET };

/* ---- interrupt lines: several outputs may share one ---- */

static bool pull(uint32_t *sources, enum source from, bool level)
{
    *sources = level ? *sources | 1u << from : *sources & ~(1u << from);
    return *sources != 0;
}

static void pull_isa(struct board *b, enum source from, unsigned irq, bool level)
{
    pic8259_irq(b->pic, irq, pull(&b->isa[irq], from, level));
}

static void pull_gsi(struct board *b, enum source from, unsigned gsi, bool level)
{
    ioapic_irq(b->ioapic, gsi, pull(&b->gsi[gsi], from, level));
}

/* an ISA interrupt goes to the 8259s and to the I/O APIC, IRQ 0 there to pin 2 */
static void isa_irq(struct board *b, enum source from, unsigned irq, bool level)
{
    pull_isa(b, from, irq, level);
    pull_gsi(b, from, irq == 0 ? 2 : irq, level);
}

static void chip_irq(void *owner, unsigned n, bool level)
{
    isa_irq(owner, FROM_CHIP, n, level);
}
static void serial2_irq(void *owner, unsigned n, bool level)
{
    isa_irq(owner, FROM_SERIAL2, n, level);
}
static void testdev_irq(void *owner, unsigned n, bool level)
{
    if (n < 16)
        pull_isa(owner, FROM_TESTDEV, n, level);
    pull_gsi(owner, FROM_TESTDEV, n, level);
}
static void lpc_pic(void *owner, unsigned n, bool level)
{
    pull_isa(owner, FROM_LPC, n, level);
}
static void lpc_gsi(void *owner, unsigned n, bool level)
{
    pull_gsi(owner, FROM_LPC, n, level);
}
static void hpet_pin(void *owner, unsigned n, bool level)
{
    pull_gsi(owner, FROM_HPET, n, level);
}

/* ---- reset, power, A20 ---- */

static void reset_line(void *owner, unsigned n, bool level)
{
    if (level)
        machine_reset_request(((struct board *)owner)->m);
}

static void init_line(void *owner, unsigned n, bool level)
{
    struct board *b = owner;

    for (unsigned i = 0; level && i < b->m->cpu_count; i++)
        cpu_signal_init(b->m->cpu[i]);
}

static void power_off(void *owner)
{
    machine_end(((struct board *)owner)->m, NIDUS_POWER_OFF);
}

static void debug_exit(void *owner, uint32_t code)
{
    struct nidus *m = ((struct board *)owner)->m;

    m->exit_code = (int)(code << 1 | 1) & 0xff;
    machine_end(m, NIDUS_EXIT);
}

/* ---- creation ---- */

static struct device *add(struct nidus *m, struct device *dev)
{
    struct device **at = &m->devices;

    while (*at)
        at = &(*at)->next;
    *at = dev;
    return dev;
}

static struct device *create(struct nidus *m, const struct device_class *class, const char *id)
{
    return add(m, device_create(class, id, &m->host));
}

static void create_apics(struct nidus *m)
{
    struct board *b = m->board;

    b->apic_bus = apic_bus_create(m->bus);
    m->host.msi = (struct msi_port){ .send = apic_bus_msi, .owner = b->apic_bus };
    b->ioapic = create(m, &ioapic_class, "ioapic");
    apic_bus_add_ioapic(b->apic_bus, b->ioapic);
    for (unsigned i = 0; i < m->cpu_count; i++) {
        struct cpu *cpu = m->cpu[i];
        char id[16];
        struct apic_client client = { .owner = cpu,
                                      .set_intr = cpu_set_intr,
                                      .nmi = cpu_signal_nmi,
                                      .smi = cpu_signal_smi,
                                      .init = cpu_signal_init,
                                      .sipi = cpu_signal_sipi };

        snprintf(id, sizeof id, "lapic%u", i);
        b->lapic[i] = create(m, &lapic_class, id);
        lapic_configure(b->lapic[i], &(struct lapic_config){ .bus = b->apic_bus,
                                                             .id = i,
                                                             .bsp = i == 0,
                                                             .x2apic = cpu_has(cpu, FEAT_X2APIC),
                                                             .physical_bits = cpu->mmu.maxphyaddr,
                                                             .extint = pic8259_acknowledge,
                                                             .extint_owner = b->pic });
        lapic_set_client(b->lapic[i], &client);
        cpu->apic = &lapic_ops;
        cpu->apic_owner = b->lapic[i];
    }
}

static void connect_legacy(struct board *b)
{
    line_connect(pit8254_irq(b->pit), hpet_legacy_in, b->hpet, HPET_LEGACY_PIT);
    line_connect(rtc_cmos_irq(b->rtc), hpet_legacy_in, b->hpet, HPET_LEGACY_RTC);
    line_connect(hpet_legacy_out(b->hpet, HPET_LEGACY_PIT), chip_irq, b, 0);
    line_connect(hpet_legacy_out(b->hpet, HPET_LEGACY_RTC), chip_irq, b, 8);
    for (unsigned n = 20; n < 24; n++)
        line_connect(hpet_gsi(b->hpet, n), hpet_pin, b, n);
    line_connect(i8042_irq_keyboard(b->i8042), chip_irq, b, 1);
    line_connect(i8042_irq_mouse(b->i8042), chip_irq, b, 12);
    line_connect(i8042_reset_line(b->i8042), reset_line, b, 0);
    line_connect(port92_init(b->port92), init_line, b, 0);
    line_connect(pic8259_intr(b->pic), lapic_lint, b->lapic[0], 0);
}

static void connect_chipset(struct board *b)
{
    struct ich9_lpc *lpc = (struct ich9_lpc *)b->lpc;
    struct pci_host *host = (struct pci_host *)b->host_bridge;

    line_connect(acpi_pm_sci(b->pm), ich9_lpc_set_sci, b->lpc, 0);
    for (unsigned n = 0; n < ICH9_PIC_IRQS; n++)
        line_connect(&lpc->pic[n], lpc_pic, b, n);
    for (unsigned n = 0; n < ICH9_GSIS; n++)
        line_connect(&lpc->gsi[n], lpc_gsi, b, n);
    lpc->pm_moved = acpi_pm_move;
    lpc->pm_owner = b->pm;
    line_connect(&host->reset, reset_line, b, 0);
    acpi_pm_configure(b->pm, power_off, b, true);
}

static bool realize_all(struct nidus *m, struct err *e)
{
    for (struct device *dev = m->devices; dev; dev = dev->next) {
        if (!device_realize(dev, e))
            return false;
    }
    return true;
}

bool board_create(struct nidus *m, struct err *e)
{
    struct board *b = calloc(1, sizeof *b);
    uint64_t low = memory_low(m->config.ram);

    if (!b)
        return err_set(e, "out of memory");
    m->board = b;
    b->m = m;
    b->next_slot = 1;
    b->pic = create(m, &pic8259_class, "pic");
    create_apics(m);
    b->pit = create(m, &pit8254_class, "pit");
    b->rtc = create(m, &rtc_cmos_class, "rtc");
    b->i8042 = create(m, &i8042_class, "i8042");
    b->port92 = create(m, &port92_class, "port92");
    b->pm = create(m, &acpi_pm_class, "pm");
    b->hpet = create(m, &hpet_class, "hpet");
    b->fw_cfg = create(m, &fw_cfg_class, "fw_cfg");
    b->host_bridge = add(m, pci_host_create("mch", &m->host, low, m->config.ram - low));
    b->lpc = add(m, ich9_lpc_create("lpc", &m->host, pci_host_bus(b->host_bridge)));
    connect_legacy(b);
    connect_chipset(b);
    rtc_cmos_store_memory(b->rtc, low, m->config.ram - low);
    fw_cfg_add_value(b->fw_cfg, FW_CFG_RAM_SIZE, m->config.ram, 8);
    fw_cfg_add_value(b->fw_cfg, FW_CFG_NB_CPUS, m->cpu_count, 2);
    fw_cfg_add_value(b->fw_cfg, FW_CFG_MAX_CPUS, m->cpu_count, 2);
    fw_cfg_add_value(b->fw_cfg, FW_CFG_NOGRAPHIC, 1, 2);
    return realize_all(m, e);
}

void board_destroy(struct nidus *m)
{
    struct device *last_first = NULL;

    if (!m->board)
        return;
    while (m->devices) { /* cards go before the bridges that they are plugged into */
        struct device *dev = m->devices;

        m->devices = dev->next;
        dev->next = last_first;
        last_first = dev;
    }
    while (last_first) {
        struct device *dev = last_first;

        last_first = dev->next;
        device_destroy(dev);
    }
    apic_bus_destroy(m->board->apic_bus);
    free(m->board);
}

/* Write-back but for the legacy video range and what lies between PCI's windows and 4 GiB; VMX on,
 * outside SMX operation, and locked. */
static void processor_firmware_setup(struct cpu *cpu)
{
    static const uint64_t uncached[][2] = { { PCI_ECAM_BASE, PCI_ECAM_BYTES },
                                            { PCI_MEM32_BASE, UINT64_C(0x40000000) } };
    struct msr_values *msr = &cpu->msr;

    if (cpu_has(cpu, FEAT_VMX))
        msr->feature_control = 5;
    if (!cpu_has(cpu, FEAT_MTRR))
        return;
    msr->mtrr_def_type = 0xc06;
    for (unsigned i = 0; i < MTRR_FIXED_COUNT; i++)
        msr->mtrr_fixed[i] = i == 2 ? 0 : UINT64_C(0x0606060606060606); /* 2: A0000H to BFFFFH */
    for (unsigned i = 0; i < 2; i++) {
        msr->mtrr_base[i] = uncached[i][0];
        msr->mtrr_mask[i] = (BIT(cpu->mmu.maxphyaddr) - uncached[i][1]) | 0x800;
    }
}

/* What firmware leaves behind when it hands over: PCI addresses, interrupt routing. */
void board_firmware_setup(struct nidus *m)
{
    struct board *b = m->board;

    for (unsigned i = 0; i < m->cpu_count; i++)
        processor_firmware_setup(m->cpu[i]);
    lapic_firmware_setup(b->lapic[0]);
    pci_host_firmware_setup(b->host_bridge);
    ich9_lpc_firmware_setup(b->lpc);
    pci_assign_resources(pci_host_bus(b->host_bridge));
}

/* ---- what the caller adds ---- */

static bool realize(struct nidus *m, struct device *dev, struct err *e)
{
    if (!dev)
        return err_set(e, "out of memory");
    add(m, dev);
    return device_realize(dev, e);
}

bool board_add_serial(struct nidus *m, unsigned n, const struct char_backend *out, struct err *e)
{
    static const struct {
        uint16_t base;
        uint8_t irq;
    } com[BOARD_SERIALS] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };
    struct board *b = m->board;
    char id[16];

    if (b->serial[n])
        return err_set(e, "serial%u is there already", n);
    snprintf(id, sizeof id, "serial%u", n);
    b->serial[n] = device_create(&uart16550_class, id, &m->host);
    if (!b->serial[n])
        return err_set(e, "out of memory");
    b->serial_out[n] = *out;
    uart16550_set_base(b->serial[n], com[n].base);
    uart16550_set_backend(b->serial[n], &b->serial_out[n]);
    line_connect(uart16550_irq(b->serial[n]), n < 2 ? chip_irq : serial2_irq, b, com[n].irq);
    return realize(m, b->serial[n], e);
}

bool board_add_debugcon(struct nidus *m, const struct char_backend *out, struct err *e)
{
    struct board *b = m->board;

    b->debugcon = device_create(&debugcon_class, "debugcon", &m->host);
    b->debug_out = *out;
    debugcon_set_backend(b->debugcon, &b->debug_out);
    return realize(m, b->debugcon, e);
}

static bool take_slot(struct board *b, unsigned *devfn, struct err *e)
{
    if (b->next_slot > 24)
        return err_set(e, "all 24 PCI slots are in use");
    *devfn = PCI_DEVFN(b->next_slot, 0);
    b->next_slot++;
    return true;
}

bool board_add_virtio_console(struct nidus *m, const struct char_backend *out, struct err *e)
{
    struct board *b = m->board;
    unsigned devfn = 0;

    if (b->virtio_console)
        return err_set(e, "there is a virtio console already");
    if (!take_slot(b, &devfn, e))
        return false;
    b->console_out = *out;
    b->virtio_console = virtio_console_create("virtio-console", &m->host,
                                              pci_host_bus(b->host_bridge), devfn, &b->console_out);
    return realize(m, b->virtio_console, e);
}

bool board_add_disk(struct nidus *m, const struct block_backend *disk, struct err *e)
{
    struct board *b = m->board;
    unsigned devfn = 0;
    char id[24];

    if (b->disk_count == BOARD_DISKS)
        return err_set(e, "%d disks are the most", BOARD_DISKS);
    if (!take_slot(b, &devfn, e))
        return false;
    b->disk[b->disk_count] = *disk;
    snprintf(id, sizeof id, "virtio-blk%u", b->disk_count);
    return realize(m,
                   virtio_blk_create(id, &m->host, pci_host_bus(b->host_bridge), devfn,
                                     &b->disk[b->disk_count++]),
                   e);
}

bool board_add_rng(struct nidus *m, struct err *e)
{
    unsigned devfn = 0;

    if (!take_slot(m->board, &devfn, e))
        return false;
    return realize(
        m, virtio_rng_create("virtio-rng", &m->host, pci_host_bus(m->board->host_bridge), devfn),
        e);
}

bool board_add_exit_port(struct nidus *m, uint16_t base, unsigned count, struct err *e)
{
    struct board *b = m->board;

    if (b->exit_port)
        return err_set(e, "there is an isa-debug-exit already");
    b->exit_port = device_create(&isa_debug_exit_class, "isa-debug-exit", &m->host);
    isa_debug_exit_configure(b->exit_port, base, count, debug_exit, b);
    return realize(m, b->exit_port, e);
}

bool board_add_testdev(struct nidus *m, struct err *e)
{
    struct board *b = m->board;

    if (b->testdev)
        return err_set(e, "there is a pc-testdev already");
    b->testdev = device_create(&pc_testdev_class, "pc-testdev", &m->host);
    for (unsigned n = 0; n < PC_TESTDEV_LINES; n++)
        line_connect(pc_testdev_irq(b->testdev, n), testdev_irq, b, n);
    return realize(m, b->testdev, e);
}

size_t board_input(struct nidus *m, const char *device, const uint8_t *bytes, size_t count)
{
    struct board *b = m->board;
    unsigned n = (unsigned)(device[strlen(device) - 1] - '0');

    if (strncmp(device, "serial", 6) == 0 && n < BOARD_SERIALS && b->serial[n])
        return uart16550_receive(b->serial[n], bytes, count);
    if (strcmp(device, "virtio-console") == 0 && b->virtio_console)
        return virtio_console_receive(b->virtio_console, bytes, count);
    return count; /* nobody is there to listen */
}
