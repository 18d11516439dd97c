/* The encoder against Capstone: every function of cpu/jit/x64_asm.h, with all registers, sizes and
 * addressing forms, says what it was asked to say, in as many bytes as it wrote. */
#include <capstone/capstone.h>
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "cpu/jit/x64_asm.h"

static csh handle;
static cs_insn *insn;
static uint8_t room[0x10000];
static uint8_t *const buffer = room + sizeof room / 2; /* targets lie around it */
static struct x64_buf b;

/* ---- names ---- */

static const char *const names[4][16] = {
    { "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
      "r13b", "r14b", "r15b" },
    { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w",
      "r14w", "r15w" },
    { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
      "r13d", "r14d", "r15d" },
    { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
      "r13", "r14", "r15" },
};
static const char *const alu_names[8] = { "add", "or", "adc", "sbb", "and", "sub", "xor", "cmp" };

static void setup(void)
{
    ck_assert_int_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &handle), CS_ERR_OK);
    ck_assert_int_eq(cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON), CS_ERR_OK);
}

static void teardown(void)
{
    cs_close(&handle);
}

/* ---- expectations ---- */

static void begin(void)
{
    if (insn)
        cs_free(insn, 1);
    insn = NULL;
    memset(buffer, 0xcc, 64);
    b = (struct x64_buf){ buffer, 0 };
}

/* one instruction has been written, and it is this one */
static const cs_x86 *expect(const char *mnemonic, unsigned operands)
{
    size_t bytes = (size_t)(b.at - buffer);

    ck_assert_uint_eq(cs_disasm(handle, buffer, bytes, (uintptr_t)buffer, 1, &insn), 1);
    ck_assert_uint_eq(insn->size, bytes);
    ck_assert_str_eq(insn->mnemonic, mnemonic);
    ck_assert_uint_eq(insn->detail->x86.op_count, operands);
    return &insn->detail->x86;
}

static void expect_reg(unsigned n, unsigned size, unsigned reg)
{
    const cs_x86_op *op = &insn->detail->x86.operands[n];

    ck_assert_int_eq(op->type, X86_OP_REG);
    ck_assert_str_eq(cs_reg_name(handle, op->reg), names[size][reg]);
}

static void expect_part(unsigned capstone, unsigned reg)
{
    if (reg == N_NONE)
        ck_assert_msg(capstone == X86_REG_INVALID || capstone == X86_REG_RIZ,
                      "a register too many");
    else
        ck_assert_str_eq(cs_reg_name(handle, capstone), names[SZ_64][reg]);
}

static void expect_mem(unsigned n, unsigned bytes, struct x64_mem m)
{
    const cs_x86_op *op = &insn->detail->x86.operands[n];

    ck_assert_int_eq(op->type, X86_OP_MEM);
    ck_assert_uint_eq(op->size, bytes);
    expect_part(op->mem.base, m.base);
    expect_part(op->mem.index, m.index);
    if (m.index != N_NONE)
        ck_assert_int_eq(op->mem.scale, 1 << m.scale);
    ck_assert_int_eq(op->mem.disp, m.disp);
}

static void expect_imm(unsigned n, unsigned size, int64_t imm)
{
    const cs_x86_op *op = &insn->detail->x86.operands[n];
    uint64_t mask = size == SZ_64 ? UINT64_MAX : (UINT64_C(1) << (8 << size)) - 1;

    ck_assert_int_eq(op->type, X86_OP_IMM);
    ck_assert_uint_eq((uint64_t)op->imm & mask, (uint64_t)imm & mask);
}

static void expect_target(const uint8_t *to)
{
    ck_assert_int_eq(insn->detail->x86.operands[0].type, X86_OP_IMM);
    ck_assert_uint_eq((uint64_t)insn->detail->x86.operands[0].imm, (uintptr_t)to);
}

/* ---- shapes ---- */

static const int32_t displacements[] = { 0, 1, -1, 127, -128, 128, -129, 0x12345678, INT32_MIN };
static const int32_t immediates[] = {
    0, 1, -1, 127, -128, 128, -129, 0x7fff, 0x12345678, INT32_MIN
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* all memory operands: base and index, or neither; calls f(arg, operand) */
static void all_memory(void (*f)(unsigned arg, struct x64_mem m), unsigned arg)
{
    for (unsigned base = 0; base <= 16; base++) {
        for (unsigned index = 0; index <= 16; index++) {
            for (size_t d = 0; d < COUNT(displacements); d++) {
                struct x64_mem m = { (uint8_t)(base == 16 ? N_NONE : base),
                                     (uint8_t)(index == 16 ? N_NONE : index),
                                     (uint8_t)((base + index) & 3), displacements[d] };

                if (index != N_RSP)
                    f(arg, m);
            }
        }
    }
}

START_TEST(register_to_register)
{
    for (unsigned size = SZ_8; size <= SZ_64; size++) {
        for (unsigned reg = 0; reg < 16; reg++) {
            for (unsigned rm = 0; rm < 16; rm++) {
                begin();
                x64_mov_rr(&b, size, rm, reg);
                expect("mov", 2);
                expect_reg(0, size, rm);
                expect_reg(1, size, reg);
                for (unsigned alu = 0; alu < 8; alu++) {
                    begin();
                    x64_alu_rr(&b, alu, size, rm, reg);
                    expect(alu_names[alu], 2);
                    expect_reg(0, size, rm);
                    expect_reg(1, size, reg);
                }
            }
        }
    }
}
END_TEST

/* opcode maps, mandatory prefixes, byte operands beside larger ones */
START_TEST(opcodes_of_all_maps)
{
    for (unsigned reg = 0; reg < 16; reg++) {
        for (unsigned rm = 0; rm < 16; rm++) {
            begin();
            x64_rr(&b, 0xaf | OP_0F, SZ_64, reg, rm);
            expect("imul", 2);
            expect_reg(0, SZ_64, reg);
            expect_reg(1, SZ_64, rm);
            begin();
            x64_rr(&b, 0xb6 | OP_0F | OP_RM8, SZ_32, reg, rm);
            expect("movzx", 2);
            expect_reg(0, SZ_32, reg);
            expect_reg(1, SZ_8, rm);
            begin();
            x64_rr(&b, 0xb8 | OP_0F | OP_F3, SZ_64, reg, rm);
            expect("popcnt", 2);
            expect_reg(0, SZ_64, reg);
            expect_reg(1, SZ_64, rm);
            begin();
            x64_rr(&b, 0xb8 | OP_0F | OP_F3, SZ_16, reg, rm);
            expect("popcnt", 2);
            expect_reg(1, SZ_16, rm);
            begin();
            x64_rr(&b, 0xf1 | OP_0F38 | OP_F2, SZ_32, reg, rm);
            expect("crc32", 2);
            expect_reg(0, SZ_32, reg);
            expect_reg(1, SZ_32, rm);
            begin();
            x64_rr(&b, 0x0f | OP_0F3A | OP_66, SZ_32, reg, rm);
            x64_8(&b, 5);
            expect("palignr", 3);
            expect_imm(2, SZ_8, 5);
            begin();
            x64_rr(&b, 0x6e | OP_0F | OP_66, SZ_64, reg, rm);
            expect("movq", 2);
            expect_reg(1, SZ_64, rm);
        }
    }
}
END_TEST

START_TEST(extensions_and_byte_registers)
{
    static const char *const unary[8] = { NULL, NULL, "not", "neg", "mul", "imul", "div", "idiv" };

    for (unsigned size = SZ_8; size <= SZ_64; size++) {
        for (unsigned rm = 0; rm < 16; rm++) {
            for (unsigned x = 2; x < 8; x++) {
                begin();
                x64_rr(&b, size == SZ_8 ? 0xf6 : 0xf7, size, x, rm);
                expect(unary[x], 1);
                expect_reg(0, size, rm);
            }
        }
    }
    for (unsigned high = 0; high < 4; high++) {
        static const char *const high_names[4] = { "ah", "ch", "dh", "bh" };

        for (unsigned reg = 0; reg < 4; reg++) {
            const cs_x86 *x;

            begin();
            x64_rr(&b, 0x88, SZ_8, reg, N_HIGH(high));
            x = expect("mov", 2);
            ck_assert_str_eq(cs_reg_name(handle, x->operands[0].reg), high_names[high]);
            expect_reg(1, SZ_8, reg);
        }
    }
}
END_TEST

static void check_memory(unsigned size, struct x64_mem m)
{
    for (unsigned reg = 0; reg < 16; reg += 3) {
        begin();
        x64_load(&b, size, reg, m);
        expect("mov", 2);
        expect_reg(0, size, reg);
        expect_mem(1, 1u << size, m);
        begin();
        x64_store(&b, size, m, reg);
        expect("mov", 2);
        expect_mem(0, 1u << size, m);
        expect_reg(1, size, reg);
        if (size < SZ_32)
            continue;
        begin();
        x64_lea(&b, size, reg, m);
        expect("lea", 2);
        expect_reg(0, size, reg);
        expect_mem(1, 1u << size, m);
    }
}

START_TEST(memory_operands)
{
    all_memory(check_memory, (unsigned)_i);
}
END_TEST

static void check_memory_opcodes(unsigned arg, struct x64_mem m)
{
    begin();
    x64_rm(&b, 0xb7 | OP_0F, SZ_64, 9, m);
    expect("movzx", 2);
    expect_reg(0, SZ_64, 9);
    expect_mem(1, 2, m);
    begin();
    x64_rm(&b, 0x6f | OP_0F | OP_F3, SZ_32, 13, m);
    expect("movdqu", 2);
    expect_mem(1, 16, m);
    begin();
    x64_alu_mi(&b, ALU_CMP, SZ_8, m, -3);
    expect("cmp", 2);
    expect_mem(0, 1, m);
    expect_imm(1, SZ_8, -3);
}

START_TEST(memory_operands_of_other_opcodes)
{
    all_memory(check_memory_opcodes, 0);
}
END_TEST

START_TEST(alu_with_an_immediate)
{
    const struct x64_mem m = { N_R12, N_R9, 1, -8 };

    for (unsigned alu = 0; alu < 8; alu++) {
        for (unsigned size = SZ_8; size <= SZ_64; size++) {
            for (size_t i = 0; i < COUNT(immediates); i++) {
                int32_t imm = size == SZ_8    ? (int8_t)immediates[i]
                              : size == SZ_16 ? (int16_t)immediates[i]
                                              : immediates[i];

                for (unsigned reg = 0; reg < 16; reg++) {
                    begin();
                    x64_alu_ri(&b, alu, size, reg, imm);
                    expect(alu_names[alu], 2);
                    expect_reg(0, size, reg);
                    expect_imm(1, size, imm);
                }
                begin();
                x64_alu_mi(&b, alu, size, m, imm);
                expect(alu_names[alu], 2);
                expect_mem(0, 1u << size, m);
                expect_imm(1, size, imm);
            }
        }
    }
}
END_TEST

START_TEST(all_constants_in_all_registers)
{
    static const uint64_t values[] = { 0,
                                       1,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       UINT64_C(0x100000000),
                                       UINT64_C(0xffffffff80000000),
                                       UINT64_C(0xffffffff7fffffff),
                                       UINT64_C(0x123456789abcdef0),
                                       UINT64_MAX };

    for (unsigned reg = 0; reg < 16; reg++) {
        for (size_t i = 0; i < COUNT(values); i++) {
            const cs_x86 *x;

            begin();
            x64_mov_ri(&b, reg, values[i]);
            ck_assert_uint_eq(cs_disasm(handle, buffer, (size_t)(b.at - buffer), 0, 1, &insn), 1);
            ck_assert(strcmp(insn->mnemonic, "mov") == 0 || strcmp(insn->mnemonic, "movabs") == 0);
            ck_assert_uint_eq(insn->size, b.at - buffer);
            x = &insn->detail->x86;
            /* 32 bits clear the upper half */
            expect_reg(0, x->operands[0].size == 4 ? SZ_32 : SZ_64, reg);
            ck_assert_uint_eq(x->operands[0].size == 4 ? (uint32_t)x->operands[1].imm
                                                       : (uint64_t)x->operands[1].imm,
                              values[i]);
        }
    }
}
END_TEST

START_TEST(addresses_relative_to_rip)
{
    for (unsigned size = SZ_8; size <= SZ_64; size++) {
        for (unsigned reg = 0; reg < 16; reg++) {
            const cs_x86 *x;
            const uint8_t *target = buffer + 0x1234;

            begin();
            x64_rm_rip(&b, size == SZ_8 ? 0x3a : 0x3b, size, reg, target);
            x = expect("cmp", 2);
            expect_reg(0, size, reg);
            ck_assert_int_eq(x->operands[1].mem.base, X86_REG_RIP);
            ck_assert_uint_eq((uintptr_t)buffer + insn->size + (uint64_t)x->operands[1].mem.disp,
                              (uintptr_t)target);
        }
    }
}
END_TEST

static const char *const conditions[16] = { "jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja",
                                            "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg" };

START_TEST(jumps_go_where_they_run)
{
    for (int distance = -1000; distance <= 1000; distance += 250) {
        const uint8_t *to = buffer + distance;

        begin();
        x64_jmp(&b, to);
        expect("jmp", 1);
        expect_target(to);
        begin();
        x64_call(&b, to);
        expect("call", 1);
        expect_target(to);
        for (unsigned cc = 0; cc < 16; cc++) {
            begin();
            x64_jcc(&b, cc, to);
            expect(conditions[cc], 1);
            expect_target(to);
            x64_patch(b.at - 4, to + 77);
            cs_free(insn, 1);
            expect(conditions[cc], 1);
            expect_target(to + 77);
        }
    }
}
END_TEST

START_TEST(jumps_in_code_that_runs_elsewhere)
{
    const uint8_t *to = buffer + 0x5000; /* where it runs */

    begin();
    b.bias = 0x4000;
    ck_assert_ptr_eq(x64_here(&b), buffer + 0x4000);
    x64_jmp(&b, to);
    expect("jmp", 1);
    expect_target(to - 0x4000); /* Capstone sees where it is written */
}
END_TEST

START_TEST(short_jumps_land)
{
    for (unsigned cc = 0; cc < 16; cc++) {
        for (unsigned between = 0; between <= 40; between += 20) {
            uint8_t *from;

            begin();
            from = x64_jcc_short(&b, cc);
            for (unsigned i = 0; i < between; i++)
                x64_8(&b, 0x90);
            x64_land(&b, from);
            ck_assert_uint_eq(cs_disasm(handle, buffer, 2, (uintptr_t)buffer, 1, &insn), 1);
            ck_assert_str_eq(insn->mnemonic, conditions[cc]);
            expect_target(buffer + 2 + between);
        }
    }
}
END_TEST

START_TEST(constants_are_little_endian)
{
    static const uint8_t expected[15] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
                                          0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };

    begin();
    x64_8(&b, 0xffff11);
    x64_16(&b, 0xff3322);
    x64_32(&b, UINT64_C(0xff77665544));
    x64_64(&b, UINT64_C(0xffeeddccbbaa9988));
    ck_assert_mem_eq(buffer, expected, sizeof expected);
    ck_assert_ptr_eq(b.at, buffer + sizeof expected);
}
END_TEST

Suite *suite_jit_x64_asm(void)
{
    Suite *s = suite_create("jit/x64_asm");
    TCase *t = tcase_create("encoder");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, register_to_register);
    tcase_add_test(t, opcodes_of_all_maps);
    tcase_add_test(t, extensions_and_byte_registers);
    tcase_add_loop_test(t, memory_operands, SZ_8, SZ_64 + 1);
    tcase_add_test(t, memory_operands_of_other_opcodes);
    tcase_add_test(t, alu_with_an_immediate);
    tcase_add_test(t, all_constants_in_all_registers);
    tcase_add_test(t, addresses_relative_to_rip);
    tcase_add_test(t, jumps_go_where_they_run);
    tcase_add_test(t, jumps_in_code_that_runs_elsewhere);
    tcase_add_test(t, short_jumps_land);
    tcase_add_test(t, constants_are_little_endian);
    suite_add_tcase(s, t);
    return s;
}
