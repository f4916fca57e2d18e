/* Interrupt lines, set through the test device: the 8259 pair, and the I/O APIC with edges, levels and remote IRR. */
#include "interrupts.h"

enum { BASE = 0x20, VECTOR = 0x76, LINE = 5, SLAVE_LINE = 9 };

static volatile int pic_seen[32];

static void from_pic(struct frame *frame)
{
    int line = frame->vector - BASE;
    pic_seen[line]++;
    if (line >= 8)
        outb(0xa0, 0x20);
    outb(0x20, 0x20);
}

static void lowering(struct frame *frame)
{
    seen[frame->vector]++;
    set_line(LINE, 0);
    eoi();
}

static void pulse(int line)
{
    set_line(line, 1);
    set_line(line, 0);
}

static void pic(void)
{
    for (int i = 0; i < 16; i++)
        handle(BASE + i, from_pic);
    pic_init(BASE, BASE + 8);
    apic_write(APIC_SVR, 0x1ff);
    apic_write(APIC_LINT0, 0x700);
    expect("masks read back", inb(0x21) << 8 | inb(0xa1), 0xffff);
    set_line(LINE, 1);
    sti_nop_cli();
    expect("a masked line", pic_seen[LINE], 0);
    outb(0x20, 0x0a);
    expect("waits in IRR", inb(0x20), 1 << LINE);
    outb(0x21, ~(1 << LINE | 1 << 2));
    sti_nop_cli();
    expect("until it is not", pic_seen[LINE], 1);
    sti_nop_cli();
    expect("an edge is one interrupt", pic_seen[LINE], 1);
    set_line(LINE, 0);
    set_line(LINE, 1);
    sti_nop_cli();
    expect("the next edge", pic_seen[LINE], 2);
    set_line(LINE, 0);
    outb(0xa1, ~(1 << (SLAVE_LINE - 8)));
    set_line(SLAVE_LINE, 1);
    sti_nop_cli();
    expect("the second chip, through line 2 of the first", pic_seen[SLAVE_LINE], 1);
    set_line(SLAVE_LINE, 0);
    outb(0x20, 0x0b);
    expect("nothing in service", inb(0x20), 0);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    apic_write(APIC_LINT0, MASKED);
}

static void io_apic(void)
{
    expect("24 entries", ioapic_read(1) >> 16 & 0xff, 23);
    expect("ID", (ioapic_write(0, 0x0f000000), ioapic_read(0)), 0x0f000000);
    ioapic_write(0, 0);
    handle(VECTOR, counting);
    ioapic_route(LINE, VECTOR);
    expect("an entry reads back", ioapic_read(0x10 + 2 * LINE), VECTOR);
    pulse(LINE);
    sti_nop_cli();
    expect("an edge", seen[VECTOR], 1);
    set_line(LINE, 1);
    set_line(LINE, 1);
    sti_nop_cli();
    expect("held high it is one", seen[VECTOR], 2);
    set_line(LINE, 0);
    ioapic_route(LINE, VECTOR | MASKED);
    pulse(LINE);
    sti_nop_cli();
    expect("an edge while masked", seen[VECTOR], 2);
    handle(VECTOR, lowering);
    ioapic_route(LINE, VECTOR | 0x8000);
    set_line(LINE, 1);
    sti_nop_cli();
    sti_nop_cli();
    expect("a level that the handler lowers", seen[VECTOR], 3);
    handle(VECTOR, counting_no_eoi);
    set_line(LINE, 1);
    sti_nop_cli();
    expect("a level without EOI", seen[VECTOR], 4);
    expect("has its remote IRR", ioapic_read(0x10 + 2 * LINE) >> 14 & 1, 1);
    expect("and its TMR", apic_read(APIC_TMR + 0x10 * (VECTOR / 32)) >> VECTOR % 32 & 1, 1);
    eoi();
    sti_nop_cli();
    expect("EOI with the line still high brings another", seen[VECTOR], 5);
    set_line(LINE, 0);
    eoi();
    sti_nop_cli();
    expect("EOI with the line low does not", seen[VECTOR], 5);
    expect("remote IRR is 0", ioapic_read(0x10 + 2 * LINE) >> 14 & 1, 0);
    handle(VECTOR, counting);
    ioapic_route(LINE, VECTOR | MASKED);
    handle(0x91, counting);
    handle(0x81, counting);
    ioapic_route(6, 0x81);
    ioapic_route(7, 0x91);
    pulse(6);
    pulse(7);
    expect("both wait", apic_read(APIC_IRR + 0x40), 1 << 17 | 1 << 1);
    sti_nop_cli();
    expect("and come", seen[0x81] << 4 | seen[0x91], 0x11);
    ioapic_route(LINE, VECTOR | 0x800 | 1ull << 56);
    apic_write(APIC_LDR, 1 << 24);
    int before = seen[VECTOR];
    pulse(LINE);
    sti_nop_cli();
    expect("a logical destination", seen[VECTOR] - before, 1);
    ioapic_route(LINE, MASKED);
}

int main(void)
{
    pic();
    io_apic();
    return 0;
}
