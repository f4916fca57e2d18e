/* Walks of 5-level paging, and of the keys of supervisor pages, where the processor has them. */
#include "walks64.h"

#define TARGET 0xa5510002805000ull
#define ALWAYS (NX | 1ull << 51)
#define LA57 (1ul << 12)
#define PKS (1ul << 24)

enum { PKRS = 0x6e1 };

void go_5_level(u64 *root);
asm(".pushsection .text.go, \"ax\"\n"
    ".globl go_5_level\n"
    "go_5_level: pushq $0x18\n lea 1f(%rip), %rax\n push %rax\n lretq\n"
    ".code32\n1: mov %cr0, %eax\n and $0x7fffffff, %eax\n mov %eax, %cr0\n"
    "mov %cr4, %eax\n or $0x1000, %eax\n mov %eax, %cr4\n mov %edi, %cr3\n"
    "mov %cr0, %eax\n or $0x80000000, %eax\n mov %eax, %cr0\n ljmp $0x08, $2f\n"
    ".code64\n2: ret\n.popsection");

/* The user's accesses apart: where they fail for U/S, TCG leaves PK out of the error code. */
static void supervisor_keys(const struct shape *shape, word address, int user)
{
    u64 entries[6] = {0};
    set_controls(WP | NXE);
    set_cr4(get_cr4() | PKS);
    begin_group(300);
    for (int state = 0; state < 2 * STATES; state++) {
        draw_entries(shape, entries);
        entries[shape->leaf] |= (u64)(draw(15) + 1) << 59;
        wrmsr(PKRS, (draw(1 << 16) << 16 | draw(1 << 16)) & ~3u);
        for (int kind = READ; kind <= FETCH; kind++)
            one(shape, entries, address, kind, user, 0, ~(word)0);
    }
    wrmsr(PKRS, 0);
    set_cr4(get_cr4() & ~PKS);
    set_controls(WP);
    print("%s PKS=1 by the %s", shape->name, user ? "user" : "supervisor");
    end_group();
}

int main(void)
{
    if (!(cpuid(7, 0).c >> 16 & 1) || !(cpuid(7, 0).c >> 31)) {
        skip("5-level paging and the keys of supervisor pages: this processor lacks one");
        return 0;
    }
    *(u8 *)FRAME0 = 0xc3;
    access(0x510000000000ull, READ, 1);
    *entry_of(0x7f0000200000ull, 1) &= ~NX;
    u64 *root = new_page();
    root[0] = get_cr3() | P | W | U;
    go_5_level(root);
    check((get_cr4() & LA57) != 0, "5-level paging is on");
    levels = 5;
    make_path(root, TARGET);
    struct shape shapes[] = {shape_of("4K", 1, FRAME0), shape_of("2M", 2, LARGE_PAGE), shape_of("1G", 3, 0)};
    for (int i = 0; i < 3; i++)
        every_control(&shapes[i], TARGET, 0);
    for (int i = 0; i < 3; i++) {
        keys(&shapes[i], TARGET, 1);
        for (int user = 0; user < 2; user++)
            supervisor_keys(&shapes[i], TARGET, user);
    }
    static const u64 reserved[6] = {0, ALWAYS, ALWAYS, ALWAYS, ALWAYS | PS, ALWAYS | PS};
    reserved_bits(&shapes[0], TARGET, reserved);
    not_canonical(&shapes[0], TARGET, 56);
    expect("accesses", all_accesses, 3 * CONTROLS * STATES * ACCESSES + 3 * 2 * STATES * (ACCESSES + 6) + 2 * ACCESSES * 12 + 8 * 4);
    return 0;
}
