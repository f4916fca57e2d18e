/* Segments in 32-bit code: limits, types, privileges, call gates, conforming code, the LDT, LAR and its kin. */
#include "pc.h"

enum { DATA = 0x93, READ_ONLY = 0x91, DOWN = 0x97, CODE = 0x9b, EXECUTE_ONLY = 0x99, CONFORMING = 0x9f, DPL3 = 0x60, BIG = 0x4000, PAGES = 0x8000 };
enum { S1 = SPARE, S2 = SPARE + 8, S3 = SPARE + 16, LDT = SPARE + 24, GATE = SPARE + 32 };

static u8 memory[8192] __attribute__((aligned(4096)));
static u64 ldt[4];
static u8 user_stack[1024] __attribute__((aligned(16)));
extern volatile u32 seen_cs, seen_ss, seen_args[4], out_value;
extern u8 gate_target[], gate_target0[], far_target[], user_gate[], code16[], user_conforming[], user_inner[], user_load[];

asm(".pushsection .bss\nseen_cs: .skip 4\nseen_ss: .skip 4\nseen_args: .skip 16\nout_value: .skip 4\n.popsection\n"
    ".pushsection .text.entries, \"ax\"\n"
    "gate_target: push %eax\n mov $0x10, %eax\n mov %eax, %ds\n mov %cs, seen_cs\n mov %ss, seen_ss\n"
    " mov 12(%esp), %eax\n mov %eax, seen_args\n mov 16(%esp), %eax\n mov %eax, seen_args+4\n pop %eax\n lret $8\n"
    "gate_target0: mov %cs, seen_cs\n lret\n"
    "far_target: mov %cs, seen_cs\n lret\n"
    "user_gate: pushl $0x1111\n pushl $0x2222\n lcall $0x78, $0\n mov $0x2b, %ecx\n mov %ecx, %ds\n mov %esp, %eax\n int $0x81\n"
    "user_conforming: lcall $0x58, $far_target\n int $0x81\n"
    "user_inner: lcall $0x08, $far_target\n int $0x81\n"
    "user_load: mov %eax, %es\n mov %es, %eax\n int $0x81\n"
    ".code16\ncode16: mov $0x12345678, %eax\n mov $0x9abc, %ax\n movl %eax, %edx\n lretl\n.code32\n"
    ".popsection");

static int load_es(int selector) { return TRY("mov %0, %%es", : : "r"(selector)); }

/* An access through ES of so many bytes; ES goes back after it. */
static int reads(int selector, u32 offset, int bytes)
{
    int vector = -1;
    if (bytes == 1)
        vector = TRY("mov %0, %%es; movb %%es:(%1), %%al", : : "r"(selector), "r"(offset) : "eax");
    else if (bytes == 4)
        vector = TRY("mov %0, %%es; movl %%es:(%1), %%eax", : : "r"(selector), "r"(offset) : "eax");
    asm volatile("mov %0, %%es" : : "r"(KERNEL_DATA));
    return vector;
}

static int writes(int selector, u32 offset)
{
    int vector = TRY("mov %0, %%es; movb $1, %%es:(%1)", : : "r"(selector), "r"(offset) : "memory");
    asm volatile("mov %0, %%es" : : "r"(KERNEL_DATA));
    return vector;
}

static int far_call(int selector, u32 offset)
{
    struct {
        u32 offset;
        u16 selector;
    } __attribute__((packed)) target = {offset, selector};
    return TRY("lcall *%0", : : "m"(target) : "eax", "edx", "memory");
}

static void limits(void)
{
    set_descriptor(S1, (u32)memory, 0xfff, DATA | BIG);
    memory[0] = 0x77;
    u32 value;
    asm volatile("mov %1, %%fs; movzbl %%fs:0, %0" : "=r"(value) : "r"(S1));
    expect("a base", value, 0x77);
    expect("the last byte", reads(S1, 0xfff, 1), -1);
    expect("the one behind", reads(S1, 0x1000, 1), GP);
    expect("its error code", trap.error, 0);
    expect("four bytes up to the limit", reads(S1, 0xffc, 4), -1);
    expect("four bytes over it", reads(S1, 0xffd, 4), GP);
    expect("at the top of the offsets", reads(S1, 0xffffffff, 1), GP);
    set_descriptor(S1, (u32)memory, 1, DATA | BIG | PAGES);
    expect("a limit in pages", reads(S1, 0x1fff, 1), -1);
    expect("and one more", reads(S1, 0x2000, 1), GP);
    set_descriptor(S1, (u32)memory - 0x1000, 0xfff, DOWN | BIG);
    expect("expand-down, at its limit", reads(S1, 0xfff, 1), GP);
    expect("and above", reads(S1, 0x1000, 1), -1);
    set_descriptor(S1, (u32)memory, 0x10, DOWN);
    expect("expand-down with 64 KiB, over its end", reads(S1, 0x10000, 1), GP);
}

static void types(void)
{
    set_descriptor(S1, (u32)memory, 0xfff, READ_ONLY | BIG);
    expect("a read of read-only data", reads(S1, 0, 1), -1);
    expect("a write", writes(S1, 0), GP);
    set_descriptor(S1, (u32)memory, 0xfff, CODE | BIG);
    expect("a read of readable code", reads(S1, 0, 1), -1);
    expect("a write", writes(S1, 0), GP);
    set_descriptor(S1, (u32)memory, 0xfff, EXECUTE_ONLY | BIG);
    expect("execute-only code in ES", load_es(S1), GP);
    expect("its error code", trap.error, S1);
    expect("a null ES", TRY("mov %0, %%es; mov %1, %%es", : : "r"(0), "r"(KERNEL_DATA)), -1);
    expect("a read through it", reads(0, 0, 1), GP);
    expect("a null SS", TRY("mov %0, %%ss", : : "r"(0)), GP);
    expect("read-only data in SS", (set_descriptor(S1, 0, 0xfffff, READ_ONLY | BIG | PAGES), TRY("mov %0, %%ss", : : "r"(S1))), GP);
    expect("SS with another RPL", TRY("mov %0, %%ss", : : "r"(KERNEL_DATA | 3)), GP);
    expect("SS not present", (set_descriptor(S1, 0, 0xfffff, 0x13 | BIG | PAGES), TRY("mov %0, %%ss", : : "r"(S1))), SS);
    expect("ES not present", load_es(S1), NP);
    expect("a TSS in ES", load_es(TASK), GP);
    expect("#UD for CS", TRY(".byte 0x8e, 0xc8", : : : "memory"), UD);
    set_descriptor(S1, 0, 0xfffff, 0x92 | BIG | PAGES);
    asm volatile("mov %0, %%es; mov %1, %%es" : : "r"(S1), "r"(KERNEL_DATA));
    expect("loading sets the accessed bit", gdt[S1 / 8] >> 40 & 1, 1);
}

static void far_transfers(void)
{
    expect("a far call", far_call(KERNEL_CODE, (u32)far_target), -1);
    expect("to null", far_call(0, (u32)far_target), GP);
    expect("to data", far_call(KERNEL_DATA, (u32)far_target), GP);
    expect("its error code", trap.error, KERNEL_DATA);
    set_descriptor(S1, 0, 0xfffff, 0x1b | BIG | PAGES);
    expect("to code that is not present", far_call(S1, (u32)far_target), NP);
    set_descriptor(S1, 0, 0xfffff, (CODE | DPL3) | BIG | PAGES);
    expect("to outer code", far_call(S1, (u32)far_target), GP);
    set_descriptor(S1, 0, 0xff, CODE | BIG);
    expect("beyond the limit of CS", far_call(S1, 0x100), GP);
    expect("its error code", trap.error, 0);
    set_descriptor(S1, 0, 0xfffff, CODE | BIG | PAGES);
    expect("to other code", far_call(S1, (u32)far_target), -1);
    expect("CS there", (u16)seen_cs, S1);
    set_descriptor(S2, (u32)code16, 0xffff, CODE);
    u32 result;
    struct {
        u32 offset;
        u16 selector;
    } __attribute__((packed)) target = {0, S2};
    asm volatile("lcall *%1" : "=d"(result) : "m"(target) : "eax", "memory");
    expect("16-bit code with its operand sizes", result, 0x12349abc);
}

static void gates(void)
{
    gdt[GATE / 8] = ((u32)gate_target & 0xffff) | (u64)KERNEL_CODE << 16 | 2ull << 32 | 0xecull << 40 | (u64)((u32)gate_target >> 16) << 48;
    word esp = (word)(user_stack + sizeof user_stack);
    expect("a call gate from CPL 3", run_user((word)user_gate, 0, esp, USER_CODE32), -1);
    expect("CS in it", (u16)seen_cs, KERNEL_CODE);
    expect("SS in it", (u16)seen_ss, KERNEL_DATA);
    expect("its parameters", seen_args[0] << 16 | seen_args[1], 0x22221111);
    expect("RET n releases them", trap.ax, esp);
    gdt[GATE / 8] &= ~(3ull << 45);
    expect("a gate with DPL 0", run_user((word)user_gate, 0, esp, USER_CODE32), GP);
    expect("its error code", trap.error, GATE);
    gdt[GATE / 8] = (gdt[GATE / 8] | 3ull << 45) & ~(1ull << 47);
    expect("a gate that is not present", run_user((word)user_gate, 0, esp, USER_CODE32), NP);
    gdt[GATE / 8] = ((u32)gate_target0 & 0xffff) | (u64)KERNEL_CODE << 16 | 0xecull << 40 | (u64)((u32)gate_target0 >> 16) << 48;
    seen_cs = 0;
    expect("a call gate at the same privilege", far_call(GATE, 0), -1);
    expect("was taken", (u16)seen_cs, KERNEL_CODE);
    set_descriptor(S1, 0, 0xfffff, CONFORMING | BIG | PAGES);
    expect("conforming code from CPL 3", run_user((word)user_conforming, 0, esp, USER_CODE32), -1);
    expect("keeps CPL 3", (u16)seen_cs, S1 | 3);
    expect("inner code without a gate", run_user((word)user_inner, 0, esp, USER_CODE32), GP);
    expect("its error code", trap.error, KERNEL_CODE);
    expect("inner data", run_user((word)user_load, KERNEL_DATA, esp, USER_CODE32), GP);
    expect("its error code", trap.error, KERNEL_DATA);
    expect("conforming code as data", run_user((word)user_load, S1, esp, USER_CODE32), -1);
}

static void tables(void)
{
    ldt[1] = gdt[KERNEL_DATA / 8];
    set_descriptor(LDT, (u32)ldt, sizeof ldt - 1, 0x82);
    asm volatile("lldt %w0" : : "r"(LDT));
    u16 selector;
    asm volatile("sldt %0" : "=m"(selector));
    expect("SLDT", selector, LDT);
    expect("a segment of the LDT", load_es(0x0c), -1);
    asm volatile("mov %0, %%es" : : "r"(KERNEL_DATA));
    expect("beyond its limit", load_es(0x24), GP);
    expect("its error code", trap.error, 0x24);
    expect("LLDT of data", TRY("lldt %w0", : : "r"(KERNEL_DATA)), GP);
    expect("LTR of the busy task", TRY("ltr %w0", : : "r"(TASK)), GP);
    asm volatile("lldt %w0" : : "r"(0));
    u32 rights, limit;
    u8 good;
    asm volatile("lar %2, %0; setz %1" : "=r"(rights), "=q"(good) : "r"(KERNEL_DATA));
    expect("LAR", (rights & 0xf0ff00) << 8 | good, 0xc0930001);
    set_descriptor(S1, 0, 0x12, DATA | PAGES | BIG);
    asm volatile("lsl %2, %0; setz %1" : "=r"(limit), "=q"(good) : "r"(S1));
    expect("LSL scales pages", limit, 0x12fff);
    asm volatile("lar %1, %%eax; setz %0" : "=q"(good) : "r"(0x1230) : "eax");
    expect("LAR beyond the GDT", good, 0);
    asm volatile("verr %w1; setz %0" : "=q"(good) : "r"(KERNEL_CODE));
    expect("VERR of readable code", good, 1);
    asm volatile("verw %w1; setz %0" : "=q"(good) : "r"(KERNEL_CODE));
    expect("VERW of code", good, 0);
    u32 adjusted = 0x10;
    asm volatile("arpl %w2, %w0; setz %1" : "+r"(adjusted), "=q"(good) : "r"(3));
    expect("ARPL", adjusted << 8 | good, 0x1301);
    u32 pointer[2] = {0x1234, KERNEL_DATA};
    asm volatile("les %1, %0" : "=r"(adjusted) : "m"(*(u64 *)pointer));
    expect("LES", adjusted, 0x1234);
    expect("#UD for LDS with a register", TRY(".byte 0xc5, 0xc0", : : : "memory"), UD);
}

static void others(void)
{
    u32 bounds[2] = {10, 20};
    expect("BOUND within", TRY("bound %0, %1", : : "r"(20), "m"(*(u64 *)bounds)), -1);
    expect("#BR", TRY("bound %0, %1", : : "r"(21), "m"(*(u64 *)bounds)), BR);
    expect("INTO without OF", TRY("test %%eax, %%eax; into", : : : "cc"), -1);
    expect("#OF", TRY("movb $0x7f, %%al; addb $1, %%al; into", : : : "eax", "cc"), OF);
    u32 a = 0x0f;
    asm volatile("clc; mov $0x0f, %%eax; aaa; mov %%eax, %0" : "=r"(a) : : "eax");
    expect("AAA", a, 0x105);
    asm volatile("mov $0x79, %%eax; addb $0x35, %%al; daa; mov %%eax, %0" : "=r"(a) : : "eax");
    expect("DAA", a & 0xff, 0x14);
    asm volatile("mov $123, %%eax; aam; mov %%eax, %0" : "=r"(a) : : "eax");
    expect("AAM", a, 0x0c03);
    expect("AAM by 0", TRY(".byte 0xd4, 0", : : : "eax"), DE);
    asm volatile("mov $0x0c03, %%eax; aad; mov %%eax, %0" : "=r"(a) : : "eax");
    expect("AAD", a, 123);
    asm volatile("stc; .byte 0xd6; movzbl %%al, %0" : "=r"(a) : : "eax");
    expect("SALC", a, 0xff);
    asm volatile("push $0; mov %%esp, %%ecx; pusha; mov 12(%%esp), %%edx; sub %%ecx, %%edx; mov %%edx, 32(%%esp); popa; pop %0" : "=r"(a) : : "ecx", "edx", "memory");
    expect("PUSHA pushes ESP as it was", a, 0);
}

int main(void)
{
    limits();
    types();
    far_transfers();
    gates();
    tables();
    others();
    return 0;
}
