/* Instructions that C has no words for. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define BIT(n) (UINT64_C(1) << (n))

enum { CR4_VMXE = 1 << 13 };

/* model-specific registers [SDM 4 "Architectural MSRs"] */
enum {
    IA32_FEATURE_CONTROL = 0x3a,
    IA32_VMX_BASIC = 0x480,
    IA32_VMX_PIN_CTLS = 0x481, /* and three more groups; the TRUE_* ones stand TRUE_CTLS higher */
    IA32_VMX_PROC_CTLS = 0x482,
    IA32_VMX_EXIT_CTLS = 0x483,
    IA32_VMX_ENTRY_CTLS = 0x484,
    IA32_VMX_MISC = 0x485,
    IA32_VMX_CR0_FIXED0 = 0x486,
    IA32_VMX_CR0_FIXED1 = 0x487,
    IA32_VMX_CR4_FIXED0 = 0x488,
    IA32_VMX_CR4_FIXED1 = 0x489,
    IA32_VMX_PROC2_CTLS = 0x48b,
    IA32_VMX_EPT_VPID_CAP = 0x48c,
    TRUE_CTLS = 0x48d - IA32_VMX_PIN_CTLS,
};

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline void cpuid(uint32_t leaf, uint32_t out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(0));
}

#define CONTROL_REGISTER(n)                                            \
    static inline uint64_t read_cr##n(void)                            \
    {                                                                  \
        uint64_t value;                                                \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value));          \
        return value;                                                  \
    }                                                                  \
    static inline void write_cr##n(uint64_t value)                     \
    {                                                                  \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(value) : "memory"); \
    }
CONTROL_REGISTER(0)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)

/* VMX instructions answer in the flags: CF = 1 is VMfailInvalid, ZF = 1 VMfailValid.
 * [SDM 3C "Conventions"] */
enum vm_result { VM_SUCCEED, VM_FAIL_INVALID, VM_FAIL_VALID };

#define VMX_REGION_INSTRUCTION(name)                                                               \
    static inline enum vm_result name(uint64_t region)                                             \
    {                                                                                              \
        bool invalid, valid;                                                                       \
        __asm__ volatile(#name " %2" : "=@ccc"(invalid), "=@ccz"(valid) : "m"(region) : "memory"); \
        return invalid ? VM_FAIL_INVALID : valid ? VM_FAIL_VALID : VM_SUCCEED;                     \
    }
VMX_REGION_INSTRUCTION(vmxon)
VMX_REGION_INSTRUCTION(vmclear)
VMX_REGION_INSTRUCTION(vmptrld)

static inline void vmxoff(void)
{
    __asm__ volatile("vmxoff" : : : "cc", "memory");
}
