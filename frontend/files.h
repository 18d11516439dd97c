/* Whole files. */
#pragma once
#include "include/nidus.h"

/* all bytes of a regular file, to be freed; false: error says why */
bool file_read(const char *path, struct nidus_blob *out, char *error);
/* the machine's statistics as JSON; complete or an error */
bool file_write_stats(const char *path, struct nidus *m, char *error);
