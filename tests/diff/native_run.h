/* One instruction on the processor under us, in user mode: all general registers (RSP too), the
 * flags and, on request, the x87 and SSE state are loaded, the instruction runs, and everything is
 * stored. x86-64 Linux only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fixed low addresses, so that both sides use the same ones and 32-bit displacements reach them. */
enum {
    NATIVE_DATA = 0x10000000, /* what instructions access; nothing else is near */
    NATIVE_DATA_SIZE = 3 * 4096,
    NATIVE_CODE = 0x20000000,
    NATIVE_STATE = 0x30000000,
    NATIVE_INSN = NATIVE_CODE + 0x800,  /* where the instruction is ... */
    NATIVE_TAKEN = NATIVE_CODE + 0x840, /* ... and where its branch must go */
    NATIVE_NO_FAULT = -1,
};

/* FXSAVE's image [SDM 1 "FXSAVE Area"] */
struct fx_image {
    uint16_t control, status;
    uint8_t tag, zero;
    uint16_t opcode;
    uint64_t ip, dp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16];
    uint8_t xmm[16][16];
    uint8_t rest[96];
} __attribute__((aligned(16)));

struct native_regs {
    struct fx_image fx;
    uint64_t r[16];
    uint64_t rflags;
    uint64_t rip; /* out only */
};

struct native;

/* NULL if the fixed addresses are taken */
struct native *native_create(void);
void native_destroy(struct native *n);
/* the data area */
uint8_t *native_data(struct native *n);

/* Runs `count` bytes; *out is what they leave behind, also when they fault. Returns the vector of
 * the exception or NATIVE_NO_FAULT. With use_fx = false, fx is neither loaded nor stored. */
int native_run(struct native *n, const uint8_t *bytes, size_t count, bool use_fx,
               const struct native_regs *in, struct native_regs *out);
