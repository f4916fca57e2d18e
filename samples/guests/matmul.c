/* Products of 128 by 128 matrices of singles with AVX and FMA, four rows by sixteen columns at a time, exact to the bit. */
#include <immintrin.h>
#include "guest.h"

#define SIZE 128
#define PASSES 150
#define ROWS 4

static float left[SIZE][SIZE] __attribute__((aligned(32)));
static float right[SIZE][SIZE] __attribute__((aligned(32)));
static float product[SIZE][SIZE] __attribute__((aligned(32)));

static void fill(float matrix[SIZE][SIZE], uint64_t *state)
{
    for (unsigned row = 0; row < SIZE; row++) {
        for (unsigned column = 0; column < SIZE; column++) {
            matrix[row][column] = (float)((int32_t)(xorshift64(state) >> 40) - (1 << 23)) / (1 << 23);
        }
    }
}

static __attribute__((noinline)) void multiply_add(void)
{
    for (unsigned row = 0; row < SIZE; row += ROWS) {
        for (unsigned column = 0; column < SIZE; column += 16) {
            __m256 sums[ROWS][2];

#pragma GCC unroll 4
            for (unsigned r = 0; r < ROWS; r++) {
                sums[r][0] = _mm256_load_ps(&product[row + r][column]);
                sums[r][1] = _mm256_load_ps(&product[row + r][column + 8]);
            }
            for (unsigned k = 0; k < SIZE; k++) {
                __m256 first = _mm256_load_ps(&right[k][column]);
                __m256 second = _mm256_load_ps(&right[k][column + 8]);

    #pragma GCC unroll 4
            for (unsigned r = 0; r < ROWS; r++) {
                    __m256 factor = _mm256_broadcast_ss(&left[row + r][k]);
                    sums[r][0] = _mm256_fmadd_ps(factor, first, sums[r][0]);
                    sums[r][1] = _mm256_fmadd_ps(factor, second, sums[r][1]);
                }
            }
#pragma GCC unroll 4
            for (unsigned r = 0; r < ROWS; r++) {
                _mm256_store_ps(&product[row + r][column], sums[r][0]);
                _mm256_store_ps(&product[row + r][column + 8], sums[r][1]);
            }
        }
    }
}

int _start(void)
{
    uint64_t state = XORSHIFT64_SEED;
    uint64_t checksum = 0;

    fill(left, &state);
    fill(right, &state);
    for (unsigned pass = 0; pass < PASSES; pass++) {
        multiply_add();
    }
    for (unsigned row = 0; row < SIZE; row++) {
        for (unsigned column = 0; column < SIZE; column++) {
            uint32_t bits;
            __builtin_memcpy(&bits, &product[row][column], sizeof bits);
            checksum = (checksum << 1 | checksum >> 63) ^ bits;
        }
    }
    put_text("checksum 0x");
    put_hex(checksum, 16);
    put_text("\n");
    return 0;
}
