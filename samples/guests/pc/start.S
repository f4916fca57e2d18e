/* A multiboot loader enters here, in protected mode without paging. 64-bit guests go on to long mode with 4 GiB mapped one to one. */
    .section .multiboot, "ax"
    .code32
    .align 4
    .long 0x1badb002, 0, -0x1badb002

    .globl start
start:
    cli
    cld
    mov $stack_top, %esp
    mov %ebx, boot_info
    lgdt gdt_pointer
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov %eax, %ss
#ifdef __x86_64__
    call make_tables
    call enter_long_mode
    ljmp $0x08, $start64

/* Four directories of 2 MiB pages for the supervisor; the tables above them deny nothing. */
make_tables:
    movl $boot_pdpt + 7, boot_pml4
    mov $boot_pds + 7, %eax
    mov $boot_pdpt, %edi
1:  mov %eax, (%edi)
    add $0x1000, %eax
    add $8, %edi
    cmp $boot_pdpt + 32, %edi
    jne 1b
    mov $0x83, %eax
    mov $boot_pds, %edi
2:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    cmp $boot_pds + 0x4000, %edi
    jne 2b
    ret

/* PAE, CR3, EFER.LME with NXE and SCE, then paging: also what the other processors do. */
    .globl enter_long_mode
enter_long_mode:
    mov %cr4, %eax
    or $0x620, %eax
    mov %eax, %cr4
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax
    wrmsr
    mov %cr0, %eax
    and $~0xc, %eax
    or $0x80010022, %eax
    mov %eax, %cr0
    ret

    .code64
start64:
    mov $stack_top, %rsp
    xor %ebp, %ebp
    call begin
    ud2
#else
    ljmp $0x08, $1f
1:  call begin
    ud2
#endif

    .data
    .align 16
    .globl gdt, gdt_pointer
gdt:
    .quad 0
#ifdef __x86_64__
    .quad 0x00af9b000000ffff        /* 08 code, 64 bits */
#else
    .quad 0x00cf9b000000ffff        /* 08 code, 32 bits */
#endif
    .quad 0x00cf93000000ffff        /* 10 data */
    .quad 0x00cf9b000000ffff        /* 18 code, 32 bits */
    .quad 0x00cffb000000ffff        /* 20 code, 32 bits, DPL 3 */
    .quad 0x00cff3000000ffff        /* 28 data, DPL 3 */
    .quad 0x00affb000000ffff        /* 30 code, 64 bits, DPL 3 */
    .quad 0x00009b000000ffff        /* 38 code, 16 bits */
    .quad 0x000093000000ffff        /* 40 data, 16 bits */
    .fill 64 - 9, 8, 0              /* 48 task state, 58 and up spare */
gdt_pointer:
    .word 64 * 8 - 1
#ifdef __x86_64__
    .quad gdt
#else
    .long gdt
#endif

    .bss
#ifdef __x86_64__
    .align 4096
    .globl boot_pml4, boot_pdpt, boot_pds
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pds: .skip 16384
#endif
    .align 16
    .globl boot_info, stack_top
    .skip 16384
stack_top:
boot_info:
    .skip 4
