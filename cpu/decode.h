/* Bytes to struct insn: a walk through the opcode maps, and nothing else. */
#pragma once
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
