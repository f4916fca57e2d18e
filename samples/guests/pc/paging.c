/* 4-level paging: rights on every level, A and D bits, large pages, reserved bits, INVLPG, SMEP, canonical addresses. */
#include "pages.h"

enum { PRESENT = 1, WRITING = 2, USER = 4, RESERVED = 8, FETCHING = 16 };
#define TARGET 0x510000000000ull
#define WP 0x10000ul
#define SMEP (1ul << 20)

static u64 frames[5];

static int wanted_error(int level_flags, int nx, int kind, int user, int wp, int smep)
{
    int may_write = level_flags & W, is_user = level_flags & U;
    int code = (kind == WRITE ? WRITING : 0) | (user ? USER : 0) | (kind == FETCH ? FETCHING : 0);
    if (!(level_flags & P))
        return code;
    if ((user && !is_user) || (kind == WRITE && !may_write && (user || wp)) || (kind == FETCH && nx) || (kind == FETCH && !user && is_user && smep))
        return code | PRESENT;
    return -1;
}

static void rights(int level, int page_level, int smep)
{
    static const char *const names[5][4] = {
        [1] = {0, "rights in the PTE"},
        [2] = {0, "rights in the PDE", "rights of a 2 MiB page"},
        [3] = {0, "rights in the PDPTE", "rights in the PDPTE of a 2 MiB page", "rights of a 1 GiB page"},
        [4] = {0, "rights in the PML4E", "rights in the PML4E of a 2 MiB page", "rights in the PML4E of a 1 GiB page"},
    };
    int wrong = 0, first = 0;
    u64 *entry = entry_of(TARGET, level), saved = *entry;
    for (int n = 0; n < 16 * 12; n++) {
        int flags = n & 7, nx = n >> 3 & 1, kind = (n >> 4) % 3, user = (n >> 4) / 3 & 1, wp = (n >> 4) / 6;
        set_cr0((get_cr0() & ~WP) | (wp ? WP : 0));
        *entry = (saved & ~(NX | 7)) | flags | (nx ? NX : 0);
        flush();
        int vector = access(TARGET, kind, user);
        int want = wanted_error(flags, nx, kind, user, wp, smep);
        /* Fetched by the supervisor and the user alike, the RET in the page ends differently for the user: no fault of the fetch. */
        int good = want == -1 ? vector == -1 : vector == PF && (int)trap.error == want && trap.cr2 == TARGET;
        if (!good && !wrong++)
            first = n | vector << 16;
    }
    set_cr0(get_cr0() | WP);
    *entry = saved;
    flush();
    expect(names[level][page_level], (u32)first, 0);
    if (wrong)
        print("%u wrong, the first %x, error code %x\n", wrong, first, (u32)trap.error);
}

static void all_rights(int smep)
{
    for (int page = 1; page <= 3; page++) {
        if (page > 1)
            *entry_of(TARGET, page) = frames[page] | P | W | U | PS;
        else
            *entry_of(TARGET, 1) = frames[1] | P | W | U;
        flush();
        for (int level = page; level <= 4; level++)
            rights(level, page, smep);
        if (page > 1)
            *entry_of(TARGET, page) = 0;
        if (page == 2)
            *entry_of(TARGET, 3) = 0;
    }
}

static void accessed_dirty(void)
{
    map(TARGET, frames[1], P | W | U, 1);
    for (int level = 2; level <= 4; level++)
        *entry_of(TARGET, level) &= ~(u64)(A | D);
    flush();
    access(TARGET, READ, 0);
    expect("A after a read, PTE", *entry_of(TARGET, 1) & (A | D), A);
    for (int level = 2; level <= 4; level++)
        expect("A after a read, a table's entry", *entry_of(TARGET, level) & A, A);
    access(TARGET, WRITE, 0);
    expect("A and D after a write", *entry_of(TARGET, 1) & (A | D), A | D);
    *entry_of(TARGET, 1) &= ~(u64)(W | A | D);
    flush();
    access(TARGET, WRITE, 0);
    expect("no D after a write that faults", *entry_of(TARGET, 1) & D, 0);
    *entry_of(TARGET, 2) = frames[2] | P | W | U | PS;
    flush();
    access(TARGET, READ, 0);
    expect("A of a 2 MiB page", *entry_of(TARGET, 2) & (A | D), A);
    access(TARGET + 0x1fffff, WRITE, 0);
    expect("A and D of a 2 MiB page", *entry_of(TARGET, 2) & (A | D), A | D);
    *entry_of(TARGET, 2) = 0;
}

static void reserved(void)
{
    map(TARGET, frames[1], P | W | U, 1);
    u64 *pml4e = entry_of(TARGET, 4), *pdpte = entry_of(TARGET, 3), *pde = entry_of(TARGET, 2);
    *pml4e |= PS;
    flush();
    expect("PS in a PML4E is reserved", access(TARGET, READ, 0) == PF ? trap.error : -1, PRESENT | RESERVED);
    *pml4e &= ~(u64)PS;
    u64 table = *pde;
    *pde = frames[2] | P | W | U | PS | 0x2000;
    flush();
    expect("bit 13 of a 2 MiB page is reserved", access(TARGET, WRITE, 0) == PF ? trap.error : -1, PRESENT | RESERVED | WRITING);
    *pde = table;
    u64 directory = *pdpte;
    *pdpte = frames[3] | P | W | U | PS | 0x20000000;
    flush();
    expect("bit 29 of a 1 GiB page is reserved", access(TARGET, READ, 1) == PF ? trap.error : -1, PRESENT | RESERVED | USER);
    *pdpte = directory;
    wrmsr(EFER, rdmsr(EFER) & ~0x800ull);
    *entry_of(TARGET, 1) |= NX;
    flush();
    expect("XD is reserved while EFER.NXE is 0", access(TARGET, READ, 0) == PF ? trap.error : -1, PRESENT | RESERVED);
    expect("no I/D in the error code while NXE and SMEP are 0", access(TARGET, FETCH, 0) == PF ? trap.error : -1, PRESENT | RESERVED);
    *entry_of(TARGET, 1) &= ~NX;
    wrmsr(EFER, rdmsr(EFER) | 0x800);
    flush();
}

static void invalidation(void)
{
    u64 *one = new_page(), *two = new_page();
    *one = 1;
    *two = 2;
    volatile u64 *at = (volatile u64 *)TARGET;
    map(TARGET, (word)one, P | W | G, 1);
    expect("a page", *at, 1);
    *entry_of(TARGET, 1) = (word)two | P | W | G;
    invlpg(TARGET + 123);
    expect("INVLPG drops a global page", *at, 2);
    *entry_of(TARGET, 1) = (word)one | P | W;
    set_cr4(get_cr4() ^ 0x80);
    expect("a change of CR4.PGE drops everything", *at, 1);
    set_cr4(get_cr4() & ~0x80ul);
    *entry_of(TARGET, 1) = (word)two | P | W;
    flush();
    expect("MOV CR3 drops a page", *at, 2);
    u64 mapped = *entry_of(TARGET, 1);
    *entry_of(TARGET, 1) = 0;
    invlpg(TARGET);
    expect("a page that went", access(TARGET, READ, 0) == PF ? trap.error : -1, 0);
    *entry_of(TARGET, 1) = mapped;
    expect("a page that came needs no INVLPG", access(TARGET, READ, 0), -1);
}

static volatile int stack_fault;

static void over_four(struct frame *frame)
{
    stack_fault = frame->vector;
    frame->ip += 4;
}

static void canonical(void)
{
    word top = 0x7ffffffffffc;
    expect("#GP at a non-canonical address", access(0x800000000000, READ, 0), GP);
    expect("its error code is 0", trap.error, 0);
    expect("#GP at the last one too", access(0xffff7fffffffffff, WRITE, 0), GP);
    handle(SS, over_four);
    handle(GP, over_four);
    asm volatile("mov %%rbp, %%rbx; mov %0, %%rbp; mov (%%rbp), %%rax; mov %%rbx, %%rbp" : : "r"(0x8000000000000000) : "rax", "rbx", "memory");
    expect("#SS through RBP", stack_fault, SS);
    handle(SS, 0);
    handle(GP, 0);
    expect("#GP for a jump there", TRY("jmp *%0", : : "r"(0x800000000000)), GP);
    map(top & FRAME, frames[1], P | W, 1);
    expect("#GP for an access that straddles the edge", TRY("mov (%0), %%rax", : : "r"(top) : "rax"), GP);
    expect("INVLPG of a non-canonical address is nothing", TRY("invlpg (%0)", : : "r"(0x800000000000)), -1);
}

static void crossing(void)
{
    map(TARGET, frames[1], P | W, 1);
    map(TARGET + 0x1000, frames[4], P, 1);
    volatile u64 *at = (volatile u64 *)(TARGET + 0xffc);
    *(volatile u32 *)at = 0x11111111;
    expect("a write into a second page that is read-only", TRY("movq $-1, (%0)", : : "r"(at) : "memory"), PF);
    expect("its address is the second page", trap.cr2, TARGET + 0x1000);
    expect("and the first is as it was", *(volatile u32 *)at, 0x11111111);
    *entry_of(TARGET + 0x1000, 1) = 0;
    invlpg(TARGET + 0x1000);
    expect("a read over an absent page", TRY("movq (%0), %%rax", : : "r"(at) : "rax"), PF);
    expect("its address", trap.cr2, TARGET + 0x1000);
}

int main(void)
{
    frames[1] = (word)new_page();
    frames[2] = 0x4000000;
    frames[3] = 0;
    frames[4] = (word)new_page();
    *(u8 *)frames[1] = *(u8 *)frames[2] = 0xc3;
    *(u8 *)0 = 0xc3;
    all_rights(0);
    accessed_dirty();
    reserved();
    invalidation();
    canonical();
    crossing();
    check(cpuid(7, 0).b >> 7 & 1, "SMEP is there");
    set_cr4(get_cr4() | SMEP);
    all_rights(1);
    set_cr4(get_cr4() & ~SMEP);
    return 0;
}
