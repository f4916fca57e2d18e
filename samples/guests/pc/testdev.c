/* The test device and fw_cfg: echo ports, memory that is a device, the boot information. */
#include "pages.h"

enum { ECHO = 0xe0, FW_SELECT = 0x510, FW_DATA = 0x511 };
#define DEVICE ((volatile u8 *)0xff000000)

static u64 config(int selector, int bytes)
{
    u64 value = 0;
    outw(FW_SELECT, selector);
    for (int i = 0; i < bytes; i++)
        value |= (u64)inb(FW_DATA) << 8 * i;
    return value;
}

int main(void)
{
    outl(ECHO, 0x12345678);
    expect("32 bits echo", inl(ECHO), 0x12345678);
    outw(ECHO, 0xabcd);
    expect("16 bits", inw(ECHO), 0xabcd);
    outb(ECHO, 0x5a);
    expect("8 bits", inb(ECHO), 0x5a);
    expect("within the 32", inl(ECHO), 0x1234ab5a);
    static u32 words[4] = {1, 2, 3, 4};
    const u32 *from = words;
    word count = 4;
    asm volatile("rep outsl" : "+S"(from), "+c"(count) : "d"(ECHO) : "memory");
    expect("REP OUTS leaves the last", inl(ECHO), 4);
    u32 *to = words;
    count = 4;
    asm volatile("rep insl" : "+D"(to), "+c"(count) : "d"(ECHO) : "memory");
    expect("REP INS", words[0] << 8 | words[3], 0x404);

    *(volatile u32 *)DEVICE = 0x11223344;
    expect("device memory, 32 bits", *(volatile u32 *)DEVICE, 0x11223344);
    expect("a byte of them", DEVICE[1], 0x33);
    *(volatile u64 *)(DEVICE + 8) = 0x8877665544332211;
    expect("64 bits", *(volatile u64 *)(DEVICE + 8), 0x8877665544332211);
    expect("off a boundary", *(volatile u32 *)(DEVICE + 10), 0x66554433);
    *(volatile u16 *)(DEVICE + 0x20) = 0xffff;
    asm volatile("lock addl $1, %0" : : "m"(*(volatile u32 *)(DEVICE + 0x20)) : "memory");
    expect("LOCK ADD", *(volatile u32 *)(DEVICE + 0x20), 0x10000);
    u32 old = 7;
    asm volatile("xchg %0, %1" : "+r"(old), "+m"(*(volatile u32 *)(DEVICE + 0x20)));
    expect("XCHG", (u64)old << 32 | *(volatile u32 *)(DEVICE + 0x20), 0x1000000000007);
    asm volatile("push %1; pop %0" : "=m"(*(volatile u64 *)(DEVICE + 0x40)) : "m"(*(volatile u64 *)(DEVICE + 8)));
    expect("PUSH and POP", *(volatile u64 *)(DEVICE + 0x40), 0x8877665544332211);
    copy((void *)(DEVICE + 0x100), (void *)(DEVICE + 8), 8);
    expect("MOVS within the device", *(volatile u64 *)(DEVICE + 0x100), 0x8877665544332211);
    asm volatile("movups %1, %%xmm0; movups %%xmm0, %0"
        : "=m"(*(volatile u64(*)[2])(DEVICE + 0x200)) : "m"(*(volatile u64(*)[2])(DEVICE + 8)));
    expect("SSE", *(volatile u64 *)(DEVICE + 0x200), 0x8877665544332211);
    asm volatile("push %%rsp; mov %%rsp, %%rbx; mov %0, %%rsp; call 1f; 1: mov %%rbx, %%rsp; pop %%rsp" : : "r"(DEVICE + 0x400) : "rbx", "memory");
    check(*(volatile u64 *)(DEVICE + 0x3f8) > 0x100000, "CALL with its stack there");

    expect("fw_cfg: QEMU", config(0, 4), 0x554d4551);
    expect("bytes of RAM", config(3, 8), 128 << 20);
    expect("processors", config(5, 2), 1);
    expect("reading on gives zeros", inb(FW_DATA), 0);
    expect("an item that is not there", config(0x7ff, 4), 0);

    u32 *info = (u32 *)(word)boot_info;
    check(info[0] & 0x40, "a memory map");
    check(info[0] & 4, "a command line");
    const char *line = (const char *)(word)info[4];
    while (*line && *line != ' ')
        line++;
    print("arguments:%s\n", line);
    u64 usable = 0;
    for (u8 *at = (u8 *)(word)info[12]; at < (u8 *)(word)info[12] + info[11]; at += *(u32 *)at + 4)
        if (*(u32 *)(at + 20) == 1 && *(u64 *)(at + 4) >= 0x100000)
            usable += *(u64 *)(at + 12);
    check(usable > 120 << 20 && usable <= 127 << 20, "RAM from 1 MiB on");
    return 0;
}
