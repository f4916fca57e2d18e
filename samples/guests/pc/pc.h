/* What the guests of --machine pc share: ports, registers, exceptions as values, and a tally of checks. 32 and 64 bits. */
#ifndef PC_H
#define PC_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned long word;

#ifdef __x86_64__
#define MOV "movq"
#else
#define MOV "movl"
#endif

enum { KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, KERNEL_CODE32 = 0x18, USER_CODE32 = 0x23, USER_DATA = 0x2b, USER_CODE64 = 0x33 };
enum { CODE16 = 0x38, DATA16 = 0x40, TASK = 0x48, SPARE = 0x58 };
enum { DE, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS, GP, PF, MF = 16, AC, MC, XM };
enum { CF = 1, ZF = 0x40, TF = 0x100, IF = 0x200, NT = 0x4000, RF = 0x10000, VM = 0x20000, AC_FLAG = 0x40000 };
enum { EFER = 0xc0000080, STAR, LSTAR, CSTAR, FMASK, FS_BASE = 0xc0000100, GS_BASE, KERNEL_GS_BASE };

/* What an exception handler gets; it may change all of it. In 32-bit code sp and ss are there only if the privilege changed. */
struct frame {
#ifdef __x86_64__
    word r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
#else
    word es, ds, di, si, bp, unused, bx, dx, cx, ax;
#endif
    word vector, error, ip, cs, flags, sp, ss;
};

typedef void handler(struct frame *);

/* The last exception that TRY or run_user caught. */
struct trap {
    int vector; /* -1: none */
    word error, cr2, ip, cs, flags, ax;
};

extern volatile struct trap trap;
extern volatile word recover, recover_sp;
extern u64 gdt[64];
extern u8 stack_top[];
extern u32 boot_info;

void handle(int vector, handler *handler);
void set_gate(int vector, word target, int selector, int type);
void set_descriptor(int selector, u32 base, u32 limit, u32 attributes);
void set_stack0(word sp);

/* Runs code at CPL 3; int $0x81 or an exception ends it. Gives the vector, or -1. */
int run_user(word ip, word argument, word stack, int code);

int print(const char *format, ...);
void check(int good, const char *what);
void expect(const char *what, u64 got, u64 wanted);
void skip(const char *what);
void finish(void) __attribute__((noreturn));
void leave(int value) __attribute__((noreturn));
int main(void);

void zero(void *target, word bytes);
void copy(void *target, const void *source, word bytes);

/* Runs instructions; gives the vector of the exception that ended them, or -1. Operands follow as in asm(). */
#define TRY(code, ...) \
    ({ \
        trap.vector = -1; \
        asm volatile(MOV " $77f, recover\n\t" MOV " %%" SP ", recover_sp\n\t" code "\n77:\t" MOV " $0, recover" __VA_ARGS__); \
        trap.vector; \
    })

#ifdef __x86_64__
#define SP "rsp"
#else
#define SP "esp"
#endif

#define DEFINE_PORT(type, letter) \
    static inline type in##letter(u16 port) \
    { \
        type value; \
        asm volatile("in %1, %0" : "=a"(value) : "Nd"(port)); \
        return value; \
    } \
    static inline void out##letter(u16 port, type value) { asm volatile("out %0, %1" : : "a"(value), "Nd"(port)); }
DEFINE_PORT(u8, b)
DEFINE_PORT(u16, w)
DEFINE_PORT(u32, l)

#define DEFINE_REGISTER(name) \
    static inline word get_##name(void) \
    { \
        word value; \
        asm volatile("mov %%" #name ", %0" : "=r"(value)); \
        return value; \
    } \
    static inline void set_##name(word value) { asm volatile("mov %0, %%" #name : : "r"(value) : "memory"); } \
    static inline int try_##name(word value) { return TRY("mov %0, %%" #name, : : "r"(value) : "memory"); }
DEFINE_REGISTER(cr0)
DEFINE_REGISTER(cr2)
DEFINE_REGISTER(cr3)
DEFINE_REGISTER(cr4)
DEFINE_REGISTER(dr0)
DEFINE_REGISTER(dr1)
DEFINE_REGISTER(dr2)
DEFINE_REGISTER(dr3)
DEFINE_REGISTER(dr6)
DEFINE_REGISTER(dr7)

static inline u64 rdmsr(u32 index)
{
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (u64)high << 32 | low;
}

static inline void wrmsr(u32 index, u64 value)
{
    asm volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline int try_rdmsr(u32 index)
{
    return TRY("rdmsr", : : "c"(index) : "eax", "edx");
}

static inline int try_wrmsr(u32 index, u64 value)
{
    return TRY("wrmsr", : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}

struct leaf {
    u32 a, b, c, d;
};

static inline struct leaf cpuid(u32 leaf, u32 subleaf)
{
    struct leaf r;
    asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline word flags(void)
{
    word value;
    asm volatile("pushf; pop %0" : "=r"(value));
    return value;
}

static inline void cli(void) { asm volatile("cli" : : : "memory"); }
static inline void sti(void) { asm volatile("sti" : : : "memory"); }
static inline void sti_nop_cli(void) { asm volatile("sti; nop; cli" : : : "memory"); }
static inline void relax(void) { asm volatile("pause" : : : "memory"); }

#endif
