/* A fault while #DF is delivered shuts the processor down, which ends the machine. */
#include "guest.inc"
    .text
    .code32
    .globl test
test:
    lidt no_idt
    int3
    FAIL(__LINE__)
    .data
no_idt:
    .word 0
    .long 0
