/* Page tables of 64-bit guests. */
#ifndef PAGES_H
#define PAGES_H

#include "pc.h"

enum { P = 1, W = 2, U = 4, PWT = 8, PCD = 0x10, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX (1ull << 63)
#define FRAME 0x000ffffffffff000ull

/* The entry for an address at a level, 1 for the PTE to 4 for the PML4E; tables are made with all rights where there are none. */
u64 *entry_of(u64 address, int level);
/* A zeroed page, mapped one to one. */
void *new_page(void);
void map(u64 address, u64 physical, u64 flags, int level);
/* Gives CPL 3 all of the first 4 GiB. */
void open_to_user(void);
void flush(void);

static inline void invlpg(u64 address) { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }

enum { READ, WRITE, FETCH };
/* One access by the supervisor or the user; gives the vector, or -1. The target should hold a RET for FETCH by the supervisor. */
int access(u64 address, int kind, int user);

#endif
