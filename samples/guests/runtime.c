/* The console on port 0xe9, and the two functions gcc may call even from freestanding code. */
#include "guest.h"

void put_char(char c)
{
    outb(0xe9, (uint8_t)c);
}

void put_text(const char *text)
{
    while (*text) {
        put_char(*text++);
    }
}

void put_decimal(uint64_t value)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);

    while (count != 0) {
        put_char(digits[--count]);
    }
}

void put_hex(uint64_t value, unsigned digits)
{
    while (digits != 0) {
        put_char("0123456789abcdef"[value >> (4 * --digits) & 15]);
    }
}

void *memset(void *destination, int value, size_t count)
{
    void *d = destination;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(count) : "a"(value) : "memory");
    return destination;
}

void *memcpy(void *restrict destination, const void *restrict source, size_t count)
{
    void *d = destination;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(source), "+c"(count) : : "memory");
    return destination;
}
