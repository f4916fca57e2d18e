/* Walks of 4-level paging: rights on four levels, three sizes of pages, protection keys, reserved bits, canonical addresses. */
#include "walks64.h"

#define TARGET 0x510002805000ull
#define ALWAYS (NX | 1ull << 51)

int main(void)
{
    *(u8 *)FRAME0 = 0xc3;
    access(TARGET, READ, 1);
    *entry_of(0x7f0000200000ull, 1) &= ~NX;
    levels = 4;
    make_path((u64 *)(get_cr3() & FRAME), TARGET);
    struct shape shapes[] = {shape_of("4K", 1, FRAME0), shape_of("2M", 2, LARGE_PAGE), shape_of("1G", 3, 0)};
    for (int i = 0; i < 3; i++)
        every_control(&shapes[i], TARGET, 0);
    for (int i = 0; i < 3; i++)
        for (int wp = 0; wp < 2; wp++)
            keys(&shapes[i], TARGET, wp);
    static const u64 reserved[3][6] = {
        {0, ALWAYS, ALWAYS, ALWAYS, ALWAYS | PS},
        {0, 0, ALWAYS | 0x1fe000, ALWAYS, ALWAYS | PS},
        {0, 0, 0, ALWAYS | 0x3fffe000, ALWAYS | PS},
    };
    for (int i = 0; i < 3; i++)
        reserved_bits(&shapes[i], TARGET, reserved[i]);
    not_canonical(&shapes[0], TARGET, 47);
    expect("accesses", all_accesses, 3 * CONTROLS * STATES * ACCESSES + 3 * 2 * 2 * STATES * ACCESSES + 2 * ACCESSES * (9 + 15 + 22) + 17 * 4);
    return 0;
}
