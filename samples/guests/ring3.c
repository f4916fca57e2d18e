/* A user program: the note below asks for ring 3. Freestanding, with Linux system call numbers, so it runs on Linux too. */
#include <stddef.h>
#include <stdint.h>

#define SYS_WRITE 1
#define SYS_EXIT 60
#define SYS_NOBODY 9999
#define ENOSYS 38
#define EFAULT 14

__asm__(".pushsection .note.quadwalk, \"a\", @note\n"
        "    .balign 4\n"
        "    .long 9, 4, 1\n" /* name size, descriptor size, type */
        "    .asciz \"Quadwalk\"\n"
        "    .balign 4\n"
        "    .long 3\n" /* the ring */
        ".popsection\n");

__asm__(".text\n"
        ".globl _start\n"
        "_start:\n"
        "    mov %rsp, %rdi\n"
        "    call run\n"
        "    mov %eax, %edi\n"
        "    mov $60, %eax\n"
        "    syscall\n"
        "    ud2\n");

static int64_t system_call(int64_t number, int64_t a, int64_t b, int64_t c)
{
    int64_t result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static int say(const char *text)
{
    int64_t length = 0;
    while (text[length]) {
        length++;
    }
    return system_call(SYS_WRITE, 1, (int64_t)text, length) == length;
}

__attribute__((used)) int run(const int64_t *stack)
{
    uint16_t cs;
    __asm__("mov %%cs, %0" : "=r"(cs));

    if ((cs & 3) != 3) {
        say("Not in ring 3.\n");
        return 1;
    }
    if (!say("Hello from ring 3.\n")) {
        return 2;
    }
    if (stack[0] != 1 || stack[1] == 0 || stack[2] != 0 || ((uint64_t)stack & 15) != 0) {
        say("The stack is not laid out for a process.\n");
        return 3;
    }
    if (system_call(SYS_NOBODY, 0, 0, 0) != -ENOSYS) {
        say("An unknown system call did not give -ENOSYS.\n");
        return 4;
    }
    if (system_call(SYS_WRITE, 1, (int64_t)0xffff888000000000ull, 16) != -EFAULT) {
        say("Writing from the kernel's half did not give -EFAULT.\n");
        return 5;
    }
    say("CPL 3, argc 1, -ENOSYS and -EFAULT as they should be.\n");
    return 0;
}
