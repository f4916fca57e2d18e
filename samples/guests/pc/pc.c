#include "pc.h"
#include <stdarg.h>

enum { SERIAL = 0x3f8, LINE_STATUS = 5, CAN_SEND = 0x20, EXIT = 0xf4, USER_END = 0x81, MINE = 0x7f };

volatile struct trap trap;
volatile word recover, recover_sp;
extern volatile word user_back;
extern u8 vectors[], boot_pml4[];

void recover_now(struct frame *frame) __attribute__((noreturn));
void unwind_user(void) __attribute__((noreturn));

static handler *handlers[256];
static int checks, failures;
static volatile int printing;

#ifdef __x86_64__
static struct {
    u16 offset0, selector;
    u16 type, offset1;
    u32 offset2, reserved;
} idt[256];
static struct {
    u32 reserved;
    u64 sp[3], ist[8];
    u32 reserved2[2];
    u16 reserved3, map;
} __attribute__((packed)) task;
#else
static struct {
    u16 offset0, selector;
    u16 type, offset1;
} idt[256];
struct {
    u32 link, sp0, ss0, rest[22];
    u16 trap, map;
} task;
#endif

void zero(void *target, word bytes) { asm volatile("rep stosb" : "+D"(target), "+c"(bytes) : "a"(0) : "memory"); }

void copy(void *target, const void *source, word bytes)
{
    asm volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
}

static void put(char c)
{
    while (!(inb(SERIAL + LINE_STATUS) & CAN_SEND))
        relax();
    outb(SERIAL, c);
}

static void put_number(u64 value, unsigned base)
{
    char digits[24];
    int n = 0;
    u32 high = value >> 32, low = value;
    if (base == 16) {
        do
            digits[n++] = "0123456789abcdef"[value & 15];
        while (value >>= 4);
    } else {
        do {
            u32 rest = high % 10;
            high /= 10;
            asm("divl %2" : "+a"(low), "+d"(rest) : "r"(10));
            digits[n++] = '0' + rest;
        } while (high | low);
    }
    while (n)
        put(digits[--n]);
}

/* %s %c %d %u %x, and %lu %lx for 64 bits. */
int print(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    while (__atomic_exchange_n(&printing, 1, __ATOMIC_ACQUIRE))
        relax();
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        int wide = *++format == 'l';
        format += wide;
        if (*format == 's') {
            for (const char *text = va_arg(list, const char *); *text; text++)
                put(*text);
        } else if (*format == 'c') {
            put(va_arg(list, int));
        } else {
            u64 value = wide ? va_arg(list, u64) : va_arg(list, u32);
            if (*format == 'd' && (int)value < 0) {
                put('-');
                value = -(int)value;
            }
            put_number(value, *format == 'x' ? 16 : 10);
        }
    }
    __atomic_store_n(&printing, 0, __ATOMIC_RELEASE);
    va_end(list);
    return 0;
}

void check(int good, const char *what)
{
    checks++;
    failures += !good;
    print("%s: %s\n", good ? "PASS" : "FAIL", what);
}

void expect(const char *what, u64 got, u64 wanted)
{
    if (got == wanted) {
        check(1, what);
        return;
    }
    checks++;
    failures++;
    print("FAIL: %s: 0x%lx, expected 0x%lx\n", what, got, wanted);
}

void skip(const char *what) { print("SKIP: %s\n", what); }

void leave(int value)
{
    outl(EXIT, value);
    for (;;)
        asm volatile("cli; hlt");
}

void finish(void)
{
    print("SUMMARY: %u tests, %u failed\n", checks, failures);
    leave(failures != 0);
}

void handle(int vector, handler *handler) { handlers[vector] = handler; }

void set_gate(int vector, word target, int selector, int type)
{
    idt[vector].offset0 = target;
    idt[vector].selector = selector;
    idt[vector].type = type << 8;
    idt[vector].offset1 = target >> 16;
#ifdef __x86_64__
    idt[vector].offset2 = target >> 32;
#endif
}

/* attributes: type, S, DPL and P in bits 0 to 7, G and D and L in bits 12 to 15. */
void set_descriptor(int selector, u32 base, u32 limit, u32 attributes)
{
    gdt[selector / 8] = (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(attributes & 0xff) << 40
        | (u64)(limit >> 16 & 0xf) << 48 | (u64)(attributes >> 12 & 0xf) << 52 | (u64)(base >> 24) << 56;
}

void set_stack0(word sp)
{
#ifdef __x86_64__
    task.sp[0] = sp;
#else
    task.sp0 = sp;
    task.ss0 = KERNEL_DATA;
#endif
}

void interrupt(struct frame *frame)
{
    if (handlers[frame->vector]) {
        handlers[frame->vector](frame);
        return;
    }
    int from_user = (frame->cs & 3) == 3 && user_back;
    if (from_user && frame->vector == USER_END) {
        trap.ax = frame->ax;
        unwind_user();
    }
    trap.vector = frame->vector;
    trap.error = frame->error;
    trap.cr2 = get_cr2();
    trap.ip = frame->ip;
    trap.cs = frame->cs;
    trap.flags = frame->flags;
    trap.ax = frame->ax;
    if (from_user)
        unwind_user();
    if (recover)
        recover_now(frame);
    print("Unexpected exception %u, error 0x%x, at %x:0x%lx, CR2 0x%lx\n", (u32)frame->vector, (u32)frame->error, (u32)frame->cs,
        (u64)frame->ip, (u64)trap.cr2);
    leave(MINE);
}

void load_idt(void)
{
    struct {
        u16 limit;
        word base;
    } __attribute__((packed)) pointer = {sizeof idt - 1, (word)idt};
    asm volatile("lidt %0" : : "m"(pointer));
}

void begin(void)
{
    static u8 stack0[4096] __attribute__((aligned(16)));
    for (int i = 0; i < 256; i++)
        set_gate(i, (word)(vectors + 16 * i), KERNEL_CODE, 0x8e);
    set_gate(BP, (word)(vectors + 16 * BP), KERNEL_CODE, 0xee);
    set_gate(OF, (word)(vectors + 16 * OF), KERNEL_CODE, 0xee);
    set_gate(USER_END, (word)(vectors + 16 * USER_END), KERNEL_CODE, 0xee);
    load_idt();
    task.map = sizeof task;
    set_stack0((word)(stack0 + sizeof stack0));
    set_descriptor(TASK, (u32)(word)&task, sizeof task - 1, 0x89);
    gdt[TASK / 8 + 1] = 0;
    asm volatile("ltr %w0; lldt %w1" : : "r"(TASK), "r"(0));
    main();
    finish();
}
