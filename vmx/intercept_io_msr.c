/* I/O ports, MSRs and the TSC in VMX non-root operation: bitmaps, offset, multiplier.
 * [SDM 3C "I/O-Bitmap Addresses", "MSR-Bitmap Address", "Time-Stamp Counter Offset and
 * Multiplier"] */
#include "vmx/state.h"

/* ---- I/O ---- */

/* every port of the access has its bit; an access that wraps around FFFFH exits */
static bool io_in_bitmaps(const struct vmx *vmx, unsigned port, unsigned size)
{
    const struct vmcs *v = vmx->current;

    if (port + size > 0x10000)
        return true;
    for (unsigned p = port; p < port + size; p++) {
        uint64_t at = v->ctl.io_bitmap[p >> 15] + (p >> 3 & 0xfff);

        if (bus_read(vmx->cpu->bus, at, 1) >> (p & 7) & 1)
            return true;
    }
    return false;
}

void intercept_io(struct cpu *cpu, const struct virt_io *io)
{
    struct vmx *vmx = vmx_of(cpu);
    const struct vmcs *v = vmx->current;
    bool exits = v->ctl.proc & PROC(IO_BITMAPS) ? io_in_bitmaps(vmx, io->port, io->size)
                                                : (v->ctl.proc & PROC(IO)) != 0;

    if (!exits)
        return;
    vm_exit(vmx, &(struct vm_exit){
                     .reason = EXIT_IO,
                     .qualification = (io->size - 1u) | (uint64_t)io->in << 3 |
                                      (uint64_t)io->string << 4 | (uint64_t)io->rep << 5 |
                                      (uint64_t)io->immediate << 6 | (uint64_t)io->port << 16,
                     .insn_info = io->string && vmx_has(&vmx->caps, NEED_INS_OUTS_INFO)
                                      ? insn_info(cpu, EXIT_IO)
                                      : 0,
                     .guest_linear = io->string ? io->linear : 0,
                 });
}

/* ---- MSRs ---- */

enum { BITMAP_READ = 0, BITMAP_WRITE = 2048, BITMAP_HIGH = 1024 };

static bool msr_exits(const struct vmx *vmx, uint32_t msr, unsigned bitmap)
{
    const struct vmcs *v = vmx->current;
    uint32_t n = msr & 0x1fff;

    if (!(v->ctl.proc & PROC(MSR_BITMAPS)))
        return true;
    if (msr >= 0xc0000000 && msr <= 0xc0001fff)
        bitmap += BITMAP_HIGH;
    else if (msr > 0x1fff)
        return true;
    return bus_read(vmx->cpu->bus, v->ctl.msr_bitmaps + bitmap + n / 8, 1) >> (n & 7) & 1;
}

enum { MSR_TSC = 0x10 };

static bool msr_is_x2apic(uint32_t msr)
{
    return msr >> 8 == 8;
}

bool intercept_msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value, bool *ok)
{
    struct vmx *vmx = vmx_of(cpu);

    if (msr_exits(vmx, msr, BITMAP_READ))
        vm_exit_reason(vmx, EXIT_RDMSR, 0);
    *ok = true;
    if (msr == MSR_TSC) {
        *value = vmx_guest_tsc(cpu, cpu_tsc(cpu));
        return true;
    }
    return msr_is_x2apic(msr) && vmx->current->ctl.proc2 & PROC2(X2APIC) &&
           vapic_read_msr(vmx, msr, value);
}

bool intercept_msr_write(struct cpu *cpu, uint32_t msr, uint64_t value, bool *ok)
{
    struct vmx *vmx = vmx_of(cpu);

    if (msr_exits(vmx, msr, BITMAP_WRITE))
        vm_exit_reason(vmx, EXIT_WRMSR, 0);
    *ok = true;
    return msr_is_x2apic(msr) && vmx->current->ctl.proc2 & PROC2(X2APIC) &&
           vapic_write_msr(vmx, msr, value, ok);
}

/* ---- TSC ---- */

uint64_t vmx_guest_tsc(const struct cpu *cpu, uint64_t tsc)
{
    const struct vmcs *v = vmx_of(cpu)->current;

    if (!cpu->non_root || !(v->ctl.proc & PROC(TSC_OFFSETTING)))
        return tsc;
    if (v->ctl.proc2 & PROC2(TSC_SCALING))
        tsc = (uint64_t)((unsigned __int128)tsc * v->ctl.tsc_multiplier >> 48);
    return tsc + v->ctl.tsc_offset;
}
