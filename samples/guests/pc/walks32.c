/* Walks of 32-bit paging, with 4 KiB and 4 MiB pages, and of PAE paging. */
#include "walks.h"

enum { PSE = 0x10, PAE = 0x20, PG = 0x80000000 };
enum { POOL = 0x2000000, USER_FRAME = 0x2101000, TARGET = 0x40005000, USER_TEXT = 0x48000000, USER_STACK = 0x48001000 };

#define ALWAYS (NX | 1ull << 62 | 1ull << 51)

static u32 *const directory = (u32 *)POOL, *const table = (u32 *)(POOL + 0x1000), *const user_table = (u32 *)(POOL + 0x2000);
static u64 *const pdpt = (u64 *)(POOL + 0x3000), *const directories = (u64 *)(POOL + 0x4000), *const table8 = (u64 *)(POOL + 0x8000);
static u64 *const user_table8 = (u64 *)(POOL + 0x9000);
static int is_pae;

asm(".pushsection .text.user, \"ax\"\n.balign 64\nuser_read: movb (%eax), %al\n int $0x81\n"
    "user_write: movb $0xc3, (%eax)\n int $0x81\nuser_fetch: call *%eax\n int $0x81\n.popsection");
extern u8 user_read[], user_write[], user_fetch[];

static volatile u64 *slot8(int level) { return level == 2 ? &directories[TARGET >> 21] : &table8[TARGET >> 12 & 511]; }
static volatile u32 *slot4(int level) { return level == 2 ? &directory[TARGET >> 22] : &table[TARGET >> 12 & 1023]; }
static u64 get_entry(int level) { return is_pae ? *slot8(level) : *slot4(level); }

static void set_entry(int level, u64 value)
{
    if (is_pae)
        *slot8(level) = value;
    else
        *slot4(level) = value;
}

static void flush_all(void) { set_cr3(get_cr3()); }

static int access_target(word address, int kind, int user)
{
    if (user) {
        u8 *code = kind == READ ? user_read : kind == WRITE ? user_write : user_fetch;
        return run_user(USER_TEXT + ((u32)code & 0xfff), address, USER_STACK + 0x1000, USER_CODE32);
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

static void two_levels(void)
{
    for (u32 i = 0; i < 64; i++)
        directory[i] = i << 22 | P | W | PS;
    directory[USER_TEXT >> 22] = (u32)user_table | P | W | U;
    user_table[0] = ((u32)user_read & ~0xfffu) | P | U;
    user_table[1] = USER_FRAME | P | W | U;
    set_cr4(PSE);
    set_cr3((u32)directory);
    set_cr0(get_cr0() | PG);
    struct shape small = {.name = "32-bit 4K", .top = 2, .leaf = 1, .frame = FRAME0, .below = {0, 0, (u32)table}};
    struct shape large = {.name = "32-bit 4M", .top = 2, .leaf = 2, .frame = LARGE_PAGE};
    every_control(&small, TARGET, NXE);
    every_control(&large, TARGET, NXE);
    static const u64 reserved[] = {0, 0, 1 << 21};
    reserved_bits(&large, TARGET, reserved);
    set_cr0(get_cr0() & ~(word)PG);
}

static void three_levels(void)
{
    is_pae = 1;
    for (u32 i = 0; i < 512; i++)
        directories[i] = (u64)i << 21 | P | W | PS;
    for (u32 i = 0; i < 4; i++)
        pdpt[i] = (u32)(directories + 512 * i) | P;
    directories[USER_TEXT >> 21] = (u32)user_table8 | P | W | U;
    user_table8[0] = ((u32)user_read & ~0xfffu) | P | U;
    user_table8[1] = USER_FRAME | P | W | U;
    set_cr4(PAE);
    set_cr3((u32)pdpt);
    set_cr0(get_cr0() | PG);
    struct shape small = {.name = "PAE 4K", .top = 2, .leaf = 1, .frame = FRAME0, .below = {0, 0, (u32)table8}};
    struct shape large = {.name = "PAE 2M", .top = 2, .leaf = 2, .frame = LARGE_PAGE};
    every_control(&small, TARGET, 0);
    every_control(&large, TARGET, 0);
    static const u64 reserved[2][3] = {{0, ALWAYS, ALWAYS}, {0, 0, ALWAYS | 0x1fe000}};
    reserved_bits(&small, TARGET, reserved[0]);
    reserved_bits(&large, TARGET, reserved[1]);
    set_cr0(get_cr0() & ~(word)PG);
}

int main(void)
{
    *(u8 *)FRAME0 = 0xc3;
    two_levels();
    zero((void *)POOL, 0x10000);
    three_levels();
    expect("accesses", all_accesses, 2 * (CONTROLS / 2 + CONTROLS) * STATES * ACCESSES + 2 * ACCESSES * (1 + 6 + 11));
    return 0;
}
