/* Where other processors begin: in real mode at 0x8000, then on to long mode and ap_begin(number) with a stack of their own. */
    .text
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdt_pointer - trampoline
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $0x18, $ap_start32
ap_gdt_pointer:
    .word 64 * 8 - 1
    .long gdt
trampoline_end:

    .code32
ap_start32:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $1, %ebx
    lock xadd %ebx, ap_count
    mov %ebx, %esp
    inc %esp
    shl $14, %esp
    add ap_stacks, %esp
    call enter_long_mode
    ljmp $0x08, $ap_start64

    .code64
ap_start64:
    mov %ebx, %edi
    inc %edi
    lock incl aps
    call ap_begin
    ud2

    .bss
    .align 8
    .globl ap_stacks
ap_stacks: .skip 8
ap_count: .skip 4
