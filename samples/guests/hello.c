/* The first guest: proves from inside that it runs in ring 0, in long mode, behind page tables it can read. */
#include "guest.h"

#define CR0_PG (1ull << 31)
#define PTE_PRESENT 1ull
#define PTE_LARGE (1ull << 7)
#define PTE_FRAME 0x000ffffffffff000ull

#define COM1 0x3f8
#define COM1_LSR (COM1 + 5)
#define LSR_THRE 0x20

static void say(const char *text)
{
    for (; *text; text++) {
        while ((inb(COM1_LSR) & LSR_THRE) == 0) {
        }
        outb(COM1, (uint8_t)*text);
    }
}

/* Walks the guest's own tables through the direct map; 0 when some level is absent. */
static uint64_t translate(uint64_t direct_map, uint64_t address)
{
    uint64_t table = read_cr3() & PTE_FRAME;

    for (unsigned shift = 39;; shift -= 9) {
        uint64_t entry = ((const uint64_t *)(direct_map + table))[address >> shift & 511];
        if ((entry & PTE_PRESENT) == 0) {
            return 0;
        }
        if (shift == 12 || (entry & PTE_LARGE) != 0) {
            uint64_t offset = (1ull << shift) - 1;
            return (entry & PTE_FRAME & ~offset) | (address & offset);
        }
        table = entry & PTE_FRAME;
    }
}

int _start(const struct boot_info *boot)
{
    static volatile uint64_t witness;
    uint16_t cs;

    if (boot->magic != BOOT_MAGIC || boot->size != sizeof *boot) {
        say("No boot information.\n");
        return 1;
    }

    __asm__("mov %%cs, %0" : "=r"(cs));
    if ((cs & 3) != 0 || (read_cr0() & CR0_PG) == 0) {
        say("Not in ring 0 with paging on.\n");
        return 2;
    }
    say("Hello from ring 0, paging on.\n");

    /* Write through one virtual address, read the same byte of memory through another. */
    witness = BOOT_MAGIC;
    uint64_t gpa = translate(boot->direct_map, (uint64_t)&witness);
    if (gpa == 0 || *(volatile uint64_t *)(boot->direct_map + gpa) != BOOT_MAGIC) {
        say("My own page tables do not lead to my data.\n");
        return 3;
    }
    say("CR3 leads through four levels to my data, and the direct map shows the same bytes.\n");
    return 0;
}
