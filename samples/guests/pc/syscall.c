/* SYSCALL and SYSRET, SYSENTER and SYSEXIT, INT with a gate for the user, and compatibility mode. */
#include "pages.h"

enum { SCE = 1, SYSENTER_CS = 0x174, SYSENTER_ESP, SYSENTER_EIP, GATE = 0x80 };
enum { ROUND = 0x1234 };

extern u8 entry64[], entry32[], sysenter_entry[], vectors[];
extern u8 user_syscall[], user_sysenter[], user_int80[], user_far[], user_ud[], user_inc[];
extern volatile word in_rcx, in_r11, in_flags, in_cs, in_ss, in_rsp, out_ss, out_cs;
static u8 stack[4096] __attribute__((aligned(16)));

asm(".pushsection .bss\n.globl in_rcx\n"
    "in_rcx: .skip 8\nin_r11: .skip 8\nin_flags: .skip 8\nin_cs: .skip 8\nin_ss: .skip 8\nin_rsp: .skip 8\n"
    "out_ss: .skip 8\nout_cs: .skip 8\n.skip 1024\nkernel_stack:\n"
    ".popsection\n"
    ".pushsection .text.entries, \"ax\"\n"
    ".macro note\n mov %rcx, in_rcx\n mov %r11, in_r11\n mov %rsp, in_rsp\n mov $kernel_stack, %rsp\n"
    " pushf\n pop in_flags\n mov %cs, in_cs\n mov %ss, in_ss\n mov in_rsp, %rsp\n.endm\n"
    "entry64: note\n mov $0x1234, %eax\n sysretq\n"
    "entry32: note\n mov $0x1235, %eax\n sysretl\n"
    "sysenter_entry: note\n mov $0x1236, %eax\n mov %rsi, %rcx\n sysexitq\n"
    "user_syscall: syscall\n mov %ss, out_ss\n mov %cs, out_cs\n int $0x81\n"
    "user_sysenter: mov %rsp, %rcx\n lea 1f(%rip), %rdx\n mov %rsp, %rsi\n sysenter\n1: mov %ss, out_ss\n mov %cs, out_cs\n int $0x81\n"
    "user_int80: int $0x80\n int $0x81\n"
    "user_ud: ud2\n"
    ".code32\n"
    "user_inc: mov $0x2b, %ecx\n mov %ecx, %ds\n mov $1, %eax\n .byte 0x40\n .byte 0x40\n mov %cs, out_cs\n push %eax\n pop %eax\n int $0x81\n"
    "user_far: mov $7, %eax\n ljmp $0x33, $2f\n"
    ".code64\n2: inc %rax\n mov %cs, out_cs\n int $0x81\n"
    ".popsection");

static int user(u8 *code, int cs) { return run_user((word)code, 0, (word)(stack + sizeof stack), cs); }

static void from_int80(struct frame *frame) { frame->ax = frame->cs << 16 | (frame->ss & 0xffff); }

int main(void)
{
    open_to_user();
    wrmsr(STAR, (u64)KERNEL_CODE << 32 | (u64)(USER_CODE32) << 48);
    wrmsr(LSTAR, (word)entry64);
    wrmsr(CSTAR, (word)entry32);
    wrmsr(FMASK, 0x40600 | CF);
    expect("SYSCALL and SYSRET", user(user_syscall, USER_CODE64), -1);
    expect("RAX comes back", trap.ax, ROUND);
    expect("CS in the kernel", (u16)in_cs, KERNEL_CODE);
    expect("SS in the kernel", (u16)in_ss, KERNEL_DATA);
    expect("RCX is the next instruction", in_rcx, (word)user_syscall + 2);
    expect("RSP is the user's", in_rsp, (word)(stack + sizeof stack));
    expect("FMASK clears flags", in_flags & (0x40600 | CF), 0);
    expect("R11 holds the user's flags", in_r11 & ~0xd5ul, 2);
    expect("CS after SYSRET", (u16)out_cs, USER_CODE64);
    expect("SS after SYSRET", (u16)out_ss, USER_DATA);
    wrmsr(EFER, rdmsr(EFER) & ~(u64)SCE);
    expect("#UD without EFER.SCE", user(user_syscall, USER_CODE64), UD);
    expect("SYSRET is #UD without EFER.SCE", TRY("sysretq", : : : "memory"), UD);
    wrmsr(EFER, rdmsr(EFER) | SCE);
    expect("#GP by SYSRET to a non-canonical address", TRY("mov $0x202, %%r11d; sysretq", : : "c"(0x800000000000ul) : "r11", "memory"), GP);
    expect("SYSRET at CPL 3", (((volatile u8 *)user_ud)[0] = 0x0f, ((volatile u8 *)user_ud)[1] = 0x07, user(user_ud, USER_CODE64)), GP);
    expect("#GP by a non-canonical LSTAR", try_wrmsr(LSTAR, 0x100000000000000), GP);

    handle(GATE, from_int80);
    set_gate(GATE, (word)(vectors + 16 * GATE), KERNEL_CODE, 0xee);
    expect("INT 0x80", user(user_int80, USER_CODE64), -1);
    expect("from 64-bit code", trap.ax, USER_CODE64 << 16 | USER_DATA);
    expect("INT 0x80 in compatibility mode", user(user_int80, USER_CODE32), -1);
    expect("from 32-bit code", trap.ax, USER_CODE32 << 16 | USER_DATA);
    expect("INC EAX in compatibility mode", user(user_inc, USER_CODE32), -1);
    expect("is 0x40", trap.ax, 3);
    expect("from 32-bit to 64-bit code", user(user_far, USER_CODE32), -1);
    expect("by a far jump", trap.ax, 8);
    expect("CS there", (u16)out_cs, USER_CODE64);

    wrmsr(SYSENTER_CS, KERNEL_CODE);
    wrmsr(SYSENTER_ESP, (word)(stack + 512));
    wrmsr(SYSENTER_EIP, (word)sysenter_entry);
    if (cpuid(0, 0).b != 0x68747541) { /* AuthenticAMD: not in long mode */
        u64 saved[4];
        for (int i = 0; i < 4; i++)
            saved[i] = gdt[12 + i];
        gdt[12] = gdt[1];
        gdt[13] = gdt[2];
        gdt[14] = gdt[4];
        gdt[15] = gdt[5];
        gdt[16] = gdt[6];
        gdt[17] = gdt[5];
        wrmsr(SYSENTER_CS, 12 * 8);
        expect("SYSENTER and SYSEXIT", user(user_sysenter, USER_CODE64), -1);
        expect("RAX comes back", trap.ax, ROUND + 2);
        expect("CS in the kernel", (u16)in_cs, 12 * 8);
        expect("SS in the kernel", (u16)in_ss, 13 * 8);
        expect("RSP is SYSENTER_ESP", in_rsp, (word)(stack + 512));
        expect("CS after SYSEXIT", (u16)out_cs, 16 * 8 + 3);
        expect("SS after SYSEXIT", (u16)out_ss, 17 * 8 + 3);
        for (int i = 0; i < 4; i++)
            gdt[12 + i] = saved[i];
        wrmsr(SYSENTER_CS, 0);
        expect("#GP without SYSENTER_CS", user(user_sysenter, USER_CODE64), GP);
    } else {
        skip("SYSENTER in 64-bit code");
    }
    return 0;
}
