/* Single steps and DR0 to DR7: what DR6 says, faults and traps, RF, I/O breakpoints, GD, ICEBP, shadows. */
#include "pages.h"

enum { BD = 1 << 13, BS = 1 << 14, FIXED6 = 0xffff0ff0, GD = 1 << 13 };
enum { ON_FETCH = 0, ON_WRITE = 1, ON_PORT = 2, ON_ACCESS = 3 };

static volatile int hits, set_rf = 1;
static volatile word ips[16], dr6s[16], flags_then[16];
static volatile u64 data[4] __attribute__((aligned(32)));

static void note(struct frame *frame)
{
    if (hits < 16) {
        ips[hits] = frame->ip;
        dr6s[hits] = get_dr6();
        flags_then[hits] = frame->flags;
    }
    hits++;
    set_dr6(0);
    if (set_rf)
        frame->flags |= RF;
    if (hits >= 16)
        frame->flags &= ~(word)TF;
}

static void watch(int n, const volatile void *at, int kind, int length)
{
    word dr7 = get_dr7() & ~(0xful << (16 + 4 * n));
    switch (n) {
    case 0: set_dr0((word)at); break;
    case 1: set_dr1((word)at); break;
    case 2: set_dr2((word)at); break;
    default: set_dr3((word)at); break;
    }
    set_dr7(dr7 | 2ul << 2 * n | (word)(kind | (length == 8 ? 2 : length - 1) << 2) << (16 + 4 * n));
    hits = 0;
}

static void off(void) { set_dr7(0x400); }

#define STEP(code, at, ...) \
    hits = 0; \
    asm volatile("lea 1f(%%rip), %0; pushf; orq $0x100, (%%rsp); popf\n" code "\n pushf; andq $~0x100, (%%rsp); popf\n" : "=&r"(at) : __VA_ARGS__)

static void steps(void)
{
    word at;
    STEP("nop\n1: nop", at, : "memory");
    expect("a step after the instruction that follows POPF", ips[0], at);
    expect("DR6 has BS", dr6s[0] & 0xffff, (BS | FIXED6) & 0xffff);
    expect("a step an instruction", hits, 5);
    check(flags_then[0] & TF, "the frame has TF");
    STEP("mov %%ss, %%eax; mov %%eax, %%ss; nop\n1: nop", at, : "eax", "memory");
    expect("MOV SS swallows its step", ips[1], at);
    STEP("mov $3, %%ecx; 2: loop 2b\n1: nop", at, : "ecx", "memory");
    expect("a step each turn of a loop", ips[3], at);
    STEP("mov $3, %%ecx; lea data(%%rip), %%rdi; rep stosb\n1: nop", at, : "ecx", "rdi", "memory");
    expect("a step each turn of REP", ips[4], at);
}

static void faults(void)
{
    extern u8 here[], there[];
    watch(0, here, ON_FETCH, 1);
    asm volatile("here: nop" : : : "memory");
    expect("an instruction breakpoint", hits, 1);
    expect("is a fault", ips[0], (word)here);
    expect("with B0", dr6s[0], 0xffff0ff1);
    check(!(flags_then[0] & RF), "RF is 0 in its frame, unlike other faults'");
    off();
    watch(1, there, ON_FETCH, 1);
    asm volatile("pushf; orq $0x10000, (%%rsp); popf\n there: nop" : : : "memory");
    expect("POPF does not set RF", hits, 1);
    expect("with B1", dr6s[0] & 0xf, 2);
    off();
}

static void data_breakpoints(void)
{
    word at;
    watch(0, data, ON_WRITE, 8);
    asm volatile("lea 1f(%%rip), %0; movb $1, data+7(%%rip)\n1: nop" : "=r"(at) : : "memory");
    expect("a write of one of 8 bytes", hits, 1);
    expect("is a trap", ips[0], at);
    expect("with B0", dr6s[0], 0xffff0ff1);
    asm volatile("mov data(%%rip), %%rax" : : : "rax");
    expect("a read gives none", hits, 1);
    asm volatile("movb $1, data+8(%%rip)" : : : "memory");
    expect("nor the byte behind", hits, 1);
    asm volatile("movl $1, data-3+32(%%rip); incb data(%%rip)" : : : "memory");
    expect("a read and write gives one", hits, 2);
    watch(3, (u8 *)data + 12, ON_ACCESS, 4);
    asm volatile("mov data+8(%%rip), %%rax" : : : "rax");
    expect("a read of 4 bytes", hits, 1);
    expect("with B3", dr6s[0] & 0xf, 8);
    asm volatile("mov data+8(%%rip), %%eax" : : : "rax");
    expect("not of those before", hits, 1);
    asm volatile("push data+12(%%rip); pop %%rax" : : : "rax", "memory");
    expect("by PUSH", hits, 2);
    watch(3, data + 1, ON_WRITE, 2);
    watch(0, data + 1, ON_WRITE, 1);
    asm volatile("movq $1, data+8(%%rip)" : : : "memory");
    expect("two at once", dr6s[0] & 0xf, 9);
    STEP("movq $2, data+8(%%rip)\n1: nop", at, : "memory");
    expect("with a step too", dr6s[0] & 0xffff, (FIXED6 | BS | 9) & 0xffff);
    off();
    watch(2, data + 2, ON_WRITE, 4);
    asm volatile("lea data(%%rip), %%rdi; mov $4, %%ecx; rep stosq" : : : "rdi", "rcx", "memory");
    expect("within REP STOS", hits, 1);
    off();
}

static void ports(void)
{
    set_cr4(get_cr4() | 8);
    watch(2, (void *)0xe0, ON_PORT, 4);
    outb(0xe1, 5);
    expect("a port with CR4.DE", hits, 1);
    expect("with B2", dr6s[0] & 0xf, 4);
    (void)inl(0xe0);
    expect("read as well", hits, 2);
    outb(0xe4, 0);
    expect("not the port behind", hits, 2);
    off();
    expect("#UD for DR4 with CR4.DE", TRY("mov %%dr4, %%rax", : : : "rax"), UD);
    set_cr4(get_cr4() & ~8ul);
    set_dr6(0);
    word dr4 = 1;
    expect("DR4 is DR6 without CR4.DE", TRY("mov %%dr4, %0", : "=r"(dr4)), -1);
}

static void registers(void)
{
    set_dr6(0);
    expect("DR6 has its fixed bits", get_dr6() & ~0x10800ul, FIXED6 & ~0x10800ul);
    set_dr7(0);
    expect("DR7 has bit 10", get_dr7(), 0x400);
    expect("#GP for the upper half of DR6", try_dr6(1ul << 32), GP);
    expect("#GP for the upper half of DR7", try_dr7(1ul << 32), GP);
    expect("DR0 takes 64 bits", try_dr0(0xffff800012345678), -1);
    expect("and gives them", get_dr0(), 0xffff800012345678);
    set_dr7(0x400 | GD);
    word value;
    handle(DB, 0);
    expect("GD protects the registers", TRY("mov %%dr0, %0", : "=r"(value)), DB);
    expect("with BD", get_dr6() & BD, BD);
    check(!(get_dr7() & GD), "and GD is 0 in the handler");
    set_dr6(0);
    expect("INT1", TRY(".byte 0xf1", : : : "memory"), DB);
    handle(DB, note);
    set_dr6(0);
    off();
}

int main(void)
{
    handle(DB, note);
    registers();
    steps();
    faults();
    data_breakpoints();
    ports();
    return 0;
}
