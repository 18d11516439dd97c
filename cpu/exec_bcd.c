/* Decimal arithmetic, outside 64-bit mode: DAA DAS AAA AAS AAM AAD.
 * [SDM 2A "AAA" to "AAS", "DAA", "DAS"] */
#include "cpu/exec.h"

enum { BCD_AL = 8 * RAX, BCD_AH = 8 * RAX + 1 };

/* SF, ZF, PF of AL, with CF and AF; OF (undefined) 0 */
static void bcd_flags(struct cpu *cpu, uint8_t al, bool cf, bool af)
{
    alu_logic(&cpu->flags, al, 1);
    cpu->flags.aux = (af ? AUX_AF : 0) | (cf ? AUX_CARRY | AUX_CARRY_IN_TOP : 0);
}

/* DAA and DAS: sign is 1 or -1 */
static void bcd_adjust_packed(struct cpu *cpu, int sign)
{
    uint8_t old = (uint8_t)cpu->r[RAX], al = old;
    bool old_cf = flags_cf(&cpu->flags), cf = false, af = false;

    if ((old & 15) > 9 || flags_af(&cpu->flags)) {
        al = (uint8_t)(old + sign * 6);
        cf = old_cf || (sign > 0 ? old > 0xff - 6 : old < 6);
        af = true;
    }
    if (old > 0x99 || old_cf) {
        al = (uint8_t)(al + sign * 0x60);
        cf = true;
    } else if (sign > 0) {
        cf = false; /* DAS keeps the borrow of the first step, DAA does not keep a carry */
    }
    reg_write(cpu, BCD_AL, al, 1);
    bcd_flags(cpu, al, cf, af);
}

EXEC_BODY(daa)
{
    bcd_adjust_packed(cpu, 1);
}
EXEC(daa)

EXEC_BODY(das)
{
    bcd_adjust_packed(cpu, -1);
}
EXEC(das)

/* AAA and AAS: AX moves by 106H (AL by 6, AH by the carry) and the upper digit of AL is cleared */
static void bcd_adjust_unpacked(struct cpu *cpu, int sign)
{
    uint16_t ax = (uint16_t)cpu->r[RAX];
    bool adjust = (ax & 15) > 9 || flags_af(&cpu->flags);

    if (adjust)
        ax = (uint16_t)(ax + sign * 0x106);
    ax &= 0xff0f;
    reg_write(cpu, RAX, ax, 2);
    bcd_flags(cpu, (uint8_t)ax, adjust, adjust);
}

EXEC_BODY(aaa)
{
    bcd_adjust_unpacked(cpu, 1);
}
EXEC(aaa)

EXEC_BODY(aas)
{
    bcd_adjust_unpacked(cpu, -1);
}
EXEC(aas)

EXEC_BODY(aam)
{
    uint8_t base = (uint8_t)in->imm, al = (uint8_t)cpu->r[RAX];

    if (base == 0)
        cpu_raise(cpu, DE);
    reg_write(cpu, BCD_AH, al / base, 1);
    reg_write(cpu, BCD_AL, al % base, 1);
    bcd_flags(cpu, al % base, false, false);
}
EXEC(aam)

EXEC_BODY(aad)
{
    uint64_t al = reg_read(cpu, BCD_AL, 1), ah = reg_read(cpu, BCD_AH, 1);

    al = (al + ah * (uint8_t)in->imm) & 0xff;
    reg_write(cpu, RAX, al, 2);
    bcd_flags(cpu, (uint8_t)al, false, false);
}
EXEC(aad)
