/* 32-bit paging and PAE paging: rights, 4 MiB and 2 MiB pages, A and D, NX, reserved bits, the PDPTE registers. */
#include "pc.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80 };
enum { PSE = 0x10, PAE = 0x20, WP = 0x10000, PG = 0x80000000 };
enum { POOL = 0x2000000, FRAME0 = 0x2100000, FRAME1 = 0x2101000, LARGE = 0x2400000 };
enum { TARGET = 0x40000000, USER_TEXT = 0x48000000, USER_STACK = 0x48001000 };
enum { READ, WRITE };
#define NX (1ull << 63)

static u32 *const directory = (u32 *)POOL, *const table = (u32 *)(POOL + 0x1000), *const user_table = (u32 *)(POOL + 0x2000);
static u64 *const pdpt = (u64 *)(POOL + 0x3000), *const directories = (u64 *)(POOL + 0x4000), *const table8 = (u64 *)(POOL + 0x8000);
static u64 *const user_table8 = (u64 *)(POOL + 0x9000);

asm(".pushsection .text.user, \"ax\"\n.balign 64\nuser_read: movb (%eax), %al\n int $0x81\n"
    "user_write: movb $0xc3, (%eax)\n int $0x81\n.popsection");
extern u8 user_read[], user_write[];

static void flush(void) { set_cr3(get_cr3()); }

static int access(u32 address, int kind, int user)
{
    if (user)
        return run_user(USER_TEXT + ((u32)(kind == READ ? user_read : user_write) & 0xfff), address, USER_STACK + 0x1000, USER_CODE32);
    return kind == READ ? TRY("movb (%0), %%al", : : "r"(address) : "al") : TRY("movb $0xc3, (%0)", : : "r"(address) : "memory");
}

static int fetch(u32 address) { return TRY("call *%0", : : "r"(address) : "memory"); }

static int rights(volatile u32 *entry)
{
    int wrong = 0;
    u32 saved = *entry;
    for (int n = 0; n < 64; n++) {
        int bits = n & 7, kind = n >> 3 & 1, user = n >> 4 & 1, wp = n >> 5;
        set_cr0((get_cr0() & ~(word)WP) | (wp ? WP : 0));
        *entry = (saved & ~7u) | bits;
        flush();
        int code = kind * 2 + user * 4;
        int denied = (user && !(bits & U)) || (kind == WRITE && !(bits & W) && (user || wp));
        int want = !(bits & P) ? code : denied ? code | 1 : -1;
        int vector = access(TARGET, kind, user);
        wrong += want == -1 ? vector != -1 : vector != PF || trap.error != want || trap.cr2 != TARGET;
    }
    *entry = saved;
    set_cr0(get_cr0() | WP);
    flush();
    return wrong;
}

static void two_levels(void)
{
    for (u32 i = 0; i < 64; i++)
        directory[i] = i << 22 | P | W | PS;
    directory[TARGET >> 22] = (u32)table | P | W | U;
    directory[USER_TEXT >> 22] = (u32)user_table | P | W | U;
    table[0] = FRAME0 | P | W | U;
    user_table[0] = ((u32)user_read & ~0xfffu) | P | U;
    user_table[1] = FRAME1 | P | W | U;
    set_cr4(PSE);
    set_cr3((u32)directory);
    set_cr0(get_cr0() | PG | WP);
    check(1, "32-bit paging is on");
    expect("rights in the PTE", rights(&table[0]), 0);
    expect("rights in the PDE", rights(&directory[TARGET >> 22]), 0);
    table[0] = FRAME0 | P | W | U;
    directory[TARGET >> 22] = (u32)table | P | W | U;
    flush();
    access(TARGET, READ, 0);
    expect("A after a read", (table[0] & (A | D)) | (directory[TARGET >> 22] & A) << 8, A | A << 8);
    access(TARGET, WRITE, 0);
    expect("D after a write", table[0] & (A | D), A | D);
    directory[TARGET >> 22] = LARGE | P | W | U | PS;
    flush();
    expect("rights of a 4 MiB page", rights(&directory[TARGET >> 22]), 0);
    *(volatile u32 *)(TARGET + 0x3ffffc) = 0x12345678;
    expect("its last word", *(volatile u32 *)(LARGE + 0x3ffffc), 0x12345678);
    expect("its A and D", directory[TARGET >> 22] & (A | D), A | D);
    directory[TARGET >> 22] = LARGE | 1 << 21 | P | W | PS;
    flush();
    expect("bit 21 is reserved", access(TARGET, READ, 0) == PF ? trap.error : -1, 9);

    u32 *low = (u32 *)(POOL + 0xa000), *pool = (u32 *)(POOL + 0xb000);
    set_cr0(get_cr0() & ~(word)PG);
    set_cr4(0);
    for (u32 i = 0; i < 1024; i++) {
        low[i] = i << 12 | P | W;
        pool[i] = (POOL + (i << 12)) | P | W;
    }
    directory[0] = (u32)low | P | W;
    directory[POOL >> 22] = (u32)pool | P | W;
    directory[TARGET >> 22] = (u32)table | P | W | PS;
    set_cr0(get_cr0() | PG);
    expect("without CR4.PSE PS means nothing", access(TARGET, READ, 0), -1);
    set_cr0(get_cr0() & ~(word)PG);
}

static int rights8(volatile u64 *entry)
{
    int wrong = 0;
    u64 saved = *entry;
    for (int n = 0; n < 64; n++) {
        int bits = n & 7, kind = n >> 3 & 1, user = n >> 4 & 1, nx = n >> 5;
        *entry = (saved & ~(NX | 7)) | bits | (nx ? NX : 0);
        flush();
        int code = kind * 2 + user * 4;
        int denied = (user && !(bits & U)) || (kind == WRITE && !(bits & W));
        int want = !(bits & P) ? code : denied ? code | 1 : -1;
        int vector = access(TARGET, kind, user);
        wrong += want == -1 ? vector != -1 : vector != PF || trap.error != want || trap.cr2 != TARGET;
        if (!user && (bits & P))
            wrong += nx ? fetch(TARGET) != PF || trap.error != 0x11 : fetch(TARGET) != -1;
    }
    *entry = saved;
    flush();
    return wrong;
}

static void three_levels(void)
{
    for (u32 i = 0; i < 512; i++)
        directories[i] = (u64)i << 21 | P | W | PS;
    for (u32 i = 0; i < 4; i++)
        pdpt[i] = (u32)(directories + 512 * i) | P;
    u64 *pde = &directories[TARGET >> 21], *user_pde = &directories[USER_TEXT >> 21];
    *pde = (u32)table8 | P | W | U;
    *user_pde = (u32)user_table8 | P | W | U;
    table8[0] = FRAME0 | P | W | U;
    user_table8[0] = ((u32)user_read & ~0xfffu) | P | U;
    user_table8[1] = FRAME1 | P | W | U;
    set_cr4(PAE);
    wrmsr(EFER, rdmsr(EFER) | 0x800);
    set_cr3((u32)pdpt);
    set_cr0(get_cr0() | PG | WP);
    check(1, "PAE paging is on");
    expect("rights in the PTE", rights8(&table8[0]), 0);
    expect("rights in the PDE", rights8(pde), 0);
    table8[0] = FRAME0 | P | W | U;
    flush();
    access(TARGET, WRITE, 0);
    expect("A and D", table8[0] & (A | D), A | D);
    table8[0] |= 1ull << 62;
    flush();
    expect("bit 62 of a PTE is reserved", access(TARGET, READ, 0) == PF ? trap.error : -1, 9);
    table8[0] &= ~(1ull << 62);
    *pde = LARGE | P | W | U | PS;
    flush();
    *(u8 *)LARGE = 0xc3;
    expect("rights of a 2 MiB page", rights8(pde), 0);
    *pde = LARGE | P | W | PS | 0x2000;
    flush();
    expect("bit 13 of it is reserved", access(TARGET, READ, 0) == PF ? trap.error : -1, 9);
    *pde = (u32)table8 | P | W | U;
    flush();
    pdpt[1] = 0;
    asm volatile("invlpg (%0)" : : "r"(TARGET) : "memory");
    expect("PDPTEs are registers: a change waits", access(TARGET, READ, 0), -1);
    flush();
    expect("for MOV CR3", access(TARGET, READ, 0) == PF ? trap.error : -1, 0);
    pdpt[1] = (u32)(directories + 512) | P | W;
    expect("which refuses reserved bits with #GP", try_cr3((u32)pdpt), GP);
    expect("its error code", trap.error, 0);
    pdpt[1] = (u32)(directories + 512) | P;
    expect("and takes good ones", try_cr3((u32)pdpt), -1);
    expect("then all is there", access(TARGET, READ, 0), -1);
    expect("CR3 need not begin a page", (copy((u8 *)pdpt + 0x20, pdpt, 32), try_cr3((u32)pdpt + 0x20)), -1);
    expect("and all is there still", access(TARGET, WRITE, 1), -1);
    set_cr0(get_cr0() & ~(word)PG);
}

int main(void)
{
    *(u8 *)FRAME0 = *(u8 *)LARGE = 0xc3;
    two_levels();
    zero((void *)POOL, 0x10000);
    three_levels();
    return 0;
}
