# Reads an address that nothing maps, with no IDT: page fault, double fault, triple fault.
.include "print.inc"

.text
.globl _start
_start:
    say text
    movabs $0x00000badadd7e550, %rbx
    mov (%rbx), %rax
    ud2

.section .rodata
text:
    .asciz "Reading 0x00000badadd7e550 now.\n"
