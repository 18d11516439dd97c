/* What Capstone 4 gets wrong and what nidus does not have: the rules of decoder_vs_capstone.c. Each
 * is as narrow as the fact it states. That Capstone is the one to blame has been checked against
 * the SDM's opcode map, and with a processor where one could execute the bytes. */
#pragma once
#include <capstone/capstone.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cpu/insn.h"

/* The bytes as the rules see them. */
struct view {
    const uint8_t *bytes;
    unsigned bits;
    unsigned prefix_count;
    bool has_66, has_67, has_lock;
    uint8_t rep;  /* the last of F2H and F3H, or 0 */
    uint8_t rex;  /* counts: right before the opcode */
    unsigned map; /* 1, 0F, 0F38, 0F3A */
    uint8_t op, modrm;
    unsigned ours_length; /* 0: invalid */
    unsigned theirs_length;
    const struct insn *in;
    const cs_insn *cs;     /* NULL: invalid there */
    unsigned usual_length; /* Capstone's, of the same with its prefixes in the usual order */
    unsigned usual_id;
    unsigned id_without_prefix; /* Capstone's X86_INS_*, without 66H, F2H and F3H */
};

/* ---- Capstone decodes it, we do not ---- */

/* extensions that nidus does not have, by Capstone's groups */
static inline bool rule_absent_extension(const struct view *v)
{
    static const uint8_t absent[] = { X86_GRP_3DNOW, X86_GRP_AES,    X86_GRP_ADX,   X86_GRP_AVX,
                                      X86_GRP_AVX2,  X86_GRP_AVX512, X86_GRP_BMI,   X86_GRP_BMI2,
                                      X86_GRP_F16C,  X86_GRP_FMA,    X86_GRP_FMA4,  X86_GRP_HLE,
                                      X86_GRP_RTM,   X86_GRP_SHA,    X86_GRP_SSE4A, X86_GRP_PCLMUL,
                                      X86_GRP_XOP,   X86_GRP_CDI,    X86_GRP_ERI,   X86_GRP_TBM,
                                      X86_GRP_SGX,   X86_GRP_DQI,    X86_GRP_BWI,   X86_GRP_PFI,
                                      X86_GRP_VLX };

    for (unsigned g = 0; g < v->cs->detail->groups_count; g++) {
        for (size_t i = 0; i < sizeof absent; i++) {
            if (v->cs->detail->groups[g] == absent[i])
                return true;
        }
    }
    return false;
}

/* the same where Capstone gives no group; RSM is #UD outside SMM; AMD's and VIA's own */
static inline bool rule_absent_instruction(const struct view *v)
{
    static const char *const absent[] = {
        "femms",     "getsec",    "rsm",       "pswapd",    "skinit",  "stgi",     "clgi",
        "vmrun",     "vmload",    "vmsave",    "vmmcall",   "invlpga", "monitorx", "mwaitx",
        "clzero",    "rdpru",     "montmul",   "xsha1",     "xsha256", "xstore",   "xcryptecb",
        "xcryptcbc", "xcryptctr", "xcryptcfb", "xcryptofb", "lzcnt",   "tzcnt",    "pcommit",
        "clwb",      "rdpkru",    "wrpkru",    "insertq",   "extrq",   "getbv",    "rep montmul",
        "xtest",     "xend",      "xabort",    "xbegin",    "salc",    "ptwrite",  "incsspd",
        "incsspq",   "encls",     "enclu"
    };
    const char *name = v->cs->mnemonic;

    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        const char *at = strstr(name, absent[i]);

        if (at && (at == name || at[-1] == ' '))
            return true;
    }
    return false;
}

/* VEX, EVEX, XOP where LES, LDS, BOUND or POP would have no register form */
static inline bool rule_vex(const struct view *v)
{
    bool first = v->map == 1 && (v->bits == 64 || v->modrm >= 0xc0);

    return (first && (v->op == 0xc4 || v->op == 0xc5 || v->op == 0x62)) ||
           (v->map == 1 && v->op == 0x8f && v->modrm >> 3 & 7);
}

/* [SDM 2A "LOCK - Assert LOCK# Signal Prefix"] Capstone takes LOCK before anything */
static inline bool rule_lock(const struct view *v)
{
    return v->has_lock;
}

/* a mandatory prefix that makes the opcode undefined, which Capstone overlooks: the same bytes
 * without it are the same instruction for it */
static inline bool rule_overlooked_prefix(const struct view *v)
{
    return v->map != 1 && v->id_without_prefix == v->cs->id;
}

/* F2H and F3H win over 66H wherever they stand; Capstone lets the last one win */
static inline bool rule_66_beside_rep(const struct view *v)
{
    return v->map != 1 && v->has_66 && v->rep &&
           (v->usual_length == 0 || v->usual_id == v->id_without_prefix ||
            v->usual_id == X86_INS_MOVNTSD || v->usual_id == X86_INS_MOVNTSS /* AMD's */);
}

/* with REX.W, Capstone takes 67H for 66H */
static inline bool rule_67_rexw(const struct view *v)
{
    return v->map != 1 && v->has_67 && v->rex & 8 && v->usual_id != v->cs->id;
}

/* ---- we decode it, Capstone does not, or lengths differ ---- */

/* [SDM 2B "NOP - No Operation"], [SDM 2D "Opcode Map"] hints and reserved NOPs with any ModRM;
 * prefixes mean nothing to them */
static inline bool rule_reserved_nop(const struct view *v)
{
    return v->map == 0x0f && (v->op == 0x0d || (v->op >= 0x18 && v->op <= 0x1f));
}

/* [SDM 2B "UD - Undefined Instruction"] UD0 and UD1 have a ModRM byte */
static inline bool rule_ud(const struct view *v)
{
    return v->map == 0x0f && (v->op == 0xff || v->op == 0xb9);
}

/* [SDM 2A "JMP - Jump"] near branches ignore 66H in 64-bit mode; AMD's shorten the displacement */
static inline bool rule_branch_66(const struct view *v)
{
    bool near = (v->map == 0x0f && (v->op & 0xf0) == 0x80) ||
                (v->map == 1 && (v->op == 0xe8 || v->op == 0xe9));

    return v->bits == 64 && v->has_66 && near;
}

/* the same prefixes in the usual order: 67H, 66H, F2H or F3H, REX, each once; in 32 instead of 16
 * bits. Capstone overlooks a mandatory prefix that is not the last one, and all of them in 16-bit
 * code; and 66H beside F2H or F3H. */
static inline bool rule_agrees_on_usual_spelling(const struct view *v)
{
    return v->usual_length != 0 && v->usual_length == v->ours_length;
}

/* [SDM 2A "LFENCE - Load Fence"] fences ignore ModRM.rm */
static inline bool rule_fence_rm(const struct view *v)
{
    return v->map == 0x0f && v->op == 0xae && v->modrm >= 0xe8 && !v->rep && !v->has_66;
}

/* REX.W, or 66H and REX.W, before near calls and returns: Capstone takes an immediate of the wrong
 * size */
static inline bool rule_near_rex(const struct view *v)
{
    return v->bits == 64 && v->map == 1 && v->rex & 8 &&
           (v->op == 0xc2 || v->op == 0xe8 || v->op == 0xe9 || v->op == 0x68);
}

/* REX.R and REX.W before MOV with a segment register: Capstone makes the number 8 to 15 */
static inline bool rule_segment_register_rex(const struct view *v)
{
    return v->bits == 64 && v->map == 1 && (v->op == 0x8c || v->op == 0x8e) && v->rex;
}

static inline bool rule_explains(const struct view *v)
{
    static bool (*const they_only[])(const struct view *v) = {
        rule_absent_extension,  rule_absent_instruction, rule_vex,    rule_lock,
        rule_overlooked_prefix, rule_66_beside_rep,      rule_67_rexw
    };
    static bool (*const we_too[])(const struct view *v) = {
        rule_reserved_nop,         rule_ud,       rule_branch_66, rule_agrees_on_usual_spelling,
        rule_segment_register_rex, rule_fence_rm, rule_near_rex
    };

    for (size_t i = 0; !v->ours_length && i < sizeof they_only / sizeof they_only[0]; i++) {
        if (they_only[i](v))
            return true;
    }
    for (size_t i = 0; v->ours_length && i < sizeof we_too / sizeof we_too[0]; i++) {
        if (we_too[i](v))
            return true;
    }
    return false;
}
