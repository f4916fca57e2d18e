/* Exceptions and their delivery: vectors, error codes, returns, shadows, priorities, double faults, IST, NMIs, gates. */
#include "interrupts.h"

enum { MINE = 0x60, OTHER = 0x61 };
#define TARGET 0x510000000000ull

static volatile int counts[256], order[8], orders;
static volatile word saved_ip, saved_flags, saved_sp, saved_error;
extern u8 vectors[];

static void note(struct frame *frame)
{
    counts[frame->vector]++;
    saved_ip = frame->ip;
    saved_flags = frame->flags;
    saved_sp = frame->sp;
    saved_error = frame->error;
    if (orders < 8)
        order[orders++] = frame->vector;
    if (frame->vector >= 32)
        eoi();
}

static void skip_two(struct frame *frame)
{
    note(frame);
    frame->ip += 2;
}

static void vectors_and_codes(void)
{
    expect("#DE by DIV", TRY("xor %%ecx, %%ecx; div %%ecx", : : : "eax", "ecx", "edx"), DE);
    expect("#DE by IDIV that overflows", TRY("cltd; idiv %%ecx", : : "a"(0x80000000), "c"(-1) : "edx"), DE);
    expect("#BP", TRY("int3", : : : "memory"), BP);
    expect("INT 3 in two bytes", TRY(".byte 0xcd, 3", : : : "memory"), BP);
    expect("#UD by UD2", TRY("ud2", : : : "memory"), UD);
    expect("#UD by LOCK NOP", TRY(".byte 0xf0, 0x90", : : : "memory"), UD);
    expect("#UD by LOCK with a register", TRY(".byte 0xf0, 0x01, 0xc0", : : : "memory"), UD);
    expect("#GP by a selector beyond the GDT", TRY("mov %0, %%fs", : : "r"(0x1230)), GP);
    expect("its error code", trap.error, 0x1230);
    expect("#GP by a selector of the LDT", TRY("mov %0, %%fs", : : "r"(0x000c)), GP);
    expect("its error code", trap.error, 0x000c);
    set_descriptor(SPARE, 0, 0xfffff, 0xc013);
    expect("#NP by a data segment that is not present", TRY("mov %0, %%fs", : : "r"(SPARE)), NP);
    expect("its error code", trap.error, SPARE);
    expect("#SS by a stack that is not present", TRY("mov %0, %%ss", : : "r"(SPARE)), SS);
    expect("its error code", trap.error, SPARE);
    expect("#GP by a null SS at CPL 0 with RPL 3", TRY("mov %0, %%ss", : : "r"(3)), GP);
    expect("a null SS at CPL 0", TRY("mov %0, %%ss; mov %1, %%ss", : : "r"(0), "r"(KERNEL_DATA)), -1);
    expect("#GP by an INT without a gate", (set_gate(MINE, 0, 0, 0), TRY("int $0x60", : : : "memory")), GP);
    expect("its error code", trap.error, MINE << 3 | 2);
    set_gate(MINE, (word)(vectors + 16 * MINE), KERNEL_CODE, 0x0e);
    expect("#NP by a gate that is not present", TRY("int $0x60", : : : "memory"), NP);
    expect("its error code", trap.error, MINE << 3 | 2);
    set_gate(MINE, (word)(vectors + 16 * MINE), KERNEL_CODE, 0x85);
    expect("#GP by a gate of another type", TRY("int $0x60", : : : "memory"), GP);
    set_gate(MINE, (word)(vectors + 16 * MINE), KERNEL_DATA, 0x8e);
    expect("#GP by a gate to data", TRY("int $0x60", : : : "memory"), GP);
    expect("its error code", trap.error, KERNEL_DATA);
    set_gate(MINE, (word)(vectors + 16 * MINE), KERNEL_CODE32, 0x8e);
    expect("#GP by a gate to 32-bit code", TRY("int $0x60", : : : "memory"), GP);
    set_gate(MINE, (word)(vectors + 16 * MINE), 0, 0x8e);
    expect("#GP by a gate to a null selector", TRY("int $0x60", : : : "memory"), GP);
    expect("its error code", trap.error, 0);
    set_gate(MINE, 0x800000000000, KERNEL_CODE, 0x8e);
    expect("#GP by a gate to a non-canonical address", TRY("int $0x60", : : : "memory"), GP);
    set_gate(MINE, (word)(vectors + 16 * MINE), KERNEL_CODE, 0x8e);
    expect("an INT with a gate", TRY("int $0x60", : : : "memory"), MINE);
    check(!(flags() & IF), "IF stays 0");
}

static void every_vector(void)
{
    int wrong = 0;
    static u8 code[4];
    for (int v = 32; v < 256; v++) {
        code[0] = 0xcd;
        code[1] = v;
        code[2] = 0xc3;
        handle(v, counting_no_eoi);
        ((void (*)(void))code)();
        handle(v, 0);
        wrong += seen[v] != 1;
    }
    expect("INT n for every n from 32 on", wrong, 0);
}

static void returns(void)
{
    word at;
    handle(UD, skip_two);
    asm volatile("lea 1f(%%rip), %0\n1: ud2" : "=r"(at));
    expect("a fault's RIP is the instruction", saved_ip, at);
    handle(UD, 0);
    handle(BP, note);
    asm volatile("lea 1f(%%rip), %0\n int3\n1:" : "=r"(at));
    expect("a trap's RIP is the next instruction", saved_ip, at);
    handle(BP, 0);
    word sp;
    handle(MINE, counting_no_eoi);
    handle(BP, note);
    asm volatile("mov %%rsp, %%rbx; sub $3, %%rsp; int3; mov %%rbx, %%rsp; mov %%rbx, %0" : "=r"(sp) : : "rbx", "memory");
    expect("the frame holds RSP as it was", saved_sp, sp - 3);
    handle(BP, 0);
    set_gate(OTHER, (word)(vectors + 16 * OTHER), KERNEL_CODE, 0x8f);
    expect("RF is 0 in the frame of an INT", (TRY("int $0x61", : : : "memory"), trap.flags & RF), 0);
    expect("RF is 1 in the frame of a fault", (TRY("ud2", : : : "memory"), trap.flags & RF), RF);
}

static void gates_and_flags(void)
{
    handle(OTHER, note);
    sti();
    asm volatile("int $0x61" : : : "memory");
    check(saved_flags & IF, "the frame has IF");
    check(flags() & IF, "IRET brings IF back");
    cli();
    handle(OTHER, 0);
}

static void shadows(void)
{
    handle(MINE, note);
    apic_command(TO_SELF | MINE, 0);
    check(!counts[MINE], "an interrupt waits while IF is 0");
    word at;
    asm volatile("lea 1f(%%rip), %0; sti\n nop\n1: nop; cli" : "=r"(at) : : "memory");
    check(counts[MINE] == 1, "and comes after STI");
    expect("one instruction later", saved_ip, at);
    apic_command(TO_SELF | MINE, 0);
    asm volatile("sti; cli" : : : "memory");
    check(counts[MINE] == 1, "STI, CLI lets none in");
    sti_nop_cli();
    check(counts[MINE] == 2, "STI, NOP, CLI does");
    apic_command(TO_SELF | MINE, 0);
    asm volatile("mov %%ss, %%eax; lea 1f(%%rip), %0; pushf; orq $0x200, (%%rsp); popf\n1: cli" : "=r"(at) : : "eax", "memory");
    check(counts[MINE] == 3, "POPF has no shadow");
    expect("so it comes at once", saved_ip, at);
    word low, high;
    asm volatile(
        "sti; nop\n mov %%ss, %%ecx; mov %2, %%eax; mov %%eax, (%3); mov %%ecx, %%ss\n lea 1f(%%rip), %0\n1: lea 2f(%%rip), %1\n2: cli"
        : "=&r"(low), "=&r"(high)
        : "r"(TO_SELF | MINE), "r"(0xfee00300ul)
        : "eax", "ecx", "memory");
    check(counts[MINE] == 4, "an interrupt about MOV SS arrives");
    apic_command(TO_SELF | MINE, 0);
    asm volatile("sti; hlt; cli" : : : "memory");
    check(counts[MINE] == 5, "STI, HLT does not sleep through it");
    handle(MINE, 0);
}

static void priorities(void)
{
    orders = 0;
    handle(0x51, note);
    handle(0x62, note);
    handle(0x63, note);
    handle(0x91, note);
    apic_command(TO_SELF | 0x62, 0);
    apic_command(TO_SELF | 0x51, 0);
    apic_command(TO_SELF | 0x91, 0);
    apic_command(TO_SELF | 0x63, 0);
    asm volatile("sti; nop; nop; nop; nop; cli" : : : "memory");
    expect("pending interrupts come by priority", (u32)order[0] << 24 | order[1] << 16 | order[2] << 8 | order[3], 0x91636251);
    orders = 0;
    handle(UD, skip_two);
    apic_command(TO_SELF | 0x51, 0);
    asm volatile("sti; ud2; nop; cli" : : : "memory");
    expect("the instruction after STI comes first, with its exception", order[0] << 8 | order[1], UD << 8 | 0x51);
    handle(UD, 0);
    handle(0x51, 0);
}

static void nested_handler(struct frame *frame)
{
    note(frame);
    if (frame->vector == MINE) {
        apic_command(TO_SELF | 0x71, 0);
        sti_nop_cli();
        apic_command(TO_SELF | 0x59, 0);
        sti_nop_cli();
    }
}

static void nested(void)
{
    orders = 0;
    handle(MINE, nested_handler);
    handle(0x71, note);
    handle(0x59, note);
    apic_command(TO_SELF | MINE, 0);
    sti_nop_cli();
    sti_nop_cli();
    expect("interrupts within an interrupt", orders, 3);
    handle(MINE, 0);
}

static volatile int nmis, depth, deepest;

static void nmi_handler(struct frame *frame)
{
    (void)frame;
    nmis++;
    if (++depth > deepest)
        deepest = depth;
    if (nmis == 1) {
        apic_command(NMI_MODE | ASSERT, 0);
        for (int i = 0; i < 100; i++)
            relax();
    }
    depth--;
}

static void nmi(void)
{
    handle(NMI, nmi_handler);
    apic_command(NMI_MODE | ASSERT, 0);
    for (int i = 0; i < 100; i++)
        relax();
    expect("NMIs come while IF is 0", nmis, 2);
    expect("but not one inside another", deepest, 1);
    handle(NMI, 0);
}

static volatile word df_error;
static void double_fault(struct frame *frame)
{
    note(frame);
    df_error = frame->error;
    frame->ip = recover;
    frame->sp = recover_sp;
    recover = 0;
}

static void double_faults(void)
{
    handle(DF, double_fault);
    set_gate(GP, 0, 0, 0);
    counts[DF] = 0;
    TRY("mov %0, %%fs", : : "r"(0x1230));
    expect("#GP without a gate makes #DF", counts[DF], 1);
    expect("its error code", df_error, 0);
    set_gate(GP, (word)(vectors + 16 * GP), KERNEL_CODE, 0x8e);
    set_gate(PF, (word)(vectors + 16 * PF), KERNEL_CODE, 0x0e);
    counts[DF] = 0;
    TRY("mov (%0), %%eax", : : "r"(TARGET) : "eax");
    expect("#PF with a gate that is not present makes #DF", counts[DF], 1);
    set_gate(PF, (word)(vectors + 16 * PF), KERNEL_CODE, 0x8e);
    set_gate(UD, 0, 0, 0);
    counts[DF] = 0;
    expect("#UD without a gate makes #GP", TRY("ud2", : : : "memory"), GP);
    expect("not #DF", counts[DF], 0);
    expect("its error code has EXT of the #UD", trap.error, UD << 3 | 3);
    set_gate(UD, (word)(vectors + 16 * UD), KERNEL_CODE, 0x8e);
    handle(DF, 0);
}

static void conforming(void)
{
    set_gate(MINE, (word)(vectors + 16 * MINE), KERNEL_CODE, 0x8e);
    open_to_user();
    static u8 stack[1024] __attribute__((aligned(16)));
    static u8 code[] = {0xcd, 0x60, 0xcd, 0x81};
    expect("#GP by an INT at CPL 3 with a gate of DPL 0", run_user((word)code, 0, (word)(stack + 1024), USER_CODE64), GP);
    expect("its error code", trap.error, MINE << 3 | 2);
    code[0] = 0xcc;
    code[1] = 0x90;
    expect("#BP at CPL 3 with a gate of DPL 3", run_user((word)code, 0, (word)(stack + 1024), USER_CODE64), BP);
    code[0] = 0xf1;
    set_gate(DB, (word)(vectors + 16 * DB), KERNEL_CODE, 0x8e);
    expect("INT1 at CPL 3 asks no DPL", run_user((word)code, 0, (word)(stack + 1024), USER_CODE64), DB);
    code[0] = 0x0f;
    code[1] = 0x0b;
    expect("#UD at CPL 3 asks no DPL", run_user((word)code, 0, (word)(stack + 1024), USER_CODE64), UD);
    handle(DF, 0);
}

static void returns_by_iret(void)
{
    expect("#GP by IRET to a non-canonical RIP",
        TRY("push %0; push %%rsp; pushf; push %1; push %2; iretq", : : "r"((word)KERNEL_DATA), "r"((word)KERNEL_CODE), "r"(0x800000000000ul) : "memory"), GP);
    expect("#GP by IRET to data",
        TRY("push %0; push %%rsp; pushf; push %0; push $0; iretq", : : "r"((word)KERNEL_DATA) : "memory"), GP);
    expect("its error code", trap.error, KERNEL_DATA);
    expect("#GP by IRET to a null CS", TRY("push %0; push %%rsp; pushf; push $0; push $0; iretq", : : "r"((word)KERNEL_DATA) : "memory"), GP);
    expect("#GP by IRET with NT", TRY("pushf; orq $0x4000, (%%rsp); popf; iretq", : : : "memory"), GP);
    asm volatile("pushf; andq $~0x4000, (%%rsp); popf" : : : "memory");
    expect("#GP by IRET to 64-bit code with D", (set_descriptor(SPARE, 0, 0xfffff, 0xe09b),
        TRY("push %0; push %%rsp; pushf; push %1; push $0; iretq", : : "r"((word)KERNEL_DATA), "r"((word)SPARE) : "memory")), GP);
}

int main(void)
{
    pic_init(0x20, 0x28);
    apic_enable();
    vectors_and_codes();
    every_vector();
    returns();
    gates_and_flags();
    shadows();
    priorities();
    nested();
    nmi();
    double_faults();
    returns_by_iret();
    conforming();
    return 0;
}
