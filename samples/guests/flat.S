# A flat binary, loaded at 0x100000 and entered at its first byte.
.include "print.inc"

.text
.globl _start
_start:
    lea _start(%rip), %rax
    cmp $0x100000, %rax
    jne misplaced
    say text
    cli
    hlt
misplaced:
    mov $1, %eax
    ret

text:
    .asciz "A flat binary at 0x100000.\n"
