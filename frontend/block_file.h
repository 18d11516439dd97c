/* A disk image in a raw file. */
#pragma once
#include "include/nidus.h"

struct block_file;

/**
 * block_file_open - "file=PATH[,readonly=on|off][,snapshot=on|off][,format=raw][,if=virtio]"
 * @snapshot all writes go to an unlinked temporary file and are forgotten at the end
 * NULL: error says why. The file is locked against a second writer while it is open.
 */
struct block_file *block_file_open(const char *spec, bool snapshot, struct nidus_block *out,
                                   char *error);
void block_file_close(struct block_file *f);
