/* A million page faults, each delivered to the guest's handler and left by IRETQ past the faulting instruction. */
#include "interrupts.h"

#define PAIRS 500000
#define ABSENT 0x0000400000001000ull

uint64_t fault_count;
uint64_t code_sum;

/* Both faulting instructions are 3 bytes long: a REX prefix, an opcode and a ModRM byte. */
void storm_entry(void);
__asm__(".text\n"
        "storm_entry:\n"
        "    push %rax\n"
        "    mov 8(%rsp), %rax\n"
        "    add %rax, code_sum(%rip)\n"
        "    incq fault_count(%rip)\n"
        "    addq $3, 16(%rsp)\n"
        "    pop %rax\n"
        "    add $8, %rsp\n"
        "    iretq\n");

int _start(void)
{
    install_page_fault_handler(storm_entry);

    for (unsigned i = 0; i < PAIRS; i++) {
        __asm__ volatile("movq (%0), %%rax\n\t"
                         "movq %%rax, (%0)"
                         :
                         : "D"(ABSENT)
                         : "rax", "memory");
    }

    put_decimal(*(volatile uint64_t *)&fault_count);
    put_text(" page faults, error codes sum to ");
    put_decimal(*(volatile uint64_t *)&code_sum);
    put_text(", CR2 0x");
    put_hex(read_cr2(), 16);
    put_text("\n");
    return 0;
}
