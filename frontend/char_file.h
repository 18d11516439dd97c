/* Where a serial port writes: the terminal or a file. */
#pragma once
#include "include/nidus.h"

struct char_file;

/* "stdio", "mon:stdio", "none" (returns NULL without an error: *error is ""), "file:PATH" */
struct char_file *char_file_open(const char *spec, struct nidus_char *out, char *error);
/* false: bytes were lost (disk full), and error says so */
bool char_file_close(struct char_file *f, char *error);
/* "none" and its like: no device at all */
bool char_file_is_none(const char *spec);
/* does input from the terminal go here? */
bool char_file_is_terminal(const char *spec);
