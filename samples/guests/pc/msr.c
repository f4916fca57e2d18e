/* MSRs and control registers: what they keep, and what they refuse with #GP. */
#include "pages.h"

enum { APIC_BASE = 0x1b, MISC_ENABLE = 0x1a0, SYSENTER_CS = 0x174, SYSENTER_ESP, SYSENTER_EIP, PAT = 0x277, TSC_AUX = 0xc0000103 };
enum { LMA = 0x400, LME = 0x100, NXE = 0x800 };

static void keeps(const char *name, u32 msr, u64 value)
{
    u64 saved = rdmsr(msr);
    wrmsr(msr, value);
    u64 got = rdmsr(msr);
    wrmsr(msr, saved);
    expect(name, got, value);
}

static void canonical(const char *name, u32 msr)
{
    keeps(name, msr, 0xffff8000deadbee0);
    expect("#GP if not canonical", try_wrmsr(msr, 0x100deaddeadbee0), GP);
    expect("nor from the other side", try_wrmsr(msr, 0xfeffdeaddeadbee0), GP);
}

int main(void)
{
    canonical("FS_BASE", FS_BASE);
    canonical("GS_BASE", GS_BASE);
    canonical("KERNEL_GS_BASE", KERNEL_GS_BASE);
    canonical("LSTAR", LSTAR);
    canonical("CSTAR", CSTAR);
    canonical("SYSENTER_ESP", SYSENTER_ESP);
    canonical("SYSENTER_EIP", SYSENTER_EIP);
    keeps("SYSENTER_CS", SYSENTER_CS, 0x1238);
    keeps("STAR", STAR, 0x0012345678abcdef);
    keeps("FMASK", FMASK, 0x47700);
    expect("#GP for the upper half of FMASK", try_wrmsr(FMASK, 1ull << 32), GP);
    keeps("PAT", PAT, 0x0001040506070604);
    expect("#GP for a reserved type in PAT", try_wrmsr(PAT, 0x0302), GP);
    expect("#GP for type 8 in PAT", try_wrmsr(PAT, 0x08ull << 56), GP);
    expect("PAT after reset", rdmsr(PAT), 0x0007040600070406);
    if (cpuid(0x80000001, 0).d >> 27 & 1) {
        keeps("TSC_AUX", TSC_AUX, 0x12345678);
        expect("#GP for the upper half of TSC_AUX", try_wrmsr(TSC_AUX, 1ull << 32), GP);
        wrmsr(TSC_AUX, 77);
        u32 aux;
        asm volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
        expect("RDTSCP gives TSC_AUX", aux, 77);
    }

    expect("EFER", rdmsr(EFER) & (LME | LMA | NXE | 1), LME | LMA | NXE | 1);
    expect("#GP to clear LME under paging", try_wrmsr(EFER, rdmsr(EFER) & ~(u64)LME), GP);
    expect("#GP for reserved bits of EFER", try_wrmsr(EFER, rdmsr(EFER) | 0x100000), GP);
    wrmsr(EFER, rdmsr(EFER) & ~(u64)LMA);
    check(rdmsr(EFER) & LMA, "LMA cannot be written");
    expect("#GP for an unknown MSR, read", try_rdmsr(0x12345), GP);
    expect("#GP for an unknown MSR, written", try_wrmsr(0x12345, 0), GP);
    expect("its error code", trap.error, 0);

    expect("the local APIC's address", rdmsr(APIC_BASE), 0xfee00900);
    expect("#GP for a reserved bit of IA32_APIC_BASE", try_wrmsr(APIC_BASE, 0xfee00901), GP);
    expect("#GP for an address that is too wide", try_wrmsr(APIC_BASE, 1ull << 60 | 0xfee00900), GP);
    check(cpuid(1, 0).d >> 9 & 1, "CPUID shows an APIC");
    wrmsr(APIC_BASE, 0xfee00100);
    check(!(cpuid(1, 0).d >> 9 & 1), "but not while its bit 11 is 0");
    wrmsr(APIC_BASE, 0xfee00900);
    check(cpuid(1, 0).d >> 9 & 1, "and again");

    expect("#GP to clear CR4.PAE", try_cr4(get_cr4() & ~0x20ul), GP);
    expect("#GP for a reserved bit of CR4", try_cr4(get_cr4() | 1ul << 31), GP);
    expect("#GP for bit 63 of CR4", try_cr4(get_cr4() | 1ul << 63), GP);
    expect("#GP for CR4.VMXE without VMX", (cpuid(1, 0).c >> 5 & 1) ? GP : try_cr4(get_cr4() | 1ul << 13), GP);
    expect("#GP for PG without PE", try_cr0(get_cr0() & ~1ul), GP);
    expect("#GP for NW without CD", try_cr0((get_cr0() & ~(1ul << 30)) | 1ul << 29), GP);
    expect("#GP for the upper half of CR0", try_cr0(get_cr0() | 1ul << 40), GP);
    expect("reserved low bits of CR0 are ignored", try_cr0(get_cr0() | 1ul << 10), -1);
    check(!(get_cr0() >> 10 & 1), "and read as 0");
    check(get_cr0() >> 4 & 1, "ET is 1");
    expect("#GP for a CR3 that is too wide", try_cr3(get_cr3() | 1ul << 60), GP);
    expect("CR2 keeps anything", (set_cr2(0x8000123456789abc), get_cr2()), 0x8000123456789abc);
    expect("#UD for CR1", TRY("mov %%cr1, %%rax", : : : "rax"), UD);
    expect("#UD for CR5", TRY(".byte 0x0f, 0x20, 0xe8", : : : "rax"), UD);
    expect("#GP for bit 4 of CR8", TRY("mov %0, %%cr8", : : "r"(16ul)), GP);
    word cr8;
    asm volatile("mov %1, %%cr8; mov %%cr8, %0; mov %2, %%cr8" : "=&r"(cr8) : "r"(9ul), "r"(0ul));
    expect("CR8", cr8, 9);

    wrmsr(GS_BASE, 0x1111000);
    wrmsr(KERNEL_GS_BASE, 0x2222000);
    asm volatile("swapgs");
    expect("SWAPGS", rdmsr(GS_BASE) << 32 | rdmsr(KERNEL_GS_BASE), 0x0222200001111000);
    if (cpuid(7, 0).b & 1) {
        expect("#UD for RDFSBASE without CR4.FSGSBASE", TRY("rdfsbase %%rax", : : : "rax"), UD);
        set_cr4(get_cr4() | 1 << 16);
        word base;
        asm volatile("wrgsbase %1; rdgsbase %0" : "=&r"(base) : "r"(0x123456789000));
        expect("WRGSBASE and RDGSBASE", base, 0x123456789000);
        expect("#GP by WRFSBASE if not canonical", TRY("wrfsbase %0", : : "r"(1ul << 56)), GP);
        set_cr4(get_cr4() & ~(1ul << 16));
    }
    u64 before = rdtsc();
    check(rdtsc() > before, "the time-stamp counter goes on");
    wrmsr(0x10, 0x123456789abc);
    check(rdtsc() >= 0x123456789abc && rdtsc() < 0x12345678ffff0000, "and can be written");
    set_cr4(get_cr4() | 4);
    expect("RDTSC at CPL 0 with CR4.TSD", TRY("rdtsc", : : : "eax", "edx"), -1);
    return 0;
}
