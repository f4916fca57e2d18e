/*
 * A demand pager: every page of a sparse region is absent until touched. The page-fault handler checks CR2 and the
 * error code against what the touching code announced, then maps a frame by writing entries through the direct map.
 */
#include "interrupts.h"

#define REGION 0x0000100000000000ull
#define STRIDE 0x111000ull
#define PAGES 4096u
#define CODE_PAGE 0x0000200000000000ull
#define RESERVED_PAGE 0x0000300000000000ull

#define PTE_P 0x001ull
#define PTE_W 0x002ull
#define PTE_A 0x020ull
#define PTE_D 0x040ull
#define PTE_PS 0x080ull
#define PTE_NX (1ull << 63)
#define PTE_FRAME 0x000ffffffffff000ull

enum { ABSENT_READ = 0x00, ABSENT_WRITE = 0x02, WRITE_PROTECTED = 0x03, RESERVED_BIT = 0x09, NO_EXECUTE = 0x11 };

static uint64_t direct_map;
static uint64_t next_free;
static uint64_t free_end;

static volatile uint64_t expected_address;
static volatile uint64_t expected_code;
static volatile unsigned wrong;
static volatile unsigned faults[32];

static uint64_t *at(uint64_t gpa)
{
    return (uint64_t *)(direct_map + gpa);
}

static uint64_t take_frame(void)
{
    uint64_t frame = next_free;

    if (frame >= free_end) {
        put_text("Out of memory.\n");
        for (;;) {
            __asm__ volatile("cli; hlt");
        }
    }
    next_free += 4096;
    for (unsigned i = 0; i < 512; i++) {
        at(frame)[i] = 0;
    }
    return frame;
}

/* The entry at the given shift (39 PML4E .. 12 PTE); missing tables above it are made. */
static uint64_t *entry_at(uint64_t address, unsigned level_shift)
{
    uint64_t *table = at(read_cr3() & PTE_FRAME);

    for (unsigned shift = 39;; shift -= 9) {
        uint64_t *entry = &table[address >> shift & 511];
        if (shift == level_shift) {
            return entry;
        }
        if ((*entry & PTE_P) == 0) {
            *entry = take_frame() | PTE_P | PTE_W;
        }
        table = at(*entry & PTE_FRAME);
    }
}

static inline void invalidate(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* Returns to the faulting instruction, which then succeeds or faults for the next reason. */
__attribute__((used, target("general-regs-only"))) void handle_page_fault(uint64_t code)
{
    uint64_t address = read_cr2();

    if (address != expected_address || code != expected_code) {
        wrong++;
    }
    faults[code & 31]++;

    uint64_t page = address & ~4095ull;
    switch (code) {
    case ABSENT_READ:
        *entry_at(page, 12) = take_frame() | PTE_P | PTE_NX;
        break;
    case ABSENT_WRITE:
        *entry_at(page, 12) = take_frame() | PTE_P | PTE_W | PTE_NX;
        break;
    case WRITE_PROTECTED:
        *entry_at(page, 12) |= PTE_W;
        invalidate(page);
        break;
    case NO_EXECUTE:
        *entry_at(page, 12) &= ~PTE_NX;
        invalidate(page);
        break;
    case RESERVED_BIT:
        *entry_at(page, 39) = 0;
        invalidate(page);
        expected_code = ABSENT_READ;
        break;
    default:
        put_text("A page fault nobody planned.\n");
        for (;;) {
            __asm__ volatile("cli; hlt");
        }
    }
}

void page_fault_entry(void);
__asm__(".text\n"
        "page_fault_entry:\n"
        "    push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"
        "    push %r8; push %r9; push %r10; push %r11; push %rbx\n"
        "    mov 80(%rsp), %rdi\n"
        "    mov %rsp, %rbx\n"
        "    and $-16, %rsp\n"
        "    cld\n"
        "    call handle_page_fault\n"
        "    mov %rbx, %rsp\n"
        "    pop %rbx; pop %r11; pop %r10; pop %r9; pop %r8\n"
        "    pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
        "    add $8, %rsp\n"
        "    iretq\n");

static uint64_t word_address(unsigned page)
{
    return REGION + page * STRIDE + page * 8 % 4096;
}

static uint64_t read(unsigned page, uint64_t code)
{
    expected_address = word_address(page);
    expected_code = code;
    return *(volatile uint64_t *)expected_address;
}

static void write(unsigned page, uint64_t value, uint64_t code)
{
    expected_address = word_address(page);
    expected_code = code;
    *(volatile uint64_t *)expected_address = value;
}

/* Even pages are read before they are written, odd pages are written at once. */
static void first_touch(void)
{
    uint64_t random = XORSHIFT64_SEED;

    for (unsigned page = 0; page < PAGES; page++) {
        if (page % 2 == 0) {
            if (read(page, ABSENT_READ) != 0) {
                wrong++;
            }
            if ((*entry_at(word_address(page), 12) & (PTE_A | PTE_D)) != PTE_A) {
                wrong++;
            }
            write(page, xorshift64(&random), WRITE_PROTECTED);
        } else {
            write(page, xorshift64(&random), ABSENT_WRITE);
        }
        if ((*entry_at(word_address(page), 12) & (PTE_A | PTE_D)) != (PTE_A | PTE_D)) {
            wrong++;
        }
    }
}

/* Every eighth page loses its frame, faults in an empty one, and then gets the old frame back. */
static void unmap_and_remap(void)
{
    for (unsigned page = 0; page < PAGES; page += 8) {
        uint64_t *entry = entry_at(word_address(page), 12);
        uint64_t before = *entry;

        *entry = 0;
        invalidate(word_address(page));
        if (read(page, ABSENT_READ) != 0) {
            wrong++;
        }
        *entry = before;
        invalidate(word_address(page));
    }
}

/* Pages 1 and 513 hold their word at the same offset: exchanging frames exchanges the words. */
static void exchange_frames(void)
{
    uint64_t *one = entry_at(word_address(1), 12);
    uint64_t *other = entry_at(word_address(513), 12);
    uint64_t entry = *one;

    *one = *other;
    *other = entry;
    invalidate(word_address(1));
    invalidate(word_address(513));
}

static void run_data(void)
{
    expected_address = CODE_PAGE;
    expected_code = ABSENT_WRITE;
    *(volatile uint8_t *)CODE_PAGE = 0xc3; /* ret */
    expected_code = NO_EXECUTE;
    __asm__ volatile("call *%0" : : "r"(CODE_PAGE) : "memory");
}

static void touch_reserved_bit(void)
{
    *entry_at(RESERVED_PAGE, 39) = PTE_P | PTE_PS; /* bit 7 is reserved in a PML4E */
    expected_address = RESERVED_PAGE;
    expected_code = RESERVED_BIT;
    if (*(volatile uint64_t *)RESERVED_PAGE != 0) {
        wrong++;
    }
}

static void report(const char *name, unsigned code)
{
    put_text(name);
    put_decimal(faults[code]);
    put_text("\n");
}

int _start(const struct boot_info *boot)
{
    uint64_t checksum = 0;

    direct_map = boot->direct_map;
    next_free = boot->free_start;
    free_end = boot->free_end;
    install_page_fault_handler(page_fault_entry);

    first_touch();
    unmap_and_remap();
    exchange_frames();
    run_data();
    touch_reserved_bit();

    for (unsigned page = 0; page < PAGES; page++) {
        checksum = (checksum << 1 | checksum >> 63) ^ read(page, ABSENT_READ);
    }

    report("absent, read: ", ABSENT_READ);
    report("absent, write: ", ABSENT_WRITE);
    report("write-protected: ", WRITE_PROTECTED);
    report("reserved bit: ", RESERVED_BIT);
    report("no-execute: ", NO_EXECUTE);
    put_text("unexpected: ");
    put_decimal(wrong);
    put_text("\nchecksum: 0x");
    put_hex(checksum, 16);
    put_text("\n");
    return wrong == 0 ? 0 : 1;
}
