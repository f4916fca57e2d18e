/* The sieve of Eratosthenes over bytes: long runs of strided stores over 5 MB. */
#include "guest.h"

#define LIMIT 5000000u
#define PASSES 6

static uint8_t composite[LIMIT];

static __attribute__((noinline)) unsigned count_primes(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < LIMIT; i++) {
        composite[i] = i < 2;
    }
    for (unsigned p = 2; p * p < LIMIT; p++) {
        if (composite[p]) {
            continue;
        }
        for (unsigned multiple = p * p; multiple < LIMIT; multiple += p) {
            composite[multiple] = 1;
        }
    }
    for (unsigned i = 0; i < LIMIT; i++) {
        if (!composite[i]) {
            count++;
        }
    }
    return count;
}

int _start(void)
{
    unsigned count = count_primes();

    for (int pass = 1; pass < PASSES; pass++) {
        if (count_primes() != count) {
            put_text("The passes disagree.\n");
            return 1;
        }
    }
    put_decimal(count);
    put_text(" primes below ");
    put_decimal(LIMIT);
    put_text("\n");
    return 0;
}
