#include "tests/devices/apic_lab.h"

static struct apic_lab a;

static void setup(void)
{
    apic_lab_init(&a);
    for (unsigned i = 0; i < APICS; i++)
        xput(&a, i, 0x0f0, 0x1ff); /* software-enabled, spurious vector FFH */
}

static void teardown(void)
{
    apic_lab_done(&a);
}

/* through the ICR in xAPIC mode */
static void ipi(unsigned from, uint8_t dest, uint32_t low)
{
    xput(&a, from, 0x310, (uint32_t)dest << 24);
    xput(&a, from, 0x300, low);
}

/* [SDM 3A "Local APIC State After Power-Up or Reset"] */
START_TEST(registers_after_reset)
{
    device_reset(a.cpu[1]);
    ck_assert_uint_eq(lapic_ops.read_base(a.cpu[0]), 0xfee00900);
    ck_assert_uint_eq(lapic_ops.read_base(a.cpu[1]), 0xfee00800);
    ck_assert_uint_eq(xget(&a, 1, 0x020), 0x01000000);
    ck_assert_uint_eq(xget(&a, 1, 0x030), 0x01050015);
    ck_assert_uint_eq(xget(&a, 1, 0x080), 0);
    ck_assert_uint_eq(xget(&a, 1, 0x0d0), 0);
    ck_assert_uint_eq(xget(&a, 1, 0x0e0), 0xffffffff);
    ck_assert_uint_eq(xget(&a, 1, 0x0f0), 0x000000ff);
    for (unsigned lvt = 0x320; lvt <= 0x370; lvt += 0x10)
        ck_assert_uint_eq(xget(&a, 1, lvt), 0x00010000);
    ck_assert_uint_eq(xget(&a, 1, 0x380), 0);
    ck_assert_uint_eq(xget(&a, 1, 0x390), 0);
}
END_TEST

START_TEST(a_fixed_interrupt_goes_from_irr_to_isr_to_eoi)
{
    ipi(0, 1, 0x4041);
    ck_assert(a.told[1].intr);
    ck_assert_uint_eq(xget(&a, 1, 0x220), 0x00000002);
    ck_assert_int_eq(take(&a, 1), 0x41);
    ck_assert(!a.told[1].intr);
    ck_assert_uint_eq(xget(&a, 1, 0x220), 0);
    ck_assert_uint_eq(xget(&a, 1, 0x120), 0x00000002);
    ck_assert_uint_eq(xget(&a, 1, 0x0a0), 0x40);
    xput(&a, 1, 0x0b0, 0);
    ck_assert_uint_eq(xget(&a, 1, 0x120), 0);
    ck_assert_uint_eq(xget(&a, 1, 0x0a0), 0);
}
END_TEST

START_TEST(only_a_higher_class_interrupts_a_handler)
{
    ipi(0, 1, 0x41);
    take(&a, 1);
    ipi(0, 1, 0x4f);
    ck_assert(!a.told[1].intr);
    ipi(0, 1, 0x51);
    ck_assert(a.told[1].intr);
    ck_assert_int_eq(take(&a, 1), 0x51);
    xput(&a, 1, 0x0b0, 0);
    ck_assert(!a.told[1].intr);
    xput(&a, 1, 0x0b0, 0);
    ck_assert_int_eq(take(&a, 1), 0x4f);
}
END_TEST

START_TEST(tpr_and_cr8_hold_classes_back)
{
    lapic_ops.write_cr8(a.cpu[1], 5);
    ck_assert_uint_eq(xget(&a, 1, 0x080), 0x50);
    ipi(0, 1, 0x5f);
    ck_assert(!a.told[1].intr);
    xput(&a, 1, 0x080, 0x4f);
    ck_assert(a.told[1].intr);
    ck_assert_uint_eq(lapic_ops.read_cr8(a.cpu[1]), 4);
    ck_assert_uint_eq(xget(&a, 1, 0x0a0), 0x4f);
}
END_TEST

START_TEST(an_acknowledge_that_comes_too_late_is_spurious)
{
    ipi(0, 1, 0x41);
    lapic_ops.write_cr8(a.cpu[1], 15);
    ck_assert_int_eq(take(&a, 1), 0xff);
    ck_assert_uint_eq(xget(&a, 1, 0x170), 0); /* not in service */
    ck_assert_int_eq(take(&a, 2), -1);
}
END_TEST

START_TEST(shorthands)
{
    ipi(0, 0, 0x40000 | 0x41); /* self */
    ck_assert(a.told[0].intr && !a.told[1].intr && !a.told[2].intr);
    take(&a, 0);
    xput(&a, 0, 0x0b0, 0);
    ipi(0, 0, 0xc0000 | 0x42); /* all but self */
    ck_assert(!a.told[0].intr && a.told[1].intr && a.told[2].intr);
    ipi(1, 0, 0x80000 | 0x43); /* all */
    ck_assert(a.told[0].intr);
    ck_assert_int_eq(take(&a, 1), 0x43);
}
END_TEST

START_TEST(physical_broadcast_is_ff)
{
    ipi(0, 0xff, 0x41);
    ck_assert(a.told[0].intr && a.told[1].intr && a.told[2].intr);
}
END_TEST

START_TEST(logical_flat_matches_any_common_bit)
{
    xput(&a, 0, 0x0d0, 0x01000000);
    xput(&a, 1, 0x0d0, 0x02000000);
    xput(&a, 2, 0x0d0, 0x04000000);
    ipi(0, 0x06, 0x841);
    ck_assert(!a.told[0].intr && a.told[1].intr && a.told[2].intr);
}
END_TEST

START_TEST(logical_cluster_matches_cluster_and_bit)
{
    for (unsigned i = 0; i < APICS; i++)
        xput(&a, i, 0x0e0, 0x0fffffff);
    ck_assert_uint_eq(xget(&a, 0, 0x0e0), 0x0fffffff);
    xput(&a, 0, 0x0d0, 0x11000000);
    xput(&a, 1, 0x0d0, 0x12000000);
    xput(&a, 2, 0x0d0, 0x22000000);
    ipi(0, 0x12, 0x841);
    ck_assert(!a.told[0].intr && a.told[1].intr && !a.told[2].intr);
}
END_TEST

START_TEST(lowest_priority_goes_to_one)
{
    lapic_ops.write_cr8(a.cpu[0], 3);
    lapic_ops.write_cr8(a.cpu[1], 2);
    lapic_ops.write_cr8(a.cpu[2], 2);
    ipi(0, 0xff, 0x141);
    ck_assert(!a.told[0].intr && a.told[1].intr && !a.told[2].intr);
}
END_TEST

START_TEST(nmi_smi_init_and_sipi_reach_the_processor)
{
    ipi(0, 1, 0x4400);
    ipi(0, 1, 0x4200);
    ipi(0, 1, 0x4500);
    ipi(0, 1, 0x8500); /* INIT level de-assert */
    ipi(0, 1, 0x4608);
    ck_assert_uint_eq(a.told[1].nmi, 1);
    ck_assert_uint_eq(a.told[1].smi, 1);
    ck_assert_uint_eq(a.told[1].init, 1);
    ck_assert_uint_eq(a.told[1].sipi, 1);
    ck_assert_uint_eq(a.told[1].sipi_vector, 8);
    ck_assert_uint_eq(xget(&a, 0, 0x300) & 0x1000, 0); /* idle */
}
END_TEST

START_TEST(software_disabled_takes_no_fixed_interrupt_but_nmi_and_masks_lvts)
{
    xput(&a, 1, 0x320, 0x40);
    xput(&a, 1, 0x0f0, 0x0ff);
    ck_assert_uint_eq(xget(&a, 1, 0x320), 0x10040);
    xput(&a, 1, 0x320, 0x40);
    ck_assert_uint_eq(xget(&a, 1, 0x320), 0x10040);
    ipi(0, 1, 0x41);
    ipi(0, 1, 0x4400);
    ck_assert(!a.told[1].intr);
    ck_assert_uint_eq(a.told[1].nmi, 1);
}
END_TEST

START_TEST(illegal_vectors_and_addresses_are_errors)
{
    xput(&a, 0, 0x370, 0x60); /* error interrupt */
    ipi(0, 1, 0x05);
    ck_assert_int_eq(take(&a, 0), 0x60);
    ck_assert_uint_eq(xget(&a, 0, 0x280), 0); /* until it is written */
    xput(&a, 0, 0x280, 0);
    ck_assert_uint_eq(xget(&a, 0, 0x280), 0x20);
    xget(&a, 0, 0x040);
    xput(&a, 0, 0x280, 0);
    ck_assert_uint_eq(xget(&a, 0, 0x280), 0x80);
    apic_bus_msi(a.bus, 0xfee00000, 0x0f);
    xput(&a, 0, 0x280, 0);
    ck_assert_uint_eq(xget(&a, 0, 0x280), 0x40);
}
END_TEST

START_TEST(an_msi_of_a_level_pin_sets_tmr_and_its_eoi_reaches_the_io_apic)
{
    bus_write(a.chip->host.bus, 0xfec00000, 0x10 + 2 * 20 + 1, 4);
    bus_write(a.chip->host.bus, 0xfec00010, 0x02000000, 4);
    bus_write(a.chip->host.bus, 0xfec00000, 0x10 + 2 * 20, 4);
    bus_write(a.chip->host.bus, 0xfec00010, 0x8099, 4);
    ioapic_irq(a.ioapic, 20, true);
    ck_assert_uint_eq(xget(&a, 2, 0x1c0), 0x02000000);
    ck_assert_int_eq(take(&a, 2), 0x99);
    xput(&a, 2, 0x0b0, 0);
    ck_assert_int_eq(take(&a, 2), 0x99); /* the pin is still high */
    ioapic_irq(a.ioapic, 20, false);
    xput(&a, 2, 0x0b0, 0);
    ck_assert(!a.told[2].intr);
}
END_TEST

START_TEST(with_eoi_broadcasts_suppressed_the_io_apic_waits)
{
    xput(&a, 0, 0x0f0, 0x11ff);
    bus_write(a.chip->host.bus, 0xfec00000, 0x10 + 2 * 20, 4);
    bus_write(a.chip->host.bus, 0xfec00010, 0x8099, 4);
    ioapic_irq(a.ioapic, 20, true);
    take(&a, 0);
    xput(&a, 0, 0x0b0, 0);
    ck_assert(!a.told[0].intr);
    bus_write(a.chip->host.bus, 0xfec00040, 0x99, 4);
    ck_assert(a.told[0].intr);
}
END_TEST

START_TEST(virtual_wire_mode_takes_the_vector_from_the_8259)
{
    lapic_firmware_setup(a.cpu[0]);
    out8(a.chip, 0x20, 0x11);
    out8(a.chip, 0x21, 0x30);
    out8(a.chip, 0x21, 0x04);
    out8(a.chip, 0x21, 0x01);
    pic8259_irq(a.pic, 0, true);
    ck_assert(a.told[0].intr);
    lapic_ops.write_cr8(a.cpu[0], 15); /* ExtINT knows no priority */
    ck_assert(a.told[0].intr);
    ck_assert_int_eq(take(&a, 0), 0x30);
    ck_assert(!a.told[0].intr);
    ck_assert_uint_eq(xget(&a, 0, 0x110), 0); /* and is not in service */
}
END_TEST

START_TEST(a_masked_lint0_stops_the_8259)
{
    pic8259_irq(a.pic, 0, true);
    out8(a.chip, 0x21, 0x00);
    ck_assert(!a.told[0].intr);
    xput(&a, 0, 0x350, 0x700);
    ck_assert(a.told[0].intr);
    xput(&a, 0, 0x350, 0x10700);
    ck_assert(!a.told[0].intr);
}
END_TEST

START_TEST(a_disabled_apic_is_transparent_for_the_8259_and_deaf_to_messages)
{
    ck_assert(set_base(&a, 0, 0xfee00100));
    out8(a.chip, 0x21, 0x00);
    pic8259_irq(a.pic, 0, true);
    ck_assert(a.told[0].intr);
    ipi(1, 0, 0x4400);
    ck_assert_uint_eq(a.told[0].nmi, 0);
    ck_assert_uint_eq(xget(&a, 0, 0x030), 0xffffffff);
    lapic_lint(a.cpu[0], 1, true);
    ck_assert_uint_eq(a.told[0].nmi, 1);
}
END_TEST

START_TEST(lint1_is_nmi_on_its_edge)
{
    xput(&a, 0, 0x360, 0x400);
    lapic_lint(a.cpu[0], 1, true);
    lapic_lint(a.cpu[0], 1, true);
    ck_assert_uint_eq(a.told[0].nmi, 1);
}
END_TEST

START_TEST(a_level_lint_interrupts_again_after_eoi)
{
    xput(&a, 1, 0x350, 0x8045);
    lapic_lint(a.cpu[1], 0, true);
    ck_assert_uint_eq(xget(&a, 1, 0x350), 0xc045);
    ck_assert_int_eq(take(&a, 1), 0x45);
    xput(&a, 1, 0x0b0, 0);
    ck_assert(a.told[1].intr);
    lapic_lint(a.cpu[1], 0, false);
    take(&a, 1);
    xput(&a, 1, 0x0b0, 0);
    ck_assert(!a.told[1].intr);
    ck_assert_uint_eq(xget(&a, 1, 0x350), 0x8045);
}
END_TEST

/* [SDM 3A "x2APIC State Transitions"] */
START_TEST(only_legal_mode_transitions)
{
    const uint64_t off = 0xfee00000, x = 0xfee00800, x2 = 0xfee00c00, invalid = 0xfee00400;

    ck_assert(!set_base(&a, 1, invalid));
    ck_assert(set_base(&a, 1, x2));
    ck_assert(!set_base(&a, 1, x));
    ck_assert(!set_base(&a, 1, invalid));
    ck_assert(set_base(&a, 1, x2));
    ck_assert(set_base(&a, 1, off));
    ck_assert(!set_base(&a, 1, x2));
    ck_assert(!set_base(&a, 1, invalid));
    ck_assert(set_base(&a, 1, x));
    ck_assert(!set_base(&a, 1, x | 1));
    ck_assert(!set_base(&a, 1, x | UINT64_C(1) << 46));
    ck_assert(set_base(&a, 1, 0xfed40800));
    ck_assert_uint_eq(lapic_ops.read_base(a.cpu[1]), 0xfed40800);
}
END_TEST

START_TEST(disabling_loses_the_registers)
{
    xput(&a, 1, 0x080, 0x20);
    xput(&a, 1, 0x020, 0x55000000);
    ck_assert_uint_eq(xget(&a, 1, 0x020), 0x55000000);
    set_base(&a, 1, 0xfee00000);
    set_base(&a, 1, 0xfee00800);
    ck_assert_uint_eq(xget(&a, 1, 0x080), 0);
    ck_assert_uint_eq(xget(&a, 1, 0x0f0), 0xff);
    ck_assert_uint_eq(xget(&a, 1, 0x020), 0x01000000);
}
END_TEST

START_TEST(init_keeps_base_and_id)
{
    xput(&a, 1, 0x0f0, 0x1f0);
    xput(&a, 1, 0x0d0, 0x02000000);
    ipi(0, 1, 0x41);
    lapic_ops.init(a.cpu[1]);
    ck_assert(!a.told[1].intr);
    ck_assert_uint_eq(xget(&a, 1, 0x0f0), 0xff);
    ck_assert_uint_eq(xget(&a, 1, 0x0d0), 0);
    ck_assert_uint_eq(xget(&a, 1, 0x020), 0x01000000);
    ck_assert_uint_eq(lapic_ops.read_base(a.cpu[1]), 0xfee00800);
}
END_TEST

/* [SDM 3A "x2APIC Register Address Space"] */
START_TEST(x2apic_msrs_and_their_faults)
{
    uint64_t value;

    ck_assert(!lapic_ops.read_msr(a.cpu[2], 0x802, &value)); /* in xAPIC mode */
    xput(&a, 2, 0x080, 0x30);
    set_base(&a, 2, 0xfee00c00);
    ck_assert_uint_eq(xget(&a, 2, 0x020), 0xffffffff);
    ck_assert_uint_eq(mget(&a, 2, 0x802), 2);
    ck_assert_uint_eq(mget(&a, 2, 0x80d), 0x00000004);
    ck_assert_uint_eq(mget(&a, 2, 0x808), 0x30); /* kept */
    ck_assert(!mput(&a, 2, 0x802, 2));
    ck_assert(!mput(&a, 2, 0x80d, 4));
    ck_assert(!mput(&a, 2, 0x808, 0x100));
    ck_assert(!mput(&a, 2, 0x808, UINT64_C(1) << 32));
    ck_assert(mput(&a, 2, 0x80b, 0));
    ck_assert(!mput(&a, 2, 0x80b, 1));
    ck_assert(mput(&a, 2, 0x828, 0));
    ck_assert(!mput(&a, 2, 0x828, 1));
    ck_assert(!mput(&a, 2, 0x831, 0));
    ck_assert(!mput(&a, 2, 0x80e, 0));
    ck_assert(!mput(&a, 2, 0x82f, 0x10000)); /* CMCI */
    ck_assert(!mput(&a, 2, 0x83f, 0x100));
    ck_assert(!mput(&a, 2, 0x80f, 0x3ff)); /* focus checking */
    ck_assert(!lapic_ops.read_msr(a.cpu[2], 0x80b, &value));
    ck_assert(!lapic_ops.read_msr(a.cpu[2], 0x83f, &value));
    ck_assert(!lapic_ops.read_msr(a.cpu[2], 0x840, &value));
    ck_assert(!lapic_ops.read_msr(a.cpu[2], 0x8ff, &value));
    ck_assert(!mput(&a, 2, 0x830, 0x2000));
    ck_assert(mput(&a, 2, 0x83f, 0x77));
    ck_assert_int_eq(take(&a, 2), 0x77);
}
END_TEST

START_TEST(x2apic_ipis_have_32_bit_destinations)
{
    for (unsigned i = 0; i < APICS; i++)
        set_base(&a, i, lapic_ops.read_base(a.cpu[i]) | 0x400);
    ck_assert(mput(&a, 0, 0x830, UINT64_C(0x0000000200004041)));
    ck_assert(!a.told[0].intr && !a.told[1].intr && a.told[2].intr);
    ck_assert_uint_eq(mget(&a, 0, 0x830), UINT64_C(0x0000000200004041));
    ck_assert(mput(&a, 0, 0x830, UINT64_C(0x000000ff00004442)));
    ck_assert_uint_eq(a.told[1].nmi, 0);                         /* FFH is not the broadcast */
    ck_assert(mput(&a, 0, 0x830, UINT64_C(0x0000000300004842))); /* cluster 0, bits 0 and 1 */
    ck_assert(a.told[0].intr && a.told[1].intr);
    take(&a, 2);
    ck_assert(mput(&a, 0, 0x830, UINT64_C(0xffffffff00004499)));
    ck_assert_uint_eq(a.told[0].nmi + a.told[1].nmi + a.told[2].nmi, 3);
}
END_TEST

START_TEST(an_msi_reaches_x2apics_by_their_low_ids)
{
    set_base(&a, 1, 0xfee00c00);
    xput(&a, 0, 0x0f0, 0x1ff);
    apic_bus_msi(a.bus, 0xfee01000, 0x4041);
    ck_assert(a.told[1].intr);
    ck_assert(!a.told[0].intr);
}
END_TEST

/* [SDM 3A "APIC Timer"] */
START_TEST(one_shot_timer_divides_the_crystal_clock)
{
    xput(&a, 0, 0x3e0, 0x3); /* by 16 */
    xput(&a, 0, 0x320, 0xee);
    xput(&a, 0, 0x380, 1000);
    chip_run(a.chip, 999 * 1280);
    ck_assert_uint_eq(xget(&a, 0, 0x390), 1);
    ck_assert(!a.told[0].intr);
    chip_run(a.chip, 1280);
    ck_assert(a.told[0].intr);
    ck_assert_int_eq(take(&a, 0), 0xee);
    xput(&a, 0, 0x0b0, 0);
    ck_assert_uint_eq(xget(&a, 0, 0x390), 0);
    ck_assert_uint_eq(xget(&a, 0, 0x380), 1000);
    chip_run(a.chip, CLOCK_HZ);
    ck_assert(!a.told[0].intr);
}
END_TEST

START_TEST(periodic_timer_repeats_and_coalesces)
{
    xput(&a, 0, 0x3e0, 0xb); /* by 1: 80 cycles */
    xput(&a, 0, 0x320, 0x200ee);
    xput(&a, 0, 0x380, 100);
    for (unsigned i = 0; i < 5; i++) {
        chip_run(a.chip, 8000);
        ck_assert_int_eq(take(&a, 0), 0xee);
        xput(&a, 0, 0x0b0, 0);
        ck_assert(!a.told[0].intr);
        ck_assert_uint_eq(xget(&a, 0, 0x390), 100);
    }
    a.chip->now += 98760; /* late */
    clock_run(&a.chip->clock, a.chip->now);
    ck_assert_int_eq(take(&a, 0), 0xee);
    xput(&a, 0, 0x0b0, 0);
    ck_assert(!a.told[0].intr);
    ck_assert_uint_eq(xget(&a, 0, 0x390), 100 - 34);
}
END_TEST

START_TEST(changing_between_one_shot_and_periodic_keeps_the_count)
{
    xput(&a, 0, 0x3e0, 0xb);
    xput(&a, 0, 0x320, 0x100ee); /* masked: counts anyway */
    xput(&a, 0, 0x380, 1000);
    chip_run(a.chip, 48000);
    xput(&a, 0, 0x320, 0x300ee);
    ck_assert_uint_eq(xget(&a, 0, 0x390), 400);
    chip_run(a.chip, 40000);
    ck_assert_uint_eq(xget(&a, 0, 0x390), 900);
    xput(&a, 0, 0x320, 0x100ee);
    chip_run(a.chip, 72000);
    ck_assert_uint_eq(xget(&a, 0, 0x390), 0);
    xput(&a, 0, 0x320, 0x300ee);
    ck_assert_uint_eq(xget(&a, 0, 0x390), 0);
    ck_assert(!a.told[0].intr);
}
END_TEST

START_TEST(a_new_divider_keeps_the_count)
{
    static const uint8_t code[] = { 0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa }; /* 1, 2, ... 128 */

    xput(&a, 0, 0x320, 0xee);
    for (unsigned i = 0; i < 8; i++) {
        xput(&a, 0, 0x3e0, 0xb);
        xput(&a, 0, 0x380, 1000);
        chip_run(a.chip, 32000);
        xput(&a, 0, 0x3e0, code[i]);
        ck_assert_uint_eq(xget(&a, 0, 0x390), 600);
        chip_run(a.chip, UINT64_C(80) * 500 << i);
        ck_assert_uint_eq(xget(&a, 0, 0x390), 100);
    }
}
END_TEST

/* [SDM 3A "TSC-Deadline Mode"] */
START_TEST(tsc_deadline_fires_once_and_reads_zero_then)
{
    lapic_ops.write_tsc_deadline(a.cpu[0], 5000); /* ignored in another mode */
    ck_assert_uint_eq(lapic_ops.read_tsc_deadline(a.cpu[0]), 0);
    xput(&a, 0, 0x320, 0x400ef);
    lapic_ops.write_tsc_deadline(a.cpu[0], 5000);
    ck_assert_uint_eq(lapic_ops.read_tsc_deadline(a.cpu[0]), 5000);
    xput(&a, 0, 0x380, 100); /* ignored in this mode */
    ck_assert_uint_eq(xget(&a, 0, 0x390), 0);
    chip_run_to(a.chip, 4999);
    ck_assert(!a.told[0].intr);
    chip_run_to(a.chip, 5000);
    ck_assert_int_eq(take(&a, 0), 0xef);
    ck_assert_uint_eq(lapic_ops.read_tsc_deadline(a.cpu[0]), 0);
}
END_TEST

START_TEST(a_tsc_deadline_in_the_past_fires_at_once_and_0_disarms)
{
    a.chip->now = 100000;
    xput(&a, 0, 0x320, 0x400ef);
    lapic_ops.write_tsc_deadline(a.cpu[0], 1);
    chip_run(a.chip, 0);
    ck_assert_int_eq(take(&a, 0), 0xef);
    xput(&a, 0, 0x0b0, 0);
    lapic_ops.write_tsc_deadline(a.cpu[0], 200000);
    lapic_ops.write_tsc_deadline(a.cpu[0], 0);
    chip_run_to(a.chip, 300000);
    ck_assert(!a.told[0].intr);
}
END_TEST

START_TEST(leaving_tsc_deadline_mode_disarms)
{
    xput(&a, 0, 0x320, 0x400ef);
    lapic_ops.write_tsc_deadline(a.cpu[0], 5000);
    xput(&a, 0, 0x320, 0x000ef);
    xput(&a, 0, 0x320, 0x400ef);
    ck_assert_uint_eq(lapic_ops.read_tsc_deadline(a.cpu[0]), 0);
    chip_run_to(a.chip, 10000);
    ck_assert(!a.told[0].intr);
}
END_TEST

START_TEST(a_masked_deadline_passes_silently)
{
    xput(&a, 0, 0x320, 0x500ef);
    lapic_ops.write_tsc_deadline(a.cpu[0], 5000);
    chip_run_to(a.chip, 6000);
    xput(&a, 0, 0x320, 0x400ef);
    chip_run_to(a.chip, 7000);
    ck_assert(!a.told[0].intr);
}
END_TEST

START_TEST(reads_of_parts_of_registers_and_odd_writes)
{
    ck_assert_uint_eq(lapic_ops.read(a.cpu[0], 0x032, 1), 0x05);
    ck_assert_uint_eq(lapic_ops.read(a.cpu[0], 0x030, 8), 0x01050015);
    ck_assert_uint_eq(lapic_ops.read(a.cpu[0], 0x034, 4), 0);
    lapic_ops.write(a.cpu[0], 0x080, 0x20, 1);
    lapic_ops.write(a.cpu[0], 0x084, 0x20, 4);
    ck_assert_uint_eq(xget(&a, 0, 0x080), 0);
}
END_TEST

START_TEST(a_message_to_another_address_is_a_write_to_memory)
{
    struct err e = { "" };
    uint32_t word;

    ck_assert_msg(bus_add_ram(a.chip->host.bus, 0x10000, 0x10000, &e), "%s", e.text);
    apic_bus_msi(a.bus, 0x1234, 0xabcd);
    bus_read_bytes(a.chip->host.bus, 0x1234, &word, sizeof word);
    ck_assert_uint_eq(word, 0xabcd);
}
END_TEST

static void add_delivery(Suite *s)
{
    TCase *t = tcase_create("delivery");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, registers_after_reset);
    tcase_add_test(t, a_fixed_interrupt_goes_from_irr_to_isr_to_eoi);
    tcase_add_test(t, only_a_higher_class_interrupts_a_handler);
    tcase_add_test(t, tpr_and_cr8_hold_classes_back);
    tcase_add_test(t, an_acknowledge_that_comes_too_late_is_spurious);
    tcase_add_test(t, shorthands);
    tcase_add_test(t, physical_broadcast_is_ff);
    tcase_add_test(t, logical_flat_matches_any_common_bit);
    tcase_add_test(t, logical_cluster_matches_cluster_and_bit);
    tcase_add_test(t, lowest_priority_goes_to_one);
    tcase_add_test(t, nmi_smi_init_and_sipi_reach_the_processor);
    tcase_add_test(t, software_disabled_takes_no_fixed_interrupt_but_nmi_and_masks_lvts);
    tcase_add_test(t, illegal_vectors_and_addresses_are_errors);
    tcase_add_test(t, an_msi_of_a_level_pin_sets_tmr_and_its_eoi_reaches_the_io_apic);
    tcase_add_test(t, with_eoi_broadcasts_suppressed_the_io_apic_waits);
    tcase_add_test(t, virtual_wire_mode_takes_the_vector_from_the_8259);
    tcase_add_test(t, a_masked_lint0_stops_the_8259);
    tcase_add_test(t, a_disabled_apic_is_transparent_for_the_8259_and_deaf_to_messages);
    tcase_add_test(t, lint1_is_nmi_on_its_edge);
    tcase_add_test(t, a_level_lint_interrupts_again_after_eoi);
    tcase_add_test(t, a_message_to_another_address_is_a_write_to_memory);
    suite_add_tcase(s, t);
}

Suite *suite_devices_lapic(void);
Suite *suite_devices_lapic(void)
{
    Suite *s = suite_create("devices/lapic");
    TCase *t = tcase_create("modes and timer");

    add_delivery(s);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, only_legal_mode_transitions);
    tcase_add_test(t, disabling_loses_the_registers);
    tcase_add_test(t, init_keeps_base_and_id);
    tcase_add_test(t, x2apic_msrs_and_their_faults);
    tcase_add_test(t, x2apic_ipis_have_32_bit_destinations);
    tcase_add_test(t, an_msi_reaches_x2apics_by_their_low_ids);
    tcase_add_test(t, one_shot_timer_divides_the_crystal_clock);
    tcase_add_test(t, periodic_timer_repeats_and_coalesces);
    tcase_add_test(t, changing_between_one_shot_and_periodic_keeps_the_count);
    tcase_add_test(t, a_new_divider_keeps_the_count);
    tcase_add_test(t, tsc_deadline_fires_once_and_reads_zero_then);
    tcase_add_test(t, a_tsc_deadline_in_the_past_fires_at_once_and_0_disarms);
    tcase_add_test(t, leaving_tsc_deadline_mode_disarms);
    tcase_add_test(t, a_masked_deadline_passes_silently);
    tcase_add_test(t, reads_of_parts_of_registers_and_odd_writes);
    suite_add_tcase(s, t);
    return s;
}
