/* Inside mmu/: dropping entries of one context. */
#pragma once
#include "mmu/tlb.h"

/* all entries, or all but the global ones */
void flush_context(struct tlb_context *c, bool globals);
/* a page number, with all pieces of a large page around it, global or not as said, in every view */
void flush_page(struct tlb_context *c, uint64_t linear, bool globals);

/* withdraw the fetch tags of a page of RAM (bus_listener.opens) */
void flush_fetch_tags(struct mmu *m, uint64_t pa);
