/* The local APIC in xAPIC mode: registers, self IPIs, priorities, timer, spurious vectors, errors, IA32_APIC_BASE. */
#include "interrupts.h"

enum { VECTOR = 0x60, TIMER_VECTOR = 0x70, ERROR_VECTOR = 0x80 };

static void self(int vector) { apic_command(TO_SELF | vector, 0); }

static int waits(int vector, u64 ticks)
{
    int before = seen[vector];
    u64 end = rdtsc() + ticks;
    sti();
    while (seen[vector] == before && rdtsc() < end)
        relax();
    cli();
    return seen[vector] - before;
}

static void registers(void)
{
    expect("ID", apic_read(APIC_ID), 0);
    expect("version", apic_read(APIC_VERSION) & 0xff, 0x14);
    check((apic_read(APIC_VERSION) >> 16 & 0xff) >= 3, "at least four LVT entries");
    apic_write(APIC_LDR, 0xff000000);
    expect("LDR keeps 8 bits", apic_read(APIC_LDR), 0xff000000);
    apic_write(APIC_LDR, 0x01ffffff);
    expect("and no others", apic_read(APIC_LDR), 0x01000000);
    apic_write(APIC_DFR, 0x0fffffff);
    expect("DFR keeps 4 bits", apic_read(APIC_DFR), 0x0fffffff);
    apic_write(APIC_DFR, 0xffffffff);
    apic_write(APIC_TPR, 0x35);
    expect("TPR", apic_read(APIC_TPR), 0x35);
    word cr8;
    asm volatile("mov %%cr8, %0" : "=r"(cr8));
    expect("is CR8 shifted", cr8, 3);
    asm volatile("mov %0, %%cr8" : : "r"(7ul));
    expect("and the other way", apic_read(APIC_TPR), 0x70);
    expect("PPR", apic_read(APIC_PPR), 0x70);
    asm volatile("mov %0, %%cr8" : : "r"(0ul));
    apic_write(APIC_ICR2, 0x12000000);
    expect("ICR2", apic_read(APIC_ICR2), 0x12000000);
}

static void ipis(void)
{
    handle(VECTOR, counting);
    self(VECTOR);
    expect("IRR while IF is 0", apic_read(APIC_IRR + 0x10 * (VECTOR / 32)) >> VECTOR % 32 & 1, 1);
    self(VECTOR);
    sti_nop_cli();
    expect("two of a kind are one", seen[VECTOR], 1);
    expect("IRR is 0", apic_read(APIC_IRR + 0x10 * (VECTOR / 32)), 0);
    apic_command(VECTOR, 0);
    sti_nop_cli();
    expect("to an ID", seen[VECTOR], 2);
    apic_command(TO_ALL | VECTOR, 0);
    sti_nop_cli();
    expect("to all with itself", seen[VECTOR], 3);
    apic_command(TO_OTHERS | VECTOR, 0);
    sti_nop_cli();
    expect("not to all without itself", seen[VECTOR], 3);
    apic_command(0x800 | VECTOR, 1);
    sti_nop_cli();
    expect("to a logical destination", seen[VECTOR], 4);
    apic_command(0x800 | VECTOR, 2);
    sti_nop_cli();
    expect("not to another", seen[VECTOR], 4);
    apic_command(VECTOR, 0xff);
    sti_nop_cli();
    expect("to the broadcast ID", seen[VECTOR], 5);
    asm volatile("mov %0, %%cr8" : : "r"(6ul));
    self(VECTOR);
    sti_nop_cli();
    expect("CR8 holds its class back", seen[VECTOR], 5);
    asm volatile("sti; mov %0, %%cr8; nop; cli" : : "r"(5ul) : "memory");
    expect("and lets it go", seen[VECTOR], 6);
    asm volatile("mov %0, %%cr8" : : "r"(0ul));
}

static void in_service(void)
{
    handle(VECTOR, counting_no_eoi);
    int before = seen[VECTOR];
    self(VECTOR);
    sti_nop_cli();
    expect("ISR without EOI", apic_read(APIC_ISR + 0x10 * (VECTOR / 32)) >> VECTOR % 32 & 1, 1);
    expect("PPR is its class", apic_read(APIC_PPR), VECTOR & 0xf0);
    self(VECTOR);
    sti_nop_cli();
    expect("it holds its like back", seen[VECTOR] - before, 1);
    eoi();
    sti_nop_cli();
    expect("until EOI", seen[VECTOR] - before, 2);
    eoi();
    expect("ISR is 0", apic_read(APIC_ISR + 0x10 * (VECTOR / 32)), 0);
    handle(VECTOR, counting);
}

static void timer(void)
{
    handle(TIMER_VECTOR, counting);
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_TIMER, TIMER_VECTOR);
    apic_write(APIC_INITIAL, 10000);
    check(apic_read(APIC_CURRENT) <= 10000, "the count goes down");
    expect("one shot", waits(TIMER_VECTOR, 1000000000), 1);
    expect("then it stands at 0", apic_read(APIC_CURRENT), 0);
    expect("and there is no other", waits(TIMER_VECTOR, 1000000), 0);
    apic_write(APIC_TIMER, TIMER_VECTOR | PERIODIC);
    apic_write(APIC_INITIAL, 100000);
    int good = 0;
    for (int i = 0; i < 5; i++)
        good += waits(TIMER_VECTOR, 1000000000) > 0;
    expect("periodic", good, 5);
    apic_write(APIC_TIMER, TIMER_VECTOR | PERIODIC | MASKED);
    sti_nop_cli();
    expect("masked", waits(TIMER_VECTOR, 10000000), 0);
    apic_write(APIC_INITIAL, 0);
    expect("off", apic_read(APIC_CURRENT), 0);
    apic_write(APIC_TIMER, TIMER_VECTOR);
    apic_write(APIC_INITIAL, 100000);
    int before = seen[TIMER_VECTOR];
    asm volatile("sti; hlt; cli" : : : "memory");
    expect("HLT sleeps until it comes", seen[TIMER_VECTOR] - before, 1);
    if (cpuid(1, 0).c >> 24 & 1) {
        apic_write(APIC_TIMER, TIMER_VECTOR | DEADLINE);
        asm volatile("mfence" : : : "memory");
        wrmsr(0x6e0, rdtsc() + 50000);
        check(rdmsr(0x6e0) != 0, "a deadline");
        expect("comes", waits(TIMER_VECTOR, 1000000000), 1);
        expect("and is 0 then", rdmsr(0x6e0), 0);
        wrmsr(0x6e0, 1);
        expect("one in the past comes too", waits(TIMER_VECTOR, 1000000), 1);
        wrmsr(0x6e0, rdtsc() + 1000000000000);
        apic_write(APIC_TIMER, TIMER_VECTOR | MASKED);
        expect("another mode disarms it", rdmsr(0x6e0), 0);
    } else {
        skip("TSC deadlines");
    }
}

static void errors(void)
{
    handle(ERROR_VECTOR, counting);
    handle(5, counting);
    apic_write(APIC_ERROR, ERROR_VECTOR);
    apic_write(APIC_ESR, 0);
    expect("ESR", apic_read(APIC_ESR), 0);
    self(5);
    sti_nop_cli();
    apic_write(APIC_ESR, 0);
    expect("an IPI with a vector below 16", apic_read(APIC_ESR) & 0x20, 0x20);
    check(seen[ERROR_VECTOR] >= 1, "raises the error interrupt");
    apic_write(APIC_ESR, 0);
    expect("ESR is 0 again", apic_read(APIC_ESR), 0);
    apic_write(APIC_ERROR, MASKED);
    expect("and the interrupt does not come", seen[5], 0);
    handle(5, 0);
}

static void disabled(void)
{
    handle(0xff, counting_no_eoi);
    apic_write(APIC_SVR, 0xff);
    check(apic_read(APIC_TIMER) & MASKED, "the SVR's bit 8 masks the LVT");
    apic_write(APIC_TIMER, TIMER_VECTOR);
    check(apic_read(APIC_TIMER) & MASKED, "which stays so");
    apic_write(APIC_SVR, 0x1ff);
    expect("SVR", apic_read(APIC_SVR) & 0x1ff, 0x1ff);
    wrmsr(APIC_BASE, rdmsr(APIC_BASE) & ~(u64)APIC_ON);
    expect("off, its page is nobody's", *(volatile u32 *)0xfee00030, 0xffffffff);
    wrmsr(APIC_BASE, rdmsr(APIC_BASE) | APIC_ON);
    expect("on, it is as after reset", apic_read(APIC_SVR), 0xff);
    apic_enable();
}

int main(void)
{
    pic_init(0x20, 0x28);
    apic_enable();
    registers();
    ipis();
    in_service();
    timer();
    errors();
    disabled();
    return 0;
}
