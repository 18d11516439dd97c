/* The person's terminal: raw input for the guest's console, ctrl-a commands, and the monitor's
 * line editing. */
#pragma once
#include "include/nidus.h"

struct console;

enum console_wish { CONSOLE_NOTHING, CONSOLE_QUIT };

/**
 * console_open
 * @device   who gets the terminal's input ("serial0"), or NULL
 * @monitor  the monitor has the terminal from the start
 * @stopped  the machine waits for "cont"
 */
struct console *console_open(struct nidus *m, const char *device, bool monitor, bool stopped);
void console_close(struct console *c);
/* wait for input for at most `ns` nanoseconds (UINT64_MAX: for ever) and serve it */
enum console_wish console_serve(struct console *c, uint64_t ns);
/* the monitor has stopped the machine */
bool console_is_stopped(const struct console *c);
/* nidus_run ended with NIDUS_STOPPED (a breakpoint, or the user): say so and wait for "cont" */
void console_stop(struct console *c);
/* can anything still come in? */
bool console_has_input(const struct console *c);
