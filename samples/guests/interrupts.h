/* An interrupt descriptor table with one gate: what a guest needs to take its own page faults. */
#ifndef QUADWALK_INTERRUPTS_H
#define QUADWALK_INTERRUPTS_H

#include "guest.h"

#define VECTOR_PAGE_FAULT 14
#define KERNEL_CODE 0x08

struct idt_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

struct __attribute__((packed)) idt_register {
    uint16_t limit;
    uint64_t base;
};

static struct idt_gate idt[VECTOR_PAGE_FAULT + 1] __attribute__((aligned(16)));

static inline void install_page_fault_handler(void (*entry)(void))
{
    uint64_t address = (uint64_t)entry;
    struct idt_register idtr = {sizeof idt - 1, (uint64_t)idt};

    idt[VECTOR_PAGE_FAULT] = (struct idt_gate){
        .offset_low = (uint16_t)address,
        .selector = KERNEL_CODE,
        .type = 0x8e, /* present, DPL 0, 64-bit interrupt gate */
        .offset_middle = (uint16_t)(address >> 16),
        .offset_high = (uint32_t)(address >> 32),
    };
    __asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

#endif
