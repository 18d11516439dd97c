/* A task-state segment, because VMX demands a host that has one, and an interrupt-descriptor table,
 * so that a mistake of ours is told and not a triple fault. [SDM 3A "Interrupt 64-Bit Mode Stack
 * Frame", "Task Management in 64-bit Mode"] */
#include "roms/hello_vmx/print.h"
#include "roms/hello_vmx/vmx.h"

enum { EXCEPTIONS = 32, ENTRY_BYTES = 16, INTERRUPT_GATE = 0x8e, TSS_AVAILABLE = 0x89 };
enum { CODE_SELECTOR = 0x08, TSS_SELECTOR = 0x18, TSS_BYTES = 104 };

struct gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_middle;
    uint32_t offset_high, zero;
};

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* what start.S and the processor push */
struct exception {
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern const char exception_entries[];
void exception_report(const struct exception *e);

static uint8_t tables_task[TSS_BYTES];
static struct gate tables_gates[EXCEPTIONS];

uint64_t tables_tss(void)
{
    return address_of(tables_task);
}

uint64_t tables_idt(void)
{
    return address_of(tables_gates);
}

void exception_report(const struct exception *e)
{
    FAIL("exception %lu, error code 0x%lx, at RIP 0x%lx of the hypervisor", e->vector, e->error,
         e->rip);
}

void tables_load(void)
{
    struct table_pointer idt = { sizeof tables_gates - 1, tables_idt() };
    uint64_t tss = tables_tss();

    for (unsigned i = 0; i < EXCEPTIONS; i++) {
        uint64_t at = address_of(exception_entries + ENTRY_BYTES * i);

        tables_gates[i] = (struct gate){ .offset_low = (uint16_t)at,
                                         .selector = CODE_SELECTOR,
                                         .type = INTERRUPT_GATE,
                                         .offset_middle = (uint16_t)(at >> 16) };
    }
    __asm__ volatile("lidt %0" : : "m"(idt), "m"(tables_gates));
    gdt[3] = (TSS_BYTES - 1) | (tss & 0xffffff) << 16 | BIT(40) * TSS_AVAILABLE |
             (tss >> 24 & 0xff) << 56;
    gdt[4] = tss >> 32;
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR) : "memory");
}
