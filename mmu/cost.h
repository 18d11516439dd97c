/* Cycles that the MMU charges to its processor beside the static cost of instructions. */
#pragma once

/* One paging-structure entry read by a walk. Recent Intel cores complete a four-level walk whose
 * entries are in the first-level data cache in about 20 cycles, 4 or 5 a level. With EPT the cost
 * of each second translation comes on top (stage2_out.cycles). */
#define COST_WALK_LEVEL 4
