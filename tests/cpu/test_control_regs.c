/* MOV to control registers and EFER: what is refused, what changes; system calls, CLI and STI. */
#include "cpu/control_regs.h"
#include "cpu/msr.h"
#include "tests/cpu/system_lab.h"

/* MOV CRn, RAX (0F 22) in 64-bit mode at CPL 0: ModRM C0H, D8H, E0H for CR0, CR3, CR4 */
enum { TO_CR0 = 0xc0, TO_CR2 = 0xd0, TO_CR3 = 0xd8, TO_CR4 = 0xe0 };

/* clang-format off */
static const struct {
    uint8_t modrm;
    uint64_t value;
    bool allowed;
} writes[] = {
    {TO_CR0, 0x80010031, true},
    {TO_CR0, 0x80010021, true},             /* ET stays 1 */
    {TO_CR0, 0x80010030, false},            /* PG without PE */
    {TO_CR0, 0xa0010031, false},            /* NW without CD */
    {TO_CR0, 0xc0010031, true},
    {TO_CR0, 0x180010031, false},           /* a reserved bit above 31 */
    {TO_CR0, 0x00010031, false},            /* PG off in 64-bit mode */
    {TO_CR0, 0x90010031, true},             /* reserved below 32: ignored */
    {TO_CR3, 0x1000, true},
    {TO_CR3, 0x1018, true},                 /* PWT, PCD */
    {TO_CR3, UINT64_C(1) << 46, false},     /* above MAXPHYADDR */
    {TO_CR3, UINT64_C(1) << 63 | 0x1000, false}, /* without PCIDE */
    {TO_CR4, 0x6a0, true},
    {TO_CR4, 0x680, false},                 /* PAE off in IA-32e mode */
    {TO_CR4, 0x6a0 | 1 << 12, false},       /* LA57: not there */
    {TO_CR4, 0x6a0 | 1 << 17, true},        /* PCIDE, CR3[11:0] is 0 */
    {TO_CR4, 0x6a0 | UINT64_C(1) << 40, false},
    {TO_CR2, UINT64_C(0x123456789abcdef0), true},
};
/* clang-format on */

START_TEST(mov_to_a_control_register_is_checked)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->r[RAX] = writes[_i].value;
    sys_run(lab, 0x0f, 0x22, writes[_i].modrm);
    ck_assert_int_eq(sys_handler(lab), writes[_i].allowed ? -1 : 13);
    if (!writes[_i].allowed)
        ck_assert_uint_eq(sys_frame(lab, 0), 0);
    lab_free(lab);
}
END_TEST

START_TEST(control_registers_that_do_not_exist_raise_ud)
{
    static const uint8_t modrm[] = { 0xc8 /* CR1 */, 0xe8 /* CR5 */, 0xf0, 0xf8 };

    for (unsigned i = 0; i < sizeof modrm; i++) {
        struct insn_lab *lab = sys_new(SYS_64);

        sys_run(lab, 0x0f, 0x20, modrm[i]);
        ck_assert_int_eq(sys_handler(lab), 6);
        lab_free(lab);
    }
}
END_TEST

START_TEST(mod_of_mov_cr_is_ignored)
{
    struct insn_lab *lab = sys_new(SYS_64);

    sys_run(lab, 0x0f, 0x20, 0x03); /* mod 0: still MOV RBX, CR0 */
    ck_assert_uint_eq(lab->cpu->r[RBX], lab->cpu->cr0);
    ck_assert_uint_eq(lab->cpu->rip, LAB_CODE + 4);
    lab_free(lab);
}
END_TEST

START_TEST(mov_cr_at_cpl_3_raises_gp)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);

    sys_run(lab, 0x0f, 0x20, 0xc0);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(setting_pg_with_lme_activates_ia32e_mode)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->cr4 |= CR4_PAE;
    lab->cpu->cr3 = LAB_TABLES;
    lab->cpu->efer = EFER_LME;
    lab->cpu->r[RAX] = 0x80000031;
    /* MOV CR0, EAX; JMP 28H:SYS_INNER */
    sys_run(lab, 0x0f, 0x22, 0xc0, 0xea, 0x00, 0x80, 0x02, 0x00, CODE64, 0x00);
    ck_assert_uint_eq(lab->cpu->efer, EFER_LME | EFER_LMA);
    ck_assert_uint_eq(lab->cpu->rip, SYS_INNER + 1);
    ck_assert(cpu_64bit(lab->cpu));
    lab_free(lab);
}
END_TEST

START_TEST(ia32e_mode_without_pae_is_refused)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->efer = EFER_LME;
    lab->cpu->r[RAX] = 0x80000031;
    sys_run(lab, 0x0f, 0x22, 0xc0);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(lab->cpu->cr0 & CR0_PG, 0);
    lab_free(lab);
}
END_TEST

START_TEST(pae_paging_refuses_a_pdpte_with_a_reserved_bit)
{
    struct insn_lab *lab = sys_new(SYS_32);

    bus_write(lab->bus, 0x50000, 0x51001, 8);
    bus_write(lab->bus, 0x50008, 0x51003, 8); /* bit 1 is reserved */
    lab->cpu->cr4 |= CR4_PAE;
    lab->cpu->cr3 = 0x50000;
    lab->cpu->r[RAX] = 0x80000031;
    sys_run(lab, 0x0f, 0x22, 0xc0);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(fixed_bits_of_vmx_operation_cannot_be_cleared)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->cr4_fixed_1 = CR4_VMXE;
    lab->cpu->cr4 |= CR4_VMXE;
    lab->cpu->r[RAX] = 0x6a0;
    sys_run(lab, 0x0f, 0x22, 0xe0);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(lmsw_sets_pe_but_does_not_clear_it)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->r[RAX] = 0xe;
    sys_run(lab, 0x0f, 0x01, 0xf0);
    ck_assert_uint_eq(lab->cpu->cr0 & 0xf, 0xf);
    lab->cpu->activity = ACTIVE;
    lab->cpu->r[RAX] = 0;
    sys_run(lab, 0x0f, 0x01, 0xf0);
    ck_assert_uint_eq(lab->cpu->cr0 & 0xf, 1);
    lab_free(lab);
}
END_TEST

START_TEST(mov_to_cr8_refuses_more_than_15)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->r[RAX] = 16;
    sys_run(lab, 0x44, 0x0f, 0x22, 0xc0);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(efer_refuses_reserved_bits_and_lme_while_paging)
{
    struct insn_lab *lab = sys_new(SYS_64);

    ck_assert(!efer_write(lab->cpu, EFER_LME | BIT(1)));
    ck_assert(!efer_write(lab->cpu, EFER_SCE));
    ck_assert(efer_write(lab->cpu, EFER_LME | EFER_SCE)); /* LMA is not writable: it stays */
    ck_assert_uint_eq(lab->cpu->efer, EFER_LME | EFER_LMA | EFER_SCE);
    lab_free(lab);
}
END_TEST

START_TEST(xcr0_needs_the_x87_bit)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->cr4 |= CR4_OSXSAVE;
    lab->cpu->r[RAX] = 3;
    sys_run(lab, 0x0f, 0x01, 0xd1);
    ck_assert_uint_eq(lab->cpu->xcr0, 3);
    lab->cpu->activity = ACTIVE;
    lab->cpu->r[RAX] = 2;
    sys_run(lab, 0x0f, 0x01, 0xd1);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(xsetbv_without_osxsave_raises_ud)
{
    struct insn_lab *lab = sys_new(SYS_64);

    sys_run(lab, 0x0f, 0x01, 0xd1);
    ck_assert_int_eq(sys_handler(lab), 6);
    lab_free(lab);
}
END_TEST

/* ---- SYSCALL, SYSRET, SYSENTER ---- */

START_TEST(syscall_saves_rip_and_rflags_and_sysret_brings_them_back)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);
    static const uint8_t handler[] = { 0x48, 0x0f, 0x07 }; /* SYSRETQ */

    lab->cpu->efer |= EFER_SCE;
    lab->cpu->msr.star = UINT64_C(0x10) << 32 | UINT64_C(0x73) << 48;
    lab->cpu->msr.lstar = SYS_INNER;
    lab->cpu->msr.fmask = RFLAGS_IF;
    lab->cpu->rflags |= RFLAGS_IF;
    bus_write_bytes(lab->bus, SYS_INNER, handler, sizeof handler);
    sys_run(lab, 0x0f, 0x05, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(lab->cpu->r[RCX], LAB_CODE + 2);
    ck_assert_uint_eq(lab->cpu->r[R11] & RFLAGS_IF, RFLAGS_IF);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 2);
    ck_assert_uint_eq(sys_frame(lab, 1), 0x83); /* STAR[63:48] + 16, RPL 3 */
    ck_assert_uint_eq(sys_frame(lab, 4), 0x7b); /* STAR[63:48] + 8 */
    ck_assert_uint_eq(sys_frame(lab, 2) & RFLAGS_IF, RFLAGS_IF);
    lab_free(lab);
}
END_TEST

START_TEST(syscall_without_sce_raises_ud)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);

    sys_run(lab, 0x0f, 0x05);
    ck_assert_int_eq(sys_handler(lab), 6);
    lab_free(lab);
}
END_TEST

START_TEST(sysenter_goes_to_ring_0_and_sysexit_back)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);
    static const uint8_t handler[] = { 0x0f, 0x35 }; /* SYSEXIT */

    lab->cpu->msr.sysenter_cs = CODE32;
    lab->cpu->msr.sysenter_eip = SYS_INNER;
    lab->cpu->msr.sysenter_esp = SYS_STACK0;
    lab->cpu->r[RCX] = SYS_STACK3;
    lab->cpu->r[RDX] = LAB_CODE + 2;
    bus_write_bytes(lab->bus, SYS_INNER, handler, sizeof handler);
    sys_run(lab, 0x0f, 0x34, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(sys_frame(lab, 1), CODE32_USER); /* SYSENTER_CS + 16, RPL 3 */
    ck_assert_uint_eq(sys_frame(lab, 4), DATA32_USER);
    lab_free(lab);
}
END_TEST

/* ---- IF and VIF ---- */

/* clang-format off */
static const struct {
    enum sys_mode mode;
    unsigned iopl;
    uint64_t cr4, before, after; /* RFLAGS.IF, VIF, VIP around STI */
    bool refused;
} sti_rows[] = {
    {SYS_32, 0, 0, 0, RFLAGS_IF, false},
    {SYS_32_USER, 0, 0, 0, 0, true},
    {SYS_32_USER, 3, 0, 0, RFLAGS_IF, false},
    {SYS_32_USER, 0, CR4_PVI, 0, RFLAGS_VIF, false},
    {SYS_32_USER, 0, CR4_PVI, RFLAGS_VIP, RFLAGS_VIP, true},
    {SYS_VM86, 0, 0, 0, 0, true},
    {SYS_VM86, 3, 0, 0, RFLAGS_IF, false},
    {SYS_VM86, 0, CR4_VME, 0, RFLAGS_VIF, false},
};
/* clang-format on */

START_TEST(sti_acts_on_if_or_vif_by_iopl_and_mode)
{
    struct insn_lab *lab = sys_new(sti_rows[_i].mode);
    struct cpu *cpu = lab->cpu;
    int fault;

    cpu->cr4 |= sti_rows[_i].cr4;
    cpu->rflags |= (uint64_t)sti_rows[_i].iopl << 12 | sti_rows[_i].before;
    fault = lab_exec(lab, 0xfb);
    ck_assert_int_eq(fault, sti_rows[_i].refused ? 13 : LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->rflags & (RFLAGS_IF | RFLAGS_VIF | RFLAGS_VIP), sti_rows[_i].after);
    ck_assert_uint_eq(cpu->blocking, sti_rows[_i].after == RFLAGS_IF ? BLOCK_STI : 0);
    lab_free(lab);
}
END_TEST

START_TEST(reset_state_is_that_of_the_manual)
{
    struct insn_lab *lab = lab_new(LAB_REAL);
    struct cpu *cpu = lab->cpu;

    cpu_reset(cpu);
    ck_assert_uint_eq(cpu_rflags(cpu), 2);
    ck_assert_uint_eq(cpu->rip, 0xfff0);
    ck_assert_uint_eq(cpu->cr0, 0x60000010);
    ck_assert_uint_eq(cpu->seg[SEG_CS].selector, 0xf000);
    ck_assert_uint_eq(cpu->seg[SEG_CS].base, 0xffff0000);
    ck_assert_uint_eq(cpu->dr[6], 0xffff0ff0);
    ck_assert_uint_eq(cpu->dr[7], 0x400);
    ck_assert_uint_eq(cpu->idtr.limit, 0xffff);
    ck_assert_uint_eq(cpu->fpu.control, 0x40);
    ck_assert_uint_eq(cpu->fpu.mxcsr, 0x1f80);
    ck_assert_uint_eq(cpu->msr.pat, UINT64_C(0x0007040600070406));
    lab_free(lab);
}
END_TEST

START_TEST(init_keeps_cache_control_msrs_and_x87)
{
    struct insn_lab *lab = sys_new(SYS_64);
    struct cpu *cpu = lab->cpu;

    cpu->msr.lstar = 0x1234;
    cpu->fpu.control = 0x37f;
    cpu->cr0 |= CR0_CD;
    cpu_init_signal(cpu);
    ck_assert_uint_eq(cpu->cr0, 0x40000010);
    ck_assert_uint_eq(cpu->msr.lstar, 0x1234);
    ck_assert_uint_eq(cpu->fpu.control, 0x37f);
    ck_assert_uint_eq(cpu->efer, 0);
    ck_assert(cpu_real(cpu));
    cpu_startup(cpu, 0x9f);
    ck_assert_uint_eq(cpu->seg[SEG_CS].base, 0x9f000);
    ck_assert_uint_eq(cpu->rip, 0);
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_control_regs(void)
{
    Suite *s = suite_create("cpu/control_regs");
    TCase *t = tcase_create("control registers");

    tcase_add_loop_test(t, mov_to_a_control_register_is_checked, 0,
                        sizeof writes / sizeof writes[0]);
    tcase_add_test(t, control_registers_that_do_not_exist_raise_ud);
    tcase_add_test(t, mod_of_mov_cr_is_ignored);
    tcase_add_test(t, mov_cr_at_cpl_3_raises_gp);
    tcase_add_test(t, setting_pg_with_lme_activates_ia32e_mode);
    tcase_add_test(t, ia32e_mode_without_pae_is_refused);
    tcase_add_test(t, pae_paging_refuses_a_pdpte_with_a_reserved_bit);
    tcase_add_test(t, fixed_bits_of_vmx_operation_cannot_be_cleared);
    tcase_add_test(t, lmsw_sets_pe_but_does_not_clear_it);
    tcase_add_test(t, mov_to_cr8_refuses_more_than_15);
    tcase_add_test(t, efer_refuses_reserved_bits_and_lme_while_paging);
    tcase_add_test(t, xcr0_needs_the_x87_bit);
    tcase_add_test(t, xsetbv_without_osxsave_raises_ud);
    tcase_add_test(t, syscall_saves_rip_and_rflags_and_sysret_brings_them_back);
    tcase_add_test(t, syscall_without_sce_raises_ud);
    tcase_add_test(t, sysenter_goes_to_ring_0_and_sysexit_back);
    tcase_add_loop_test(t, sti_acts_on_if_or_vif_by_iopl_and_mode, 0,
                        sizeof sti_rows / sizeof sti_rows[0]);
    tcase_add_test(t, reset_state_is_that_of_the_manual);
    tcase_add_test(t, init_keeps_cache_control_msrs_and_x87);
    suite_add_tcase(s, t);
    return s;
}
