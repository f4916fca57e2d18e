/* What access() runs at CPL 3, within one page. */
    .section .text.user, "ax"
    .balign 64
    .globl user_read, user_write, user_fetch
user_read:
    movb (%rdi), %al
    int $0x81
user_write:
    movb $0xc3, (%rdi)
    int $0x81
user_fetch:
    call *%rdi
    int $0x81
