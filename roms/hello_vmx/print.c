/* Text on the first serial port, and the end of everything. [16550 data sheet] */
#include "roms/hello_vmx/print.h"

#include <stdarg.h>

#include "roms/hello_vmx/x86.h"

enum { COM1 = 0x3f8, DIVISOR = 0, INTERRUPTS = 1, LINE_CONTROL = 3, LINE_STATUS = 5 };
enum { EIGHT_BITS = 3, ACCESS_DIVISOR = 1 << 7, TRANSMITTER_EMPTY = 1 << 5 };

/* 115200 baud, 8 bits, no parity; polled, without interrupts */
void print_open(void)
{
    out8(COM1 + INTERRUPTS, 0);
    out8(COM1 + LINE_CONTROL, ACCESS_DIVISOR);
    out8(COM1 + DIVISOR, 1);
    out8(COM1 + DIVISOR + 1, 0);
    out8(COM1 + LINE_CONTROL, EIGHT_BITS);
}

static void print_char(char c)
{
    if (c == '\n')
        print_char('\r');
    while (!(in8(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY))
        ;
    out8(COM1, (uint8_t)c);
}

static void print_number(uint64_t value, unsigned base)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n)
        print_char(digits[--n]);
}

static void print_text(const char *s)
{
    while (*s)
        print_char(*s++);
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (const char *f = format; *f; f++) {
        bool wide = f[0] == '%' && f[1] == 'l';

        if (*f != '%') {
            print_char(*f);
            continue;
        }
        f += wide ? 2 : 1;
        if (*f == 's')
            print_text(va_arg(args, const char *));
        else if (*f == 'c')
            print_char((char)va_arg(args, int));
        else
            print_number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned),
                         *f == 'x' ? 16 : 10);
    }
    va_end(args);
}

void print_step(const char *title)
{
    static unsigned step;

    print("[%u] %s\n", ++step, title);
}

/* ACPI: SLP_EN in PM1a_CNT with SLP_TYP 0, which is S5 on this board.
 * [ACPI specification "PM1 Control Registers"] */
void power_off(void)
{
    enum { PM1A_CNT = 0x604, SLP_EN = 1 << 13 };

    out16(PM1A_CNT, SLP_EN);
    for (;;)
        __asm__ volatile("cli; hlt"); /* another board: its power switch is elsewhere */
}
