/* The Mandelbrot set in 80-bit arithmetic: x87 additions, multiplications and comparisons, exact to the bit. */
#include "guest.h"

#define WIDTH 64
#define HEIGHT 48
#define LIMIT 200
#define PASSES 8

static uint64_t iterations;

/* The pixel's last z, of which every bit of both significands goes into the checksum. */
static __attribute__((noinline)) uint64_t follow(long double cr, long double ci)
{
    long double zr = 0, zi = 0, parts[2];
    uint64_t significands[2];

    for (unsigned i = 0; i < LIMIT; i++) {
        long double rr = zr * zr, ii = zi * zi;

        if (rr + ii > 4) {
            break;
        }
        zi = 2 * (zr * zi) + ci;
        zr = rr - ii + cr;
        iterations++;
    }
    parts[0] = zr;
    parts[1] = zi;
    for (unsigned i = 0; i < 2; i++) {
        __builtin_memcpy(&significands[i], &parts[i], sizeof significands[i]);
    }
    return significands[0] ^ (significands[1] << 32 | significands[1] >> 32);
}

static uint64_t picture(void)
{
    uint64_t checksum = 0;

    iterations = 0;
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            long double cr = (long double)(3 * x) / WIDTH - 2.25L;
            long double ci = (long double)(2 * y) / HEIGHT - 1;
            checksum = (checksum << 1 | checksum >> 63) ^ follow(cr, ci);
        }
    }
    return checksum;
}

int _start(void)
{
    uint64_t checksum = picture();

    for (int pass = 1; pass < PASSES; pass++) {
        if (picture() != checksum) {
            put_text("The passes disagree.\n");
            return 1;
        }
    }
    put_decimal(iterations);
    put_text(" iterations, checksum 0x");
    put_hex(checksum, 16);
    put_text("\n");
    return 0;
}
