/* The rows of the instruction table, expanded. */
#include "cpu/insn.h"

#include "base/assert.h"
#include "cpu/exec.h"

/* the undefined opcode */
EXEC_BODY(invalid)
{
    raise_ud(cpu);
}
EXEC(invalid)

#define INSN(id, mnemonic, map, slot, a, b, c, w, u, r, feature, traits, cost, exec, code, text) \
    extern const struct exec_set exec_set_##exec;
#define INSN8 INSN
#define GROUP(...)
#define PGROUP(...)
#include "cpu/insn_all.def"

#define INSN(id, mnemonic_, map_, slot_, a, b, c, w, u, r, feature_, traits_, cost_, exec_, code_, \
             text_)                                                                                \
    [INSN_##id] = { .mnemonic = mnemonic_,                                                         \
                    .exec = &exec_set_##exec_,                                                     \
                    .op = { OP_##a, OP_##b, OP_##c },                                              \
                    .cost = cost_,                                                                 \
                    .writes = FL_##w,                                                              \
                    .undefined = FL_##u,                                                           \
                    .reads = FL_##r,                                                               \
                    .feature = FEAT_##feature_,                                                    \
                    .traits = traits_,                                                             \
                    .map = map_,                                                                   \
                    .slot = slot_,                                                                 \
                    .length = sizeof code_ - 1,                                                    \
                    .code = code_,                                                                 \
                    .text = text_ },
#define INSN8 INSN
#define GROUP(...)
#define PGROUP(...)
const struct insn_row insn_rows[INSN_COUNT] = {
    [INSN_INVALID] = { .mnemonic = "(invalid)",
                       .exec = &exec_set_invalid,
                       .traits = T_END,
                       .cost = 1,
                       .code = "",
                       .text = "" },
#include "cpu/insn_all.def"
};

#define INSN(id, ...) [INSN_##id] = #id,
#define INSN8 INSN
#define GROUP(...)
#define PGROUP(...)
const char *const insn_names[INSN_COUNT] = {
    [INSN_INVALID] = "INVALID",
#include "cpu/insn_all.def"
};
