/* The terminal. Keys: ctrl-a c opens the monitor (its command "console" goes back), ctrl-a x ends
 * nidus, ctrl-a ctrl-a sends a ctrl-a, ctrl-a h lists these. */
#include "frontend/console.h"

#include <editline/readline.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { CTRL_A = 1, PENDING_MAX = 4096 };

struct console {
    struct nidus *m;
    const char *device;
    bool is_tty, in_monitor, escape, stopped, quit, closed;
    struct termios saved;
    uint8_t pending[PENDING_MAX]; /* typed, but the device's buffer was full */
    size_t pending_count;
    char line[1024]; /* of the monitor, where no person types */
    size_t line_count;
};

/* libedit's callback has no argument of its own */
static struct console *monitor_of;

static void set_raw(struct console *c)
{
    struct termios raw = c->saved;

    if (!c->is_tty)
        return;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR | IGNCR | ISTRIP | BRKINT);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void monitor_line(char *line);

static void enter_monitor(struct console *c)
{
    c->in_monitor = true;
    if (c->is_tty)
        tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
    monitor_of = c;
    if (c->is_tty)
        rl_callback_handler_install("(nidus) ", monitor_line);
}

static void leave_monitor(struct console *c)
{
    if (c->is_tty)
        rl_callback_handler_remove();
    c->in_monitor = false;
    set_raw(c);
}

static void show_help(void)
{
    printf("console          back to the guest's console\n"
           "stop, cont       stop the machine, let it go on\n"
           "quit             end nidus\n");
    nidus_help(stdout);
}

static void monitor_line(char *line)
{
    struct console *c = monitor_of;

    if (!line) { /* end of input */
        c->quit = true;
        return;
    }
    if (*line)
        add_history(line);
    if (strcmp(line, "quit") == 0 || strcmp(line, "q") == 0)
        c->quit = true;
    else if (strcmp(line, "stop") == 0 || strcmp(line, "s") == 0)
        c->stopped = true;
    else if (strcmp(line, "cont") == 0 || strcmp(line, "c") == 0)
        c->stopped = false;
    else if (strcmp(line, "console") == 0 && c->device)
        leave_monitor(c);
    else if (strcmp(line, "help") == 0 || strcmp(line, "?") == 0)
        show_help();
    else if (*line && !nidus_command(c->m, line, stdout))
        printf("unknown command '%s'; help lists all\n", line);
    fflush(stdout);
    free(line);
}

struct console *console_open(struct nidus *m, const char *device, bool monitor, bool stopped)
{
    struct console *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->m = m;
    c->device = device;
    c->stopped = stopped;
    c->is_tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &c->saved) == 0;
    c->closed = !device && !monitor;
    if (monitor)
        enter_monitor(c);
    else if (device)
        set_raw(c);
    return c;
}

void console_close(struct console *c)
{
    if (c->in_monitor && c->is_tty)
        rl_callback_handler_remove();
    if (c->is_tty)
        tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
    free(c);
}

bool console_is_stopped(const struct console *c)
{
    return c->stopped;
}

void console_stop(struct console *c)
{
    c->stopped = true;
    if (!c->in_monitor)
        enter_monitor(c);
}

bool console_has_input(const struct console *c)
{
    return !c->closed || c->pending_count;
}

static void send(struct console *c, uint8_t byte)
{
    if (c->pending_count < PENDING_MAX)
        c->pending[c->pending_count++] = byte;
}

static void flush_pending(struct console *c)
{
    size_t taken;

    if (!c->pending_count || !c->device)
        return;
    taken = nidus_input(c->m, c->device, c->pending, c->pending_count);
    memmove(c->pending, c->pending + taken, c->pending_count - taken);
    c->pending_count -= taken;
}

static void escape_key(struct console *c, uint8_t key)
{
    c->escape = false;
    switch (key) {
    case 'x': c->quit = true; break;
    case 'c': enter_monitor(c); break;
    case 'h':
        printf("\r\nctrl-a c: monitor, ctrl-a x: quit, ctrl-a ctrl-a: ctrl-a\r\n");
        fflush(stdout);
        break;
    default: send(c, key); break;
    }
}

static void read_console(struct console *c)
{
    uint8_t bytes[256];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        c->closed = true;
    for (ssize_t i = 0; i < n; i++) {
        if (c->escape)
            escape_key(c, bytes[i]);
        else if (bytes[i] == CTRL_A && c->is_tty)
            c->escape = true;
        else
            send(c, bytes[i]);
    }
}

/* a person's lines, edited */
static void edit_lines(struct console *c)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

    do {
        rl_callback_read_char();
    } while (!c->quit && c->in_monitor && poll(&p, 1, 0) == 1 && (p.revents & POLLIN));
}

/* a script's lines */
static void read_lines(struct console *c)
{
    char *end;
    ssize_t n = read(STDIN_FILENO, c->line + c->line_count, sizeof c->line - c->line_count - 1);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        c->quit = true;
        return;
    }
    c->line_count += (size_t)n;
    c->line[c->line_count] = '\0';
    while (!c->quit && (end = memchr(c->line, '\n', c->line_count)) != NULL) {
        size_t used = (size_t)(end + 1 - c->line);

        *end = '\0';
        monitor_line(strdup(c->line));
        memmove(c->line, c->line + used, c->line_count - used);
        c->line_count -= used;
    }
    if (c->line_count == sizeof c->line - 1)
        c->line_count = 0; /* no command is that long */
}

static void read_monitor(struct console *c)
{
    if (c->is_tty)
        edit_lines(c);
    else
        read_lines(c);
}

enum console_wish console_serve(struct console *c, uint64_t ns)
{
    struct pollfd p = { .fd = c->closed ? -1 : STDIN_FILENO, .events = POLLIN };
    struct timespec wait = { .tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000) };

    flush_pending(c);
    if (c->pending_count == PENDING_MAX)
        p.fd = -1; /* let the guest read first */
    if (ppoll(&p, 1, ns == UINT64_MAX ? NULL : &wait, NULL) == 1) {
        if (c->in_monitor)
            read_monitor(c);
        else
            read_console(c);
    }
    flush_pending(c);
    return c->quit ? CONSOLE_QUIT : CONSOLE_NOTHING;
}
