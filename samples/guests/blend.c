/* Blending two 64 KiB images with AVX2: bytes widened, weighted and packed again, absolute differences summed, pixels compared. */
#include <immintrin.h>
#include "guest.h"

#define PIXELS 65536
#define PASSES 1500
#define STEP 77

static uint8_t upper[PIXELS] __attribute__((aligned(32)));
static uint8_t lower[PIXELS] __attribute__((aligned(32)));
static uint8_t blended[PIXELS] __attribute__((aligned(32)));

static uint64_t difference;
static uint64_t brighter;

static inline __m256i weigh(__m128i a, __m128i b, __m256i alpha, __m256i beta)
{
    __m256i sum = _mm256_add_epi16(_mm256_mullo_epi16(_mm256_cvtepu8_epi16(a), alpha), _mm256_mullo_epi16(_mm256_cvtepu8_epi16(b), beta));

    return _mm256_srli_epi16(_mm256_add_epi16(sum, _mm256_set1_epi16(128)), 8);
}

static __attribute__((noinline)) void blend(unsigned weight)
{
    __m256i alpha = _mm256_set1_epi16((short)weight);
    __m256i beta = _mm256_set1_epi16((short)(255 - weight));
    __m256i step = _mm256_set1_epi8(STEP);
    __m256i sums = _mm256_setzero_si256();

    for (unsigned i = 0; i < PIXELS; i += 32) {
        __m256i a = _mm256_load_si256((const __m256i *)(upper + i));
        __m256i b = _mm256_load_si256((const __m256i *)(lower + i));
        __m256i low = weigh(_mm256_castsi256_si128(a), _mm256_castsi256_si128(b), alpha, beta);
        __m256i high = weigh(_mm256_extracti128_si256(a, 1), _mm256_extracti128_si256(b, 1), alpha, beta);
        __m256i pixels = _mm256_permute4x64_epi64(_mm256_packus_epi16(low, high), 0xd8);
        __m256i not_below = _mm256_cmpeq_epi8(_mm256_max_epu8(pixels, a), pixels);

        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(pixels, a));
        brighter += (unsigned)_mm_popcnt_u32((unsigned)_mm256_movemask_epi8(not_below));
        _mm256_store_si256((__m256i *)(blended + i), pixels);
        _mm256_store_si256((__m256i *)(lower + i), _mm256_add_epi8(b, step));
    }
    difference += (uint64_t)_mm256_extract_epi64(sums, 0) + (uint64_t)_mm256_extract_epi64(sums, 1)
        + (uint64_t)_mm256_extract_epi64(sums, 2) + (uint64_t)_mm256_extract_epi64(sums, 3);
}

int _start(void)
{
    uint64_t state = XORSHIFT64_SEED;
    uint64_t checksum = 0;

    for (unsigned i = 0; i < PIXELS; i++) {
        uint64_t random = xorshift64(&state);
        upper[i] = (uint8_t)(random >> 56);
        lower[i] = (uint8_t)(random >> 48);
    }
    for (unsigned pass = 0; pass < PASSES; pass++) {
        blend(pass & 255);
    }
    for (unsigned i = 0; i < PIXELS; i++) {
        checksum = (checksum << 1 | checksum >> 63) ^ blended[i];
    }
    put_text("difference ");
    put_decimal(difference);
    put_text(", not below ");
    put_decimal(brighter);
    put_text(", checksum 0x");
    put_hex(checksum, 16);
    put_text("\n");
    return 0;
}
