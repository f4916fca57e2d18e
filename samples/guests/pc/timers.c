/* The 8254, the ACPI timer and the clock: their rates against one another, modes, interrupts. */
#include "interrupts.h"

enum { PIT0 = 0x40, PIT2 = 0x42, PIT_CONTROL = 0x43, PORT_B = 0x61, PM_TIMER = 0x608, PM_HZ = 3579545 };
enum { VECTOR = 0x70, RTC_VECTOR = 0x71 };

static u32 pm(void) { return inl(PM_TIMER) & 0xffffff; }

static u16 pit_count(int channel)
{
    outb(PIT_CONTROL, channel << 6);
    u8 low = inb(PIT0 + channel);
    return low | inb(PIT0 + channel) << 8;
}

static void program(int channel, int mode, u16 count)
{
    outb(PIT_CONTROL, channel << 6 | 0x30 | mode << 1);
    outb(PIT0 + channel, count);
    outb(PIT0 + channel, count >> 8);
}

static u8 cmos(int index)
{
    outb(0x70, index);
    return inb(0x71);
}

int main(void)
{
    pic_init(0x20, 0x28);
    apic_enable();
    u32 start = pm();
    outb(PORT_B, (inb(PORT_B) & ~2) | 1);
    program(2, 0, 11932);
    check(!(inb(PORT_B) & 0x20), "OUT of channel 2 is low");
    while (!(inb(PORT_B) & 0x20))
        relax();
    u32 passed = (pm() - start) & 0xffffff;
    check(passed > PM_HZ / 100 - 200 && passed < PM_HZ / 50, "10 ms by channel 2 are 10 ms by the ACPI timer");
    program(2, 2, 1000);
    u16 one = pit_count(2);
    check(one <= 1000 && one > 0, "a count in mode 2");
    outb(PIT_CONTROL, 0xe8);
    expect("read-back: status", inb(PIT2) & 0x3f, 0x34);
    program(2, 0, 0x1234);
    outb(PORT_B, inb(PORT_B) & ~1);
    one = pit_count(2);
    for (int i = 0; i < 1000; i++)
        relax();
    check(pit_count(2) == one, "without its gate channel 2 stands still");

    handle(VECTOR, counting);
    ioapic_route(2, VECTOR);
    program(0, 2, 1193);
    start = pm();
    sti();
    while (seen[VECTOR] < 20)
        relax();
    cli();
    passed = (pm() - start) & 0xffffff;
    check(passed > PM_HZ / 1000 * 18, "20 interrupts a millisecond apart take 20 ms");
    ioapic_route(2, MASKED);
    program(0, 0, 5000);
    ioapic_route(2, VECTOR);
    int before = seen[VECTOR];
    asm volatile("sti; hlt; cli" : : : "memory");
    expect("mode 0 interrupts once", seen[VECTOR] - before, 1);
    start = pm();
    while (((pm() - start) & 0xffffff) < PM_HZ / 200)
        sti_nop_cli();
    expect("and no more", seen[VECTOR] - before, 1);
    ioapic_route(2, MASKED);

    handle(RTC_VECTOR, counting);
    ioapic_route(8, RTC_VECTOR);
    outb(0x70, 0x0a);
    outb(0x71, 0x26);
    outb(0x70, 0x0b);
    outb(0x71, 0x42);
    cmos(0x0c);
    /* The first may have been pending when it was allowed. */
    int good = 0;
    for (int i = 0; i < 4; i++) {
        before = seen[RTC_VECTOR];
        while (seen[RTC_VECTOR] == before)
            sti_nop_cli();
        good += (cmos(0x0c) & 0xc0) == 0xc0 && i > 0;
    }
    expect("periodic interrupts of the clock", good, 3);
    check(cmos(0x0d) & 0x80, "its battery is good");
    outb(0x70, 0x0b);
    outb(0x71, 2);

    u64 tsc = rdtsc();
    start = pm();
    while (((pm() - start) & 0xffffff) < PM_HZ / 1000)
        relax();
    check(rdtsc() - tsc > 1000, "the time-stamp counter counts meanwhile");
    return 0;
}
