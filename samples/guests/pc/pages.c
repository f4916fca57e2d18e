#include "pages.h"

enum { POOL = 0x2000000, LARGE = 0x200000 };
#define USER_TEXT 0x7f0000000000ull
#define USER_STACK 0x7f0000200000ull

extern u64 boot_pds[];
extern u8 user_read[], user_write[], user_fetch[];

static word next_page = POOL;

void *new_page(void)
{
    void *page = (void *)next_page;
    next_page += 4096;
    zero(page, 4096);
    return page;
}

static void split(u64 *entry, int level)
{
    u64 *table = new_page();
    u64 step = level == 3 ? LARGE : 4096;
    u64 flags = *entry & 0xfff & ~(level == 2 ? PS : 0);
    for (int i = 0; i < 512; i++)
        table[i] = ((*entry & FRAME) + i * step) | flags | (*entry & NX);
    *entry = (word)table | P | W | U;
}

u64 *entry_of(u64 address, int level)
{
    u64 *table = (u64 *)(get_cr3() & FRAME);
    for (int at = 4;; at--) {
        u64 *entry = &table[address >> (12 + 9 * (at - 1)) & 511];
        if (at == level)
            return entry;
        if (!(*entry & P))
            *entry = (word)new_page() | P | W | U;
        else if (at < 4 && (*entry & PS))
            split(entry, at);
        table = (u64 *)(*entry & FRAME);
    }
}

void map(u64 address, u64 physical, u64 flags, int level)
{
    *entry_of(address, level) = physical | flags | (level > 1 ? PS : 0);
    invlpg(address);
}

void open_to_user(void)
{
    for (int i = 0; i < 2048; i++)
        boot_pds[i] |= U;
    flush();
}

void flush(void) { set_cr3(get_cr3()); }

int access(u64 address, int kind, int user)
{
    if (user) {
        u8 *code = kind == READ ? user_read : kind == WRITE ? user_write : user_fetch;
        static int mapped;
        if (!mapped) {
            map(USER_TEXT, (word)code & FRAME, P | U, 1);
            map(USER_STACK, (word)new_page(), P | W | U | NX, 1);
            mapped = 1;
        }
        return run_user(USER_TEXT + ((word)code & 0xfff), address, USER_STACK + 0x1000, USER_CODE64);
    }
    switch (kind) {
    case READ:
        return TRY("movb (%0), %%al", : : "r"(address) : "al");
    case WRITE:
        return TRY("movb $0xc3, (%0)", : : "r"(address) : "memory");
    default:
        return TRY("call *%0", : : "r"(address) : "memory");
    }
}
