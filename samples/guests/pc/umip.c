/* UMIP: SGDT, SIDT, SLDT, SMSW and STR at CPL 3. */
#include "pages.h"

#define UMIP (1ul << 11)

#define USER(name, code) \
    asm(".pushsection .text.user, \"ax\"\n.balign 16\n" #name ": " code "\n int $0x81\n.popsection"); \
    extern u8 name[]
USER(do_sgdt, "sgdt -16(%rsp)");
USER(do_sidt, "sidt -16(%rsp)");
USER(do_sldt, "sldt -16(%rsp)");
USER(do_sldt_register, "sldt %eax");
USER(do_smsw, "smsw -16(%rsp)");
USER(do_smsw_register, "smsw %eax");
USER(do_str, "str -16(%rsp)");
USER(do_str_register, "str %eax");
USER(do_nop, "nop");
USER(do_cli, "cli");
USER(do_lgdt, "lgdt -16(%rsp)");
USER(do_movcr, "mov %cr0, %rax");
USER(do_ltr, "ltr %ax");
USER(do_hlt, "hlt");
USER(do_in, "in $0x70, %al");
USER(do_rdmsr, "rdmsr");

static u8 stack[4096] __attribute__((aligned(16)));

static int user(u8 *code) { return run_user((word)code, 0, (word)(stack + sizeof stack), USER_CODE64); }

static void all(int wanted)
{
    print("UMIP is %d\n", wanted != -1);
    expect("SGDT", user(do_sgdt), wanted);
    expect("SIDT", user(do_sidt), wanted);
    expect("SLDT to memory", user(do_sldt), wanted);
    expect("SLDT to a register", user(do_sldt_register), wanted);
    expect("SMSW to memory", user(do_smsw), wanted);
    expect("SMSW to a register", user(do_smsw_register), wanted);
    expect("STR to memory", user(do_str), wanted);
    expect("STR to a register", user(do_str_register), wanted);
    expect("NOP", user(do_nop), -1);
}

int main(void)
{
    open_to_user();
    check(cpuid(7, 0).c >> 2 & 1, "UMIP is there");
    all(-1);
    set_cr4(get_cr4() | UMIP);
    all(GP);
    expect("its error code", user(do_smsw) == GP ? trap.error : -1, 0);
    expect("SMSW at CPL 0", TRY("smsw %%ax", : : : "rax"), -1);
    expect("SGDT at CPL 0", TRY("sub $16, %%rsp; sgdt (%%rsp); add $16, %%rsp", : : : "memory"), -1);
    set_cr4(get_cr4() & ~UMIP);
    all(-1);
    expect("CLI at CPL 3", user(do_cli), GP);
    expect("LGDT at CPL 3", user(do_lgdt), GP);
    expect("MOV from CR0 at CPL 3", user(do_movcr), GP);
    expect("LTR at CPL 3", user(do_ltr), GP);
    expect("HLT at CPL 3", user(do_hlt), GP);
    expect("IN at CPL 3", user(do_in), GP);
    expect("RDMSR at CPL 3", user(do_rdmsr), GP);
    return 0;
}
