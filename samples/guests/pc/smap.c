/* SMAP: the supervisor's accesses to user pages, AC, STAC and CLAC, implicit accesses. */
#include "pages.h"

enum { PRESENT = 1, WRITING = 2 };
#define TARGET 0x510000000000ull
#define SMAP (1ul << 21)
#define WP 0x10000ul

static int with_ac(int kind)
{
    asm volatile("stac");
    int vector = access(TARGET, kind, 0);
    asm volatile("clac");
    return vector;
}

int main(void)
{
    check(cpuid(7, 0).b >> 20 & 1, "SMAP is there");
    word page = (word)new_page();
    *(u8 *)page = 0xc3;
    expect("STAC without CR4.SMAP sets AC", TRY("stac", : : : "cc"), -1);
    check(flags() & AC_FLAG, "AC is 1");
    asm volatile("clac");
    check(!(flags() & AC_FLAG), "AC is 0 after CLAC");
    map(TARGET, page, P | W | U, 1);
    expect("a user page is open without CR4.SMAP", access(TARGET, READ, 0), -1);
    set_cr4(get_cr4() | SMAP);
    expect("a read of a user page", access(TARGET, READ, 0), PF);
    expect("its error code", trap.error, PRESENT);
    expect("its address", trap.cr2, TARGET);
    expect("a write to a user page", access(TARGET, WRITE, 0), PF);
    expect("its error code", trap.error, PRESENT | WRITING);
    expect("a read with AC", with_ac(READ), -1);
    expect("a write with AC", with_ac(WRITE), -1);
    expect("a fetch is SMEP's business", access(TARGET, FETCH, 0), -1);
    expect("the user itself", access(TARGET, WRITE, 1), -1);
    map(TARGET, page, P | U, 1);
    expect("a write with AC to a read-only page", with_ac(WRITE), PF);
    set_cr0(get_cr0() & ~WP);
    expect("a write with AC but without WP", with_ac(WRITE), -1);
    expect("a write without AC and without WP", access(TARGET, WRITE, 0), PF);
    set_cr0(get_cr0() | WP);
    map(TARGET, page, P | W, 1);
    expect("a supervisor page", access(TARGET, WRITE, 0), -1);

    map(TARGET, page, P | W | U, 1);
    gdt[SPARE / 8] = 0;
    set_descriptor(SPARE, TARGET & 0xffffffff, 0xfff, 0x82);
    gdt[SPARE / 8 + 1] = TARGET >> 32;
    asm volatile("lldt %w0" : : "r"(SPARE));
    expect("a descriptor in a user page", TRY("mov %0, %%fs", : : "r"(0x104)), PF);
    asm volatile("stac");
    int vector = TRY("mov %0, %%fs", : : "r"(0x104));
    asm volatile("clac");
    expect("AC does not help implicit accesses", vector, PF);
    expect("their error code has no U", trap.error, PRESENT);
    asm volatile("lldt %w0" : : "r"(0));

    asm volatile("stac");
    map(TARGET, page, P | W | U, 1);
    *(volatile u8 *)TARGET = 0xc3;
    int gone = access(TARGET, READ, 1);
    expect("the user still reads", gone, -1);
    asm volatile("clac");
    set_cr4(get_cr4() & ~SMAP);
    return 0;
}
