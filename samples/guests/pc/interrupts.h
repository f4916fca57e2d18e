/* Local APICs, the other processors, and the lines to the 8259 pair and the I/O APIC, for 64-bit guests. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include "pages.h"

enum { APIC_BASE = 0x1b, APIC_BSP = 0x100, APIC_X2 = 0x400, APIC_ON = 0x800 };
enum {
    APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_PPR = 0xa0, APIC_EOI = 0xb0, APIC_LDR = 0xd0, APIC_DFR = 0xe0,
    APIC_SVR = 0xf0, APIC_ISR = 0x100, APIC_TMR = 0x180, APIC_IRR = 0x200, APIC_ESR = 0x280, APIC_ICR = 0x300, APIC_ICR2 = 0x310,
    APIC_TIMER = 0x320, APIC_LINT0 = 0x350, APIC_LINT1 = 0x360, APIC_ERROR = 0x370, APIC_INITIAL = 0x380, APIC_CURRENT = 0x390,
    APIC_DIVIDE = 0x3e0, APIC_SELF = 0x3f0
};
enum { FIXED = 0, NMI_MODE = 0x400, INIT = 0x500, STARTUP = 0x600, ASSERT = 0x4000, LEVEL = 0x8000, TO_SELF = 0x40000, TO_ALL = 0x80000, TO_OTHERS = 0xc0000 };
enum { MASKED = 0x10000, PERIODIC = 0x20000, DEADLINE = 0x40000 };

u32 apic_read(int offset);
void apic_write(int offset, u32 value);
/* An interrupt command: destination is an APIC ID. */
void apic_command(u32 command, u32 destination);
static inline void eoi(void) { apic_write(APIC_EOI, 0); }
/* Turns the local APIC on by its spurious vector register, its 8259 line masked. */
void apic_enable(void);

/* Interrupts seen on a vector by counting(), which sends EOIs to the local APIC. */
extern volatile int seen[256];
void counting(struct frame *frame);
void counting_no_eoi(struct frame *frame);

void pic_init(int master_vector, int slave_vector);
void ioapic_write(int index, u32 value);
u32 ioapic_read(int index);
void ioapic_route(int pin, u64 entry);
void set_line(int line, int level);

/* Starts every other processor, each in ap_main(number); gives how many came. */
int start_processors(int wanted);
void ap_main(int number);

#endif
