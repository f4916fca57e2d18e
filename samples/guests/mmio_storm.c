/* A million accesses to the scratch device: 32-bit stores, each loaded back. */
#include "guest.h"

#define PAIRS 500000u

int _start(const struct boot_info *boot)
{
    volatile uint32_t *scratch = (volatile uint32_t *)(boot->direct_map + boot->scratch_gpa);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < PAIRS; i++) {
        scratch[i & 1023] = i * 2654435761u;
        sum += scratch[i & 1023];
    }

    put_decimal(2 * PAIRS);
    put_text(" MMIO accesses, sum 0x");
    put_hex(sum, 16);
    put_text("\n");
    return 0;
}
