/* Accesses to the APIC-access page: VM exits, or the virtual-APIC page instead.
 * [SDM 3C "Virtualizing Memory-Mapped APIC Accesses"] */
#include "vmx/vapic.h"

/* exit qualification 15:12 */
enum {
    ACCESS_READ = 0,
    ACCESS_WRITE = 1,
    ACCESS_FETCH = 2,
    ACCESS_DELIVERY = 3,
    ACCESS_PHYSICAL = 15,
    ACCESS_PHYSICAL_DELIVERY = 10
};

static _Noreturn void apic_access_exit(struct vmx *vmx, uint64_t offset, unsigned type)
{
    if (vmx->cpu->delivering)
        type = type == ACCESS_PHYSICAL ? ACCESS_PHYSICAL_DELIVERY : ACCESS_DELIVERY;
    /* the offset is undefined for guest-physical accesses */
    vm_exit_reason(vmx, EXIT_APIC_ACCESS, (offset & 0xfff) | (uint64_t)type << 12);
}

/* Registers that "APIC-register virtualization" covers, a bit for each 16 bytes: ID, version, TPR,
 * EOI, LDR, DFR, SVR, ISR, TMR, IRR, ESR, ICR, LVT, initial count, divide configuration. */
#define REGISTER(offset) BIT((offset) >> 4)
#define REGISTERS_READ                                                                        \
    (REGISTER(0x20) | REGISTER(0x30) | REGISTER(0x80) | REGISTER(0xb0) | REGISTER(0xd0) |     \
     REGISTER(0xe0) | REGISTER(0xf0) | BITS(0x27, 0x10) | REGISTER(0x280) | REGISTER(0x300) | \
     REGISTER(0x310) | BITS(0x37, 0x32) | REGISTER(0x380) | REGISTER(0x3e0))
#define REGISTERS_WRITE                                                                        \
    (REGISTER(0x20) | REGISTER(0x80) | REGISTER(0xb0) | REGISTER(0xd0) | REGISTER(0xe0) |      \
     REGISTER(0xf0) | REGISTER(0x280) | REGISTER(0x300) | REGISTER(0x310) | BITS(0x37, 0x32) | \
     REGISTER(0x380) | REGISTER(0x3e0))

/* at most 4 bytes, all in the low 4 of a register */
static bool is_register_access(uint64_t offset, unsigned size)
{
    return offset < 0x400 && (offset & 15) + size <= 4;
}

static bool is_virtualized(const struct vmx *vmx, uint64_t offset, unsigned size, bool write)
{
    const struct vmcs *v = vmx->current;
    uint64_t registers = REGISTER(0x80);

    if (!(v->ctl.proc & PROC(TPR_SHADOW)) || !is_register_access(offset, size))
        return false;
    if (v->ctl.proc2 & PROC2(APIC_REGISTERS))
        registers = write ? REGISTERS_WRITE : REGISTERS_READ;
    else if (write && v->ctl.proc2 & PROC2(VIRTUAL_INTR))
        registers |= REGISTER(0xb0) | REGISTER(0x300);
    return bit(registers, (unsigned)offset >> 4);
}

static uint64_t apic_access_read(void *owner, uint64_t offset, unsigned size)
{
    struct vmx *vmx = owner;

    if (vmx->cpu->delivering || !is_virtualized(vmx, offset, size, false))
        apic_access_exit(vmx, offset, ACCESS_READ);
    return bus_read(vmx->cpu->bus, vmx->current->ctl.virtual_apic + offset, size);
}

/* fixed delivery to itself, edge-triggered, of a vector that is one */
static bool is_self_ipi(uint32_t icr)
{
    uint32_t others = (uint32_t)(BITS(31, 20) | BITS(17, 15) | BITS(13, 12) | BITS(10, 8));

    return !(icr & others) && bits(icr, 19, 18) == 1 && (icr & 0xf0) != 0;
}

/* [SDM 3C "APIC-Write Emulation"] */
static void apic_write_emulate(struct vmx *vmx, unsigned reg)
{
    bool delivery = vmx->current->ctl.proc2 & PROC2(VIRTUAL_INTR);
    uint32_t value = vapic_read(vmx, reg);

    switch (reg) {
    case VAPIC_TPR:
        vapic_write(vmx, reg, value & 0xff);
        vapic_tpr_changed(vmx);
        return;
    case VAPIC_EOI:
        if (!delivery)
            break;
        vapic_write(vmx, reg, 0);
        vapic_eoi(vmx);
        return;
    case VAPIC_ICR_LOW:
        if (!delivery || !is_self_ipi(value))
            break;
        vapic_self_ipi(vmx, (uint8_t)value);
        return;
    case VAPIC_ICR_HIGH: vapic_write(vmx, reg, value & 0xff000000); return;
    default: break;
    }
    vapic_trap(vmx, EXIT_APIC_WRITE, reg);
}

/* The emulation follows the instruction, and the VM exit that it may end in must come before the
 * next one: so the instruction runs again as a block of one, before anything has changed. */
static void apic_access_alone(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;

    if (cpu->key & KEY_SINGLE)
        return;
    vmx->alone_count = cpu->insn_count;
    cpu_sync_rip(cpu);
    vmx_update_events(vmx);
    cpu_kick(cpu);
    cpu_restart(cpu);
}

static void apic_access_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct vmx *vmx = owner;

    if (vmx->cpu->delivering || !is_virtualized(vmx, offset, size, true))
        apic_access_exit(vmx, offset, ACCESS_WRITE);
    apic_access_alone(vmx);
    bus_write(vmx->cpu->bus, vmx->current->ctl.virtual_apic + offset, value, size);
    apic_write_emulate(vmx, (unsigned)offset & ~15u);
}

/* fetches, and accesses of the paging structures */
static void apic_access_other(void *owner, uint64_t offset, unsigned kind)
{
    apic_access_exit(owner, offset, kind & S2_WALK ? ACCESS_PHYSICAL : ACCESS_FETCH);
}

void vapic_map(struct vmx *vmx, bool on)
{
    vmx->cpu->mmu.special[SPECIAL_APIC_ACCESS] = (struct mmu_special_page){
        .pa = on ? vmx->current->ctl.apic_access : MMU_NO_PAGE,
        .owner = vmx,
        .read = apic_access_read,
        .write = apic_access_write,
        .other = apic_access_other,
    };
}
