#include "interrupts.h"

enum { SPURIOUS = 0xff, PIC1 = 0x20, PIC2 = 0xa0, LINES = 0x2000, TRAMPOLINE = 0x8000, AP_STACK = 16384 };
#define APIC ((volatile u8 *)0xfee00000)
#define IO_APIC ((volatile u8 *)0xfec00000)

extern u8 trampoline[], trampoline_end[];
extern u8 *volatile ap_stacks;
volatile int seen[256];
volatile int aps;
void load_idt(void);

static int is_x2(void) { return (rdmsr(APIC_BASE) & APIC_X2) != 0; }

u32 apic_read(int offset) { return is_x2() ? (u32)rdmsr(0x800 + offset / 16) : *(volatile u32 *)(APIC + offset); }

void apic_write(int offset, u32 value)
{
    if (is_x2())
        wrmsr(0x800 + offset / 16, value);
    else
        *(volatile u32 *)(APIC + offset) = value;
}

void apic_command(u32 command, u32 destination)
{
    if (is_x2()) {
        wrmsr(0x800 + APIC_ICR / 16, (u64)destination << 32 | command);
        return;
    }
    apic_write(APIC_ICR2, destination << 24);
    apic_write(APIC_ICR, command);
    while (apic_read(APIC_ICR) & 0x1000)
        relax();
}

void apic_enable(void)
{
    apic_write(APIC_LINT0, MASKED);
    apic_write(APIC_SVR, 0x100 | SPURIOUS);
}

void counting_no_eoi(struct frame *frame) { seen[frame->vector]++; }

void counting(struct frame *frame)
{
    seen[frame->vector]++;
    eoi();
}

void pic_init(int master_vector, int slave_vector)
{
    outb(PIC1, 0x11);
    outb(PIC2, 0x11);
    outb(PIC1 + 1, master_vector);
    outb(PIC2 + 1, slave_vector);
    outb(PIC1 + 1, 4);
    outb(PIC2 + 1, 2);
    outb(PIC1 + 1, 1);
    outb(PIC2 + 1, 1);
    outb(PIC1 + 1, 0xff);
    outb(PIC2 + 1, 0xff);
}

void ioapic_write(int index, u32 value)
{
    *(volatile u32 *)IO_APIC = index;
    *(volatile u32 *)(IO_APIC + 0x10) = value;
}

u32 ioapic_read(int index)
{
    *(volatile u32 *)IO_APIC = index;
    return *(volatile u32 *)(IO_APIC + 0x10);
}

void ioapic_route(int pin, u64 entry)
{
    ioapic_write(0x11 + 2 * pin, entry >> 32);
    ioapic_write(0x10 + 2 * pin, entry);
}

void set_line(int line, int level) { outb(LINES + line, level); }

void ap_begin(int number)
{
    load_idt();
    apic_enable();
    ap_main(number);
    for (;;)
        asm volatile("sti; hlt");
}

__attribute__((weak)) void ap_main(int number) { (void)number; }

int start_processors(int wanted)
{
    copy((void *)TRAMPOLINE, trampoline, trampoline_end - trampoline);
    ap_stacks = (u8 *)0x3000000;
    apic_command(INIT | ASSERT | TO_OTHERS, 0);
    for (int i = 0; i < 10000; i++)
        relax();
    apic_command(STARTUP | ASSERT | TO_OTHERS | TRAMPOLINE >> 12, 0);
    for (int i = 0; i < 1000; i++)
        relax();
    apic_command(STARTUP | ASSERT | TO_OTHERS | TRAMPOLINE >> 12, 0);
    for (u64 i = 0; aps < wanted && i < 50000000; i++)
        relax();
    return aps;
}
