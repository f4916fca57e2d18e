/* Devices behind memory: a 16550 driver, and every form of access a compiler or a driver writer might aim at a register. */
#include <emmintrin.h>

#include "guest.h"

enum { THR = 0, DLL = 0, IER = 1, DLM = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define LSR_THRE 0x20

#define SCRATCH_BYTES 4096u
#define FNV_OFFSET 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

static uint8_t buffer[256];

static void uart_initialise(volatile uint8_t *uart)
{
    uart[IER] = 0;
    uart[LCR] = LCR_8N1 | LCR_DLAB;
    uart[DLL] = 1; /* 115200 baud */
    uart[DLM] = 0;
    uart[LCR] = LCR_8N1;
    uart[FCR] = 0x07; /* enable and clear both FIFOs */
    uart[MCR] = 0x03; /* DTR, RTS */
}

static void uart_say(volatile uint8_t *uart, const char *text)
{
    for (; *text; text++) {
        while ((uart[LSR] & LSR_THRE) == 0) {
        }
        uart[THR] = (uint8_t)*text;
    }
}

static void string_store(void *destination, uint64_t value, uint64_t quadwords)
{
    __asm__ volatile("rep stosq" : "+D"(destination), "+c"(quadwords) : "a"(value) : "memory");
}

static void string_copy(void *destination, const void *source, uint64_t bytes)
{
    __asm__ volatile("rep movsb" : "+D"(destination), "+S"(source), "+c"(bytes) : : "memory");
}

static void plain_stores(volatile uint8_t *s)
{
    for (unsigned i = 0; i < 16; i++) {
        s[i] = (uint8_t)(i * 17);
    }
    for (unsigned i = 0; i < 8; i++) {
        ((volatile uint16_t *)(s + 0x10))[i] = (uint16_t)(0x1011 * (i + 1));
    }
    for (unsigned i = 0; i < 8; i++) {
        ((volatile uint32_t *)(s + 0x20))[i] = 0x12345678u * (i + 1);
    }
    for (unsigned i = 0; i < 8; i++) {
        ((volatile uint64_t *)(s + 0x40))[i] = 0x123456789abcdef1ull * (i + 1);
    }
    *(volatile uint64_t *)(s + 0x91) = 0xfedcba9876543210ull;
}

static void vector_accesses(volatile uint8_t *s)
{
    __m128i aligned, unaligned;

    __asm__ volatile("movdqa %1, %0" : "=x"(aligned) : "m"(*(__m128i *)(s + 0x40)));
    __asm__ volatile("movdqu %1, %0" : "=x"(unaligned) : "m"(*(__m128i *)(s + 0x53)));
    aligned = _mm_add_epi32(aligned, unaligned);
    __asm__ volatile("paddq %1, %0" : "+x"(unaligned) : "m"(*(__m128i *)(s + 0x60)));
    __asm__ volatile("movdqa %1, %0" : "=m"(*(__m128i *)(s + 0xa0)) : "x"(aligned));
    __asm__ volatile("movups %1, %0" : "=m"(*(__m128i *)(s + 0xb5)) : "x"(unaligned));
}

/* Returns what the instructions left in registers and flags, folded together. */
static uint64_t read_modify_write(volatile uint8_t *s)
{
    uint32_t exchanged = 0xa5a5a5a5;
    uint64_t added = 0x1111111111111111ull;
    uint64_t matching = *(volatile uint64_t *)(s + 0x50);
    uint64_t differing = 1;
    int64_t sign_extended;
    uint64_t zero_extended;
    uint8_t carry, was_set, swapped, not_swapped;

    __asm__ volatile("addb $0xf0, %0; setc %1" : "+m"(s[0x0f]), "=q"(carry) : : "cc");
    __asm__ volatile("orw $0x8001, %0" : "+m"(*(volatile uint16_t *)(s + 0x10)) : : "cc");
    __asm__ volatile("xorl $0x0f0f0f0f, %0" : "+m"(*(volatile uint32_t *)(s + 0x20)) : : "cc");
    __asm__ volatile("addq $-3, %0" : "+m"(*(volatile uint64_t *)(s + 0x40)) : : "cc");
    __asm__ volatile("incw %0" : "+m"(*(volatile uint16_t *)(s + 0x12)) : : "cc");
    __asm__ volatile("negl %0" : "+m"(*(volatile uint32_t *)(s + 0x24)) : : "cc");
    __asm__ volatile("notq %0" : "+m"(*(volatile uint64_t *)(s + 0x48)) : : "cc");
    __asm__ volatile("shll $3, %0" : "+m"(*(volatile uint32_t *)(s + 0x28)) : : "cc");
    __asm__ volatile("xchgl %0, %1" : "+r"(exchanged), "+m"(*(volatile uint32_t *)(s + 0x2c)));
    __asm__ volatile("lock xaddq %0, %1" : "+r"(added), "+m"(*(volatile uint64_t *)(s + 0x58)) : : "cc");
    __asm__ volatile("lock cmpxchgq %3, %1; sete %2"
                     : "+a"(matching), "+m"(*(volatile uint64_t *)(s + 0x50)), "=q"(swapped)
                     : "r"(0x7777777777777777ull)
                     : "cc");
    __asm__ volatile("lock cmpxchgq %3, %1; sete %2"
                     : "+a"(differing), "+m"(*(volatile uint64_t *)(s + 0x60)), "=q"(not_swapped)
                     : "r"(0x8888888888888888ull)
                     : "cc");
    __asm__ volatile("lock btsq $33, %0; setc %1" : "+m"(*(volatile uint64_t *)(s + 0x68)), "=q"(was_set) : : "cc");
    __asm__ volatile("movswq %1, %0" : "=r"(sign_extended) : "m"(*(volatile uint16_t *)(s + 0x1e)));
    __asm__ volatile("movzbl %1, %k0" : "=r"(zero_extended) : "m"(s[0x0e]));

    uint64_t folded = exchanged;
    const uint64_t parts[] = {added,       matching, differing, (uint64_t)sign_extended, zero_extended,
                              (uint64_t)(carry | swapped << 1 | not_swapped << 2 | was_set << 3)};
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        folded = (folded ^ parts[i]) * FNV_PRIME;
    }
    return folded;
}

static void strings(volatile uint8_t *s)
{
    string_copy(buffer, (const void *)s, sizeof buffer);
    for (unsigned i = 0; i < sizeof buffer; i++) {
        buffer[i] ^= 0xff;
    }
    string_copy((void *)(s + 0x107), buffer, sizeof buffer);
    string_copy((void *)(s + 0x300), (const void *)(s + 0x80), 128);
    string_store((void *)(s + 0xf80), 0x0123456789abcdefull, 16);
}

static uint64_t checksum(const volatile uint8_t *s)
{
    uint64_t hash = FNV_OFFSET;

    for (unsigned i = 0; i < SCRATCH_BYTES; i++) {
        hash = (hash ^ s[i]) * FNV_PRIME;
    }
    return hash;
}

int _start(const struct boot_info *boot)
{
    volatile uint8_t *uart = (volatile uint8_t *)(boot->direct_map + boot->uart_gpa);
    volatile uint8_t *scratch = (volatile uint8_t *)(boot->direct_map + boot->scratch_gpa);

    uart_initialise(uart);
    uart_say(uart, "Hello through the memory-mapped UART.\n");

    string_store((void *)scratch, 0, SCRATCH_BYTES / 8);
    plain_stores(scratch);
    vector_accesses(scratch);
    uint64_t registers = read_modify_write(scratch);
    strings(scratch);

    put_text("registers 0x");
    put_hex(registers, 16);
    put_text(", scratch 0x");
    put_hex(checksum(scratch), 16);
    put_text("\n");
    return 0;
}
