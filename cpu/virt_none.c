/* The virtualization extensions of a processor that has none: it is never in non-root operation, so
 * what is only called there cannot happen; VMX instructions raise #UD. */
#include "base/assert.h"
#include "cpu/virt.h"

static void none_insn(struct cpu *cpu, enum virt_insn which, uint64_t info)
{
    ASSERT(!cpu->non_root);
}

static void none_io(struct cpu *cpu, const struct virt_io *io)
{
    ASSERT(!cpu->non_root);
}

static uint64_t none_cr_read(struct cpu *cpu, unsigned n, unsigned gpr)
{
    ASSERT(!cpu->non_root);
    return 0;
}

static bool none_cr_write(struct cpu *cpu, unsigned n, uint64_t *value, unsigned gpr)
{
    ASSERT(!cpu->non_root);
    return true;
}

static bool none_clts(struct cpu *cpu)
{
    ASSERT(!cpu->non_root);
    return true;
}

static bool none_lmsw(struct cpu *cpu, uint16_t *source, bool mem, uint64_t linear)
{
    ASSERT(!cpu->non_root);
    return true;
}

static uint64_t none_smsw(struct cpu *cpu)
{
    ASSERT(!cpu->non_root);
    return cpu->cr0;
}

static bool none_msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value, bool *ok)
{
    ASSERT(!cpu->non_root);
    return false;
}

static bool none_msr_write(struct cpu *cpu, uint32_t msr, uint64_t value, bool *ok)
{
    ASSERT(!cpu->non_root);
    return false;
}

static bool none_cap_read(struct cpu *cpu, uint32_t msr, uint64_t *value)
{
    return false;
}

static uint64_t none_tsc(const struct cpu *cpu, uint64_t tsc)
{
    return tsc;
}

static void none_exception(struct cpu *cpu, const struct event *ev)
{
    ASSERT(!cpu->non_root);
}

static void none_event(struct cpu *cpu)
{
    ASSERT(!cpu->non_root);
}

static void none_task_switch(struct cpu *cpu, uint16_t selector, unsigned source)
{
    ASSERT(!cpu->non_root);
}

static void none_stage(struct cpu *cpu, enum virt_stage stage)
{
    cpu->events &= ~(uint32_t)EVENT_VIRT; /* nobody here wants it */
}

static void none_sipi(struct cpu *cpu, uint8_t vector)
{
    ASSERT(!cpu->non_root);
}

static bool none_ignores_if(const struct cpu *cpu)
{
    return false;
}

static bool none_ignores_nmi_blocking(const struct cpu *cpu)
{
    return false;
}

static bool none_iret_unblocks_nmi(struct cpu *cpu)
{
    return true;
}

static __attribute__((noreturn)) void none_stage2_fault(struct cpu *cpu, const struct mmu_fault *f)
{
    assert_failed(__FILE__, __LINE__, "no second translation without VMX");
}

static void none_vmx(struct cpu *cpu, enum vmx_insn which)
{
    raise_ud(cpu);
}

static void none_reset(struct cpu *cpu)
{
}

const struct virt_ops virt_none = {
    .insn = none_insn,
    .io = none_io,
    .cr_read = none_cr_read,
    .cr_write = none_cr_write,
    .clts = none_clts,
    .lmsw = none_lmsw,
    .smsw = none_smsw,
    .msr_read = none_msr_read,
    .msr_write = none_msr_write,
    .cap_read = none_cap_read,
    .tsc = none_tsc,
    .exception = none_exception,
    .triple_fault = none_event,
    .task_switch = none_task_switch,
    .event = none_stage,
    .external_interrupt = none_event,
    .nmi = none_event,
    .init = none_event,
    .sipi = none_sipi,
    .ignores_if = none_ignores_if,
    .ignores_nmi_blocking = none_ignores_nmi_blocking,
    .iret_unblocks_nmi = none_iret_unblocks_nmi,
    .stage2_fault = none_stage2_fault,
    .vmx = none_vmx,
    .reset = none_reset,
};
