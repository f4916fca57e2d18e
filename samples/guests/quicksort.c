/* Recursive quicksort with the first element as pivot: shallow on random input, thousands deep on sorted input. */
#include "guest.h"

#define RANDOM_COUNT 1000000
#define SORTED_COUNT 6000

static uint32_t values[RANDOM_COUNT];

/* Sorts values[first..last]; returns how deep the recursion went, ranges shorter than two not counted. */
static __attribute__((noinline)) unsigned sort(int64_t first, int64_t last)
{
    if (first >= last) {
        return 0;
    }

    uint32_t pivot = values[first];
    int64_t boundary = first;
    for (int64_t i = first + 1; i <= last; i++) {
        uint32_t value = values[i];
        if (value < pivot) {
            boundary++;
            values[i] = values[boundary];
            values[boundary] = value;
        }
    }
    values[first] = values[boundary];
    values[boundary] = pivot;

    unsigned left = sort(first, boundary - 1);
    unsigned right = sort(boundary + 1, last);
    return 1 + (left > right ? left : right);
}

static void sort_and_report(const char *name, int64_t count)
{
    unsigned depth = sort(0, count - 1);
    uint64_t checksum = 0;

    for (int64_t i = 0; i < count; i++) {
        if (i != 0 && values[i - 1] > values[i]) {
            put_text("out of order\n");
            return;
        }
        checksum += values[i] * (uint64_t)(i + 1);
    }
    put_text(name);
    put_text(": checksum 0x");
    put_hex(checksum, 16);
    put_text(", depth ");
    put_decimal(depth);
    put_text("\n");
}

int _start(void)
{
    uint64_t random = XORSHIFT64_SEED;

    for (int i = 0; i < RANDOM_COUNT; i++) {
        values[i] = (uint32_t)(xorshift64(&random) >> 32);
    }
    sort_and_report("random", RANDOM_COUNT);

    for (int i = 0; i < SORTED_COUNT; i++) {
        values[i] = (uint32_t)i * 7;
    }
    sort_and_report("sorted", SORTED_COUNT);
    return 0;
}
