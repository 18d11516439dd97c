/* The sixteen conditions of Jcc, SETcc and CMOVcc [SDM 1 "EFLAGS Condition Codes"]: X(name, number),
 * the number being the low four bits of the opcode. */
#pragma once

/* clang-format off */
#define CONDITIONS(X)                                                                             \
    X(o, 0) X(no, 1) X(b, 2)  X(ae, 3) X(e, 4)  X(ne, 5)  X(be, 6)  X(a, 7)                       \
    X(s, 8) X(ns, 9) X(p, 10) X(np, 11) X(l, 12) X(ge, 13) X(le, 14) X(g, 15)
/* clang-format on */
