/* The 256 ways into interrupt(), the ways out of it, and the road to CPL 3 and back. */
    .text
    .globl vectors, recover_now, run_user, unwind_user, user_end

    .set vector, 0
    .balign 16
vectors:
    .rept 256
    .balign 16
    .if vector != 8 && (vector < 10 || vector > 14) && vector != 17
    push $0
    .endif
    push $vector
    jmp common
    .set vector, vector + 1
    .endr

#ifdef __x86_64__
common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    mov %rsp, %rbp
    and $-16, %rsp
    call interrupt
    mov %rbp, %rsp
    call pop_registers
    add $16, %rsp
    iretq

pop_registers:
    pop recover_ip
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    jmp *recover_ip

/* Goes on at the end of a TRY with the registers of the frame in RDI. */
recover_now:
    mov %rdi, %rsp
    call pop_registers
    push 32(%rsp)
    popfq
    mov recover_sp, %rsp
    jmp *recover

/* run_user(ip, argument, stack, code selector): the argument is RDI there. */
run_user:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushf
    mov %rsp, user_back
    movl $-1, trap
    push $0x2b
    push %rdx
    pushf
    push %rcx
    push %rdi
    mov %rsi, %rdi
    iretq

unwind_user:
    mov user_back, %rsp
    movq $0, user_back
    popf
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    mov trap, %eax
    ret

    .bss
    .align 8
    .globl user_back
user_back: .skip 8
recover_ip: .skip 8
#else
common:
    pusha
    push %ds
    push %es
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    cld
    mov %esp, %ebp
    push %esp
    call interrupt
    mov %ebp, %esp
    pop %es
    pop %ds
    popa
    add $8, %esp
    iret

recover_now:
    mov 4(%esp), %esp
    pop %es
    pop %ds
    popa
    push 16(%esp)
    popf
    mov recover_sp, %esp
    jmp *recover

/* run_user(ip, argument, stack, code selector): the argument is EAX there. */
run_user:
    push %ebx
    push %ebp
    push %esi
    push %edi
    pushf
    mov %esp, user_back
    movl $-1, trap
    mov %esp, %ebx
    mov $0x2b, %eax
    mov %eax, %ds
    mov %eax, %es
    push $0x2b
    push 32(%ebx)
    pushf
    push 36(%ebx)
    push 24(%ebx)
    mov 28(%ebx), %eax
    iret

unwind_user:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov user_back, %esp
    movl $0, user_back
    popf
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    mov trap, %eax
    ret

    .bss
    .align 4
    .globl user_back
user_back: .skip 4
#endif
