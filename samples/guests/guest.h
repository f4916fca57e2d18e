/* What every guest shares: the boot protocol's structure, ports, and a console of a few functions (runtime.c). */
#ifndef QUADWALK_GUEST_H
#define QUADWALK_GUEST_H

#include <stddef.h>
#include <stdint.h>

#define BOOT_MAGIC 0x4b4c415744415551ull /* "QUADWALK" */

struct boot_info {
    uint64_t magic;
    uint64_t size;
    uint64_t ram_bytes;
    uint64_t direct_map;
    uint64_t free_start;
    uint64_t free_end;
    uint64_t uart_gpa;
    uint64_t scratch_gpa;
};

_Static_assert(sizeof(struct boot_info) == 64, "the protocol fixes the size");

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint64_t read_cr0(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline uint64_t read_cr2(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline uint64_t read_cr3(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

/* xorshift64 with shifts 13, 7, 17 (Marsaglia 2003); the state is the output. */
static inline uint64_t xorshift64(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

#define XORSHIFT64_SEED 88172645463325252ull

void put_char(char c);
void put_text(const char *text);
void put_decimal(uint64_t value);
void put_hex(uint64_t value, unsigned digits);

#endif
