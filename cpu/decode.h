/* Bytes to struct insn: a walk through the opcode maps, and nothing else. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "cpu/insn.h"

enum decode_result {
    DECODE_OK,      /* also for an invalid opcode: in->id is INSN_INVALID and it raises #UD */
    DECODE_SHORT,   /* more bytes are needed than given */
    DECODE_TOO_LONG /* over 15 bytes: #GP(0) */
};

/**
 * decode - decode one instruction.
 * @in       filled; in->start must be set before by the caller (0 for a single instruction)
 * @bytes    up to 15 bytes
 * @key      KEY_CODE16, KEY_CODE32 or KEY_CODE64, with KEY_REAL
 * @features of the processor; a row whose feature is missing does not exist
 * On DECODE_SHORT, in is undefined.
 */
enum decode_result decode(struct insn *in, const uint8_t *bytes, size_t count, uint32_t key,
                          const uint64_t *features);

/* Where the bytes of an instruction are that are its values: the last ones, behind all that decides
 * what it is. */
struct decode_value {
    uint8_t at, bytes;
    bool is_signed;
};
struct decode_layout {
    struct decode_value disp, imm;
    bool relative;  /* the immediate is a branch's */
    bool irregular; /* there is more */
};
/* the same, and *layout, if DECODE_OK */
enum decode_result decode_layout(struct insn *in, const uint8_t *bytes, size_t count, uint32_t key,
                                 const uint64_t *features, struct decode_layout *layout);

/* ---- remembered instructions (decode_memo.c) ---- */

/* What was decoded lately in 64-bit mode, for one set of features: an instruction that differs from
 * one of these only in its values is not decoded anew. */
struct decode_memo *decode_memo_create(const uint64_t *features);
/* as decode(); count: of all bytes that may be read, 15 or more */
enum decode_result decode_again(struct decode_memo *m, struct insn *in, const uint8_t *bytes,
                                size_t count, uint32_t key);
