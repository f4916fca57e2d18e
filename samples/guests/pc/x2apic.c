/* The local APIC in x2APIC mode: the way there and back, registers as MSRs, self IPIs, what #GP refuses. */
#include "interrupts.h"

enum { VECTOR = 0x60, X2 = 0x800 };

static int mode(u64 bits) { return try_wrmsr(APIC_BASE, (rdmsr(APIC_BASE) & ~(u64)(APIC_X2 | APIC_ON)) | bits); }

int main(void)
{
    if (!(cpuid(1, 0).c >> 21 & 1)) {
        skip("x2APIC");
        return 0;
    }
    pic_init(0x20, 0x28);
    apic_enable();
    expect("#GP for its MSRs in xAPIC mode", try_rdmsr(X2 + 2), GP);
    expect("from xAPIC to x2APIC", mode(APIC_ON | APIC_X2), -1);
    expect("#GP from there to xAPIC", mode(APIC_ON), GP);
    expect("#GP for a mode that is none", mode(APIC_X2), GP);
    expect("ID", rdmsr(X2 + 2), 0);
    expect("is CPUID's", cpuid(11, 0).d, 0);
    expect("version", rdmsr(X2 + 3) & 0xff, 0x14);
    expect("LDR follows the ID", rdmsr(X2 + 0xd), 1);
    expect("#GP to write the ID", try_wrmsr(X2 + 2, 0), GP);
    expect("#GP to write LDR", try_wrmsr(X2 + 0xd, 0), GP);
    expect("#GP for DFR, which is gone", try_rdmsr(X2 + 0xe), GP);
    expect("#GP for ICR2, which is gone", try_rdmsr(X2 + 0x31), GP);
    expect("#GP for an EOI other than 0", try_wrmsr(X2 + 0xb, 1), GP);
    expect("#GP to read EOI", try_rdmsr(X2 + 0xb), GP);
    expect("#GP for the upper half of TPR", try_wrmsr(X2 + 8, 1ull << 32), GP);
    expect("#GP for bit 8 of TPR", try_wrmsr(X2 + 8, 0x100), GP);
    expect("#GP for an ESR other than 0", try_wrmsr(X2 + 0x28, 1), GP);
    expect("#GP to read SELF IPI", try_rdmsr(X2 + 0x3f), GP);
    wrmsr(X2 + 8, 0x20);
    word cr8;
    asm volatile("mov %%cr8, %0" : "=r"(cr8));
    expect("TPR is CR8", cr8, 2);
    wrmsr(X2 + 8, 0);
    handle(VECTOR, counting);
    wrmsr(X2 + 0x3f, VECTOR);
    expect("IRR", rdmsr(X2 + 0x20 + VECTOR / 32), 1u << VECTOR % 32);
    sti_nop_cli();
    expect("SELF IPI", seen[VECTOR], 1);
    wrmsr(X2 + 0x30, TO_SELF | VECTOR);
    sti_nop_cli();
    expect("ICR with a shorthand", seen[VECTOR], 2);
    wrmsr(X2 + 0x30, VECTOR);
    sti_nop_cli();
    expect("to ID 0", seen[VECTOR], 3);
    wrmsr(X2 + 0x30, 0x800 | VECTOR | 1ull << 32);
    sti_nop_cli();
    expect("to a logical destination", seen[VECTOR], 4);
    wrmsr(X2 + 0x30, VECTOR | 0xffffffffull << 32);
    sti_nop_cli();
    expect("to the broadcast ID", seen[VECTOR], 5);
    expect("ICR is one register", rdmsr(X2 + 0x30) >> 32, 0xffffffff);
    expect("off", mode(0), -1);
    expect("#GP from there to x2APIC", mode(APIC_ON | APIC_X2), GP);
    expect("to xAPIC", mode(APIC_ON), -1);
    expect("whose ID", apic_read(APIC_ID), 0);
    return 0;
}
