/* Text on the first serial port. */
#pragma once

void print_open(void);
/* knows %s, %c, %u, %x and, for 64 bits, %lu and %lx */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* the number and title of the next step */
void print_step(const char *title);
void power_off(void) __attribute__((noreturn));
/* something is not as the manual says: say it and end */
#define FAIL(...) (print("\nhello_vmx: FAILED: "), print(__VA_ARGS__), print("\n"), power_off())
