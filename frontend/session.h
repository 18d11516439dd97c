/* One machine made from the options: its serial ports, disks and log are native files. */
#pragma once
#include "frontend/options.h"
#include "include/nidus.h"

/* native ends of serial ports first */
enum { DEBUGCON_SLOT = MAX_SERIALS, CONSOLE_SLOT, CHAR_SLOTS };

struct block_file;
struct char_file;

/* Zero it, fill in `o` (and `mute`), then session_open; session_close in any case. */
struct session {
    struct options o;
    bool mute; /* what the guest writes to its serial ports goes nowhere */
    struct nidus *m;
    struct block_file *disks[MAX_DRIVES];
    struct char_file *chars[CHAR_SLOTS];
    FILE *log;
    const char *input; /* device that the terminal feeds, or NULL */
    char error[NIDUS_ERROR_SIZE];
};

/* false: s->error says why */
bool session_open(struct session *s);
/* false: output was lost, which has been said on stderr */
bool session_close(struct session *s);
/* from now on SIGINT and SIGTERM end the run of this machine; NULL: of none */
void session_signals(struct nidus *m);
