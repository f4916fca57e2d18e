/*
 * SHA-256 (FIPS 180-4) of a megabyte from xorshift64, eight bytes little endian a step; then a chain:
 * each further digest is of the digest before it followed by the megabyte.
 */
#include "guest.h"

#define DATA_BYTES (1u << 20)
#define LINKS 8

static const uint32_t round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

struct sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
};

static uint64_t data[DATA_BYTES / 8];

static inline uint32_t rotate(uint32_t x, unsigned count)
{
    return x >> count | x << (32 - count);
}

static __attribute__((noinline)) void compress(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

    for (unsigned t = 0; t < 16; t++) {
        w[t] = __builtin_bswap32(*(const uint32_t *)(block + 4 * t));
    }
    for (unsigned t = 16; t < 64; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    for (unsigned t = 0; t < 64; t++) {
        uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + round_constant[t] + w[t];
        uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

static void begin(struct sha256 *sha)
{
    static const uint32_t initial[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    };
    for (unsigned i = 0; i < 8; i++) {
        sha->state[i] = initial[i];
    }
    sha->bytes = 0;
}

static void append(struct sha256 *sha, const uint8_t *bytes, size_t count)
{
    while (count != 0) {
        size_t used = sha->bytes % 64;
        if (used == 0 && count >= 64) {
            compress(sha->state, bytes);
            sha->bytes += 64;
            bytes += 64;
            count -= 64;
            continue;
        }
        sha->block[used] = *bytes++;
        sha->bytes++;
        count--;
        if (used == 63) {
            compress(sha->state, sha->block);
        }
    }
}

static void finish(struct sha256 *sha, uint8_t digest[32])
{
    static const uint8_t padding[64] = {0x80};
    uint64_t length = __builtin_bswap64(sha->bytes * 8);
    size_t used = sha->bytes % 64;

    append(sha, padding, used < 56 ? 56 - used : 120 - used);
    append(sha, (const uint8_t *)&length, sizeof length);
    for (unsigned i = 0; i < 8; i++) {
        *(uint32_t *)(digest + 4 * i) = __builtin_bswap32(sha->state[i]);
    }
}

static void print(const uint8_t digest[32])
{
    for (unsigned i = 0; i < 32; i++) {
        put_hex(digest[i], 2);
    }
    put_text("\n");
}

int _start(void)
{
    struct sha256 sha;
    uint8_t digest[32];
    uint64_t random = XORSHIFT64_SEED;

    for (unsigned i = 0; i < DATA_BYTES / 8; i++) {
        data[i] = xorshift64(&random);
    }

    begin(&sha);
    append(&sha, (const uint8_t *)data, DATA_BYTES);
    finish(&sha, digest);
    print(digest);

    for (int link = 1; link < LINKS; link++) {
        begin(&sha);
        append(&sha, digest, sizeof digest);
        append(&sha, (const uint8_t *)data, DATA_BYTES);
        finish(&sha, digest);
    }
    print(digest);
    return 0;
}
