/* Real mode, entered from protected mode and left again for each test: arithmetic, strings, far transfers, interrupts, segments. */
#include "pc.h"

struct registers {
    u32 ax, cx, dx, bx, bp, si, di, flags;
    u16 es, ds;
};

/* In the first 64 KiB, where real mode finds them with segment 0. */
struct registers in, out;
u16 low[64];
volatile u32 entry;
void run16(void);

asm(".pushsection .text.run16, \"ax\"\n.globl run16\n"
    "run16: pusha\n mov %ax, routine\n mov %esp, saved_esp\n sgdt saved_gdt\n sidt saved_idt\n ljmp $0x38, $1f\n"
    ".code16\n1: mov $0x40, %ax\n mov %ax, %ds\n mov %ax, %es\n mov %ax, %ss\n mov %ax, %fs\n mov %ax, %gs\n"
    " mov %cr0, %eax\n and $~1, %eax\n mov %eax, %cr0\n ljmp $0, $2f\n"
    "2: xor %ax, %ax\n mov %ax, %ds\n mov %ax, %ss\n mov %ax, %fs\n mov %ax, %gs\n mov $0x7f00, %esp\n lidtl ivt\n"
    " mov in+32, %es\n mov in, %eax\n mov in+4, %ecx\n mov in+8, %edx\n mov in+12, %ebx\n mov in+16, %ebp\n mov in+20, %esi\n mov in+24, %edi\n"
    " pushl in+28\n popfl\n call *routine\n"
    " cli\n pushfl\n push %ds\n pushw $0\n pop %ds\n mov %eax, out\n popw out+34\n popl out+28\n mov %ecx, out+4\n mov %edx, out+8\n mov %ebx, out+12\n"
    " mov %ebp, out+16\n mov %esi, out+20\n mov %edi, out+24\n mov %es, out+32\n cld\n"
    " mov %cr0, %eax\n or $1, %eax\n mov %eax, %cr0\n ljmpl $0x08, $3f\n"
    ".code32\n3: mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n mov %eax, %fs\n mov %eax, %gs\n"
    " mov saved_esp, %esp\n lidt saved_idt\n popa\n ret\n"
    ".popsection\n"
    ".pushsection .data\nroutine: .long 0\nsaved_esp: .long 0\nsaved_gdt: .skip 8\nsaved_idt: .skip 8\nivt: .word 0x3ff\n .long 0\n.popsection");

static void run(u32 code)
{
    asm volatile("call run16" : : "a"(code) : "memory", "cc");
}

/* Runs instructions in real mode; a near RET follows them. */
#define REAL(code) \
    do { \
        asm volatile("movl $7f, entry\n jmp 8f\n.code16\n7: " code "\n ret\n.code32\n8:"); \
        run(entry); \
    } while (0)

static void vector(int n, u32 target)
{
    *(volatile u16 *)(n * 4) = target;
    *(volatile u16 *)(n * 4 + 2) = 0;
}

#define HANDLER(name, code) \
    asm(".pushsection .text.handlers, \"ax\"\n.code16\n" name ": " code "\n.code32\n.popsection")
HANDLER("note", "pop low\n pop low+2\n pop low+4\n push low+4\n push low+2\n push low\n incw low+6\n iret");
HANDLER("over2", "pop low\n pop low+2\n pop low+4\n push low+4\n push low+2\n addw $2, low\n push low\n incw low+6\n iret");
HANDLER("over3", "pop low\n pop low+2\n pop low+4\n push low+4\n push low+2\n addw $3, low\n push low\n incw low+6\n iret");
HANDLER("over4", "pop low\n pop low+2\n pop low+4\n push low+4\n push low+2\n addw $4, low\n push low\n incw low+6\n iret");
HANDLER("far_sub", "mov %cs, %bx\n lret");
HANDLER("far_sub2", "mov $0x77, %bx\n lret $4");
extern u8 note[], over2[], over3[], over4[];

static void clear(void)
{
    zero(&in, sizeof in);
    zero(&out, sizeof out);
    zero(low, sizeof low);
    in.flags = 2;
}

static void moves(void)
{
    clear();
    in.ax = 0x12345678;
    REAL("mov %eax, %ecx; mov %ax, %dx; mov %ah, %bl; xchg %si, %ax");
    expect("MOV of 32 bits", out.cx, 0x12345678);
    expect("of 16", out.dx, 0x5678);
    expect("of 8", out.bx, 0x56);
    expect("XCHG of 16", out.ax, 0x12340000);
    REAL("movw $0x1234, low; movw low, %ax; movb low+1, %bl; movl $0x89abcdef, low+4; movl low+4, %ecx");
    expect("memory, 16 bits", out.ax & 0xffff, 0x1234);
    expect("8 bits", out.bx, 0x12);
    expect("32 bits", out.cx, 0x89abcdef);
    REAL("mov $0x1111, %ax; mov %ax, %es; mov %es, %dx; mov $low, %bx; mov $4, %si; mov (%bx,%si), %cx; lea -2(%bx,%si), %bp");
    expect("a segment register", out.dx & 0xffff, 0x1111);
    expect("BX+SI", out.cx & 0xffff, 0xcdef);
    expect("LEA", out.bp & 0xffff, ((u32)low + 2) & 0xffff);
    REAL("mov $0x1000, %ax; mov %ax, %es; mov $0xf0, %bx; movb $0x5a, %es:(%bx)");
    expect("a segment's base is 16 times it", *(volatile u8 *)0x100f0, 0x5a);
    REAL("mov $0xffff, %ax; mov %ax, %es; movb $0x5b, %es:0x10; xor %ax, %ax; mov %ax, %fs; movb %fs:0, %cl");
    expect("the first byte above 1 MiB", *(volatile u8 *)0x100000, 0x5b);
    REAL("movl $0x12345678, low; mov $low, %eax; movzwl (%eax), %ebx; movsbw low+3, %cx; bswap %ebx");
    expect("32-bit addresses", out.bx, 0x78560000);
    *(u32 *)low = 0x00100020;
    REAL("lds low, %si; mov %ds, %dx; push %cs; pop %ds; les low, %di");
    expect("LDS", (out.si & 0xffff) << 16 | (out.dx & 0xffff), 0x00200010);
    expect("LES", (out.di & 0xffff) << 16 | out.es, 0x00200010);
}

static void arithmetic(void)
{
    clear();
    REAL("mov $0x7fff, %ax; add $1, %ax; pushf; pop %bx; mov $0xffff, %cx; add $1, %cx; pushf; pop %dx");
    expect("ADD overflows at 16 bits", out.bx & 0x8d5, 0x894);
    expect("and carries", out.dx & 0x8d5, 0x55);
    REAL("mov $100, %al; mov $50, %bl; mul %bl; mov %ax, %cx; mov $1000, %ax; mov $1000, %bx; mul %bx");
    expect("MUL of 8", out.cx & 0xffff, 5000);
    expect("MUL of 16", (out.dx & 0xffff) << 16 | (out.ax & 0xffff), 1000000);
    REAL("mov $-7, %ax; cwd; mov $2, %bx; idiv %bx; mov $0x1234, %cx; shl $4, %cx; shld $8, %cx, %si; rol $4, %cx");
    expect("IDIV", (out.ax & 0xffff) << 16 | (out.dx & 0xffff), 0xfffdffff);
    expect("SHLD", out.si & 0xffff, 0x23);
    expect("ROL", out.cx & 0xffff, 0x3402);
    REAL("mov $0x0109, %ax; aaa; mov $0x79, %bl; xchg %bl, %al; add $0x35, %al; daa; mov $123, %cl; xchg %cl, %al; aam");
    expect("DAA", out.cx & 0xff, 0x14);
    expect("AAM", out.ax & 0xffff, 0x0c03);
    REAL("mov $0xff80, %ax; cbw; mov %ax, %bx; cwde; mov $0x8000, %cx; sar $15, %cx; bsf %cx, %dx; sete %dl; .byte 0xd6");
    expect("CBW", out.bx & 0xffff, 0xff80);
    expect("SAR", out.cx & 0xffff, 0xffff);
    REAL("mov $5, %cx; xor %ax, %ax; 1: add %cx, %ax; loop 1b; jcxz 2f; mov $0, %ax; 2: mov $3, %ecx; 3: inc %bx; addr32 loop 3b");
    expect("LOOP and JCXZ", out.ax & 0xffff, 15);
    expect("LOOP by ECX", out.bx & 0xffff, 3);
    REAL("xor %al, %al; mov $0xab, %bx; cmp $0xab, %bl; sete %al; stc; setc %ah; clc; cmc; setc %cl; lahf; mov $0xd5, %ah; sahf; pushf; pop %dx");
    expect("SAHF", out.dx & 0xd7, 0xd7);
}

static void strings(void)
{
    clear();
    REAL("push %ds; pop %es; mov $low, %di; mov $0x4141, %ax; mov $8, %cx; rep stosw; mov $low, %si; mov $low+32, %di; mov $4, %cx; rep movsl; mov %cx, %bx");
    expect("REP STOS", low[7] << 16 | low[8], 0x41410000);
    expect("REP MOVS", low[16] << 16 | low[23], 0x41414141);
    REAL("push %ds; pop %es; movb $0x42, low+5; mov $low, %di; mov $0x42, %al; mov $16, %cx; repne scasb; mov $low, %si; mov $low+32, %di; push %cx; mov $16, %cx; repe cmpsb; mov %cx, %bx; pop %cx");
    expect("REPNE SCAS", out.cx & 0xffff, 10);
    expect("REPE CMPS", out.bx & 0xffff, 10);
    REAL("std; mov $low+6, %si; lodsw; mov %si, %bx; lodsb; cld");
    expect("LODS downwards", out.bx & 0xffff, ((u32)low + 4) & 0xffff);
    REAL("mov $low, %si; mov $4, %cx; mov $0xe0, %dx; rep outsb; in %dx, %al; mov $0x1234, %ax; out %ax, $0xe0; xor %ax, %ax; in $0xe0, %ax");
    expect("OUTS, OUT and IN", out.ax & 0xffff, 0x1234);
    REAL("mov $0xfffe, %si; mov $2, %cx; 1: lodsw; loop 1b");
    expect("SI wraps", out.si & 0xffff, 2);
}

static void transfers(void)
{
    clear();
    REAL("lcall $0, $far_sub; mov %sp, %si");
    expect("a far call", out.bx & 0xffff, 0);
    REAL("mov %sp, %si; push $1; push $2; lcall $0, $far_sub2; sub %sp, %si");
    expect("RETF n", (out.bx & 0xffff) << 16 | (out.si & 0xffff), 0x770000);
    REAL("mov $far_sub, %ax; mov %ax, low; movw $0, low+2; mov $9, %bx; lcall *low; pushf; push %cs; push $1f; iret; 1: mov $5, %cx");
    expect("an indirect far call, and IRET", (out.bx & 0xffff) << 16 | (out.cx & 0xffff), 5);
    REAL("ljmp $0, $1f; mov $9, %dx; 1: mov %cs, %ax; call 2f; 2: pop %bx; sub $2b, %bx; pusha; popa; pushal; popal; enter $4, $0; leave; push $-1; pop %cx; pushl $-1; pop %edx");
    expect("CALL's return address", out.bx & 0xffff, 0);
    expect("PUSH of a byte is 16 bits", out.cx & 0xffff, 0xffff);
    expect("PUSHL 32", out.dx, 0xffffffff);
    REAL("push %cs; pop %ax; mov $0x1000, %dx; mov $1f, %ax; sub $0x8000, %ax; push $0x0800; push %ax; lret; 1: mov %cs, %bx; ljmp $0, $2f; 2:");
    expect("CS changes with a far jump", out.bx & 0xffff, 0x0800);
}

static void interrupts(void)
{
    clear();
    vector(0x40, (u32)note);
    REAL("sti; int $0x40; 1: pushf; pop %ax; mov $1b, %bx; cli");
    expect("INT n", low[3], 1);
    expect("its return address", low[0], out.bx & 0xffff);
    expect("its flags", low[2] & IF, IF);
    expect("IF after IRET", out.ax & IF, IF);
    vector(3, (u32)note);
    vector(4, (u32)note);
    REAL("int3; mov $0x7f, %al; inc %al; into; xor %al, %al; into");
    expect("INT3 and INTO", low[3], 3);
    vector(0, (u32)over2);
    low[3] = 0;
    REAL("xor %cl, %cl; div %cl; mov $1f, %bx; 1:");
    expect("#DE", low[3], 1);
    vector(6, (u32)over2);
    REAL("ud2");
    expect("#UD", low[3], 2);
    vector(6, (u32)over3);
    REAL("lldt %ax; ltr %ax; str %ax; verr %ax; sldt %ax");
    expect("#UD for what real mode has not", low[3], 7);
    vector(6, (u32)over2);
    REAL("arpl %ax, %bx");
    expect("and ARPL", low[3], 8);
    vector(13, (u32)over3);
    low[3] = 0;
    REAL("mov $0xffff, %bx; mov $1, %cx; movw 0, %ax; .byte 0x8b, 0x47, 0x00");
    expect("#GP for a word over the end of a segment", low[3], 1);
    vector(13, (u32)over4);
    REAL("mov $0x10000, %ebx; .byte 0x66, 0x67, 0x8b, 0x03");
    expect("#GP for an offset beyond 64 KiB", low[3], 2);
    vector(5, (u32)over4);
    low[3] = 0;
    *(u32 *)(low + 8) = 20 << 16 | 10;
    REAL("mov $15, %ax; bound %ax, low+16; mov $21, %ax; bound %ax, low+16");
    expect("BOUND", low[3], 1);
}

static void system_registers(void)
{
    clear();
    REAL("smsw %ax");
    expect("PE is 0", out.ax & 1, 0);
    REAL("sgdt low; mov low, %ax; sidt low; mov low, %bx");
    expect("GDT and IDT limits", (out.ax & 0xffff) << 16 | (out.bx & 0xffff), 0x1ff03ff);
    REAL("mov $0xc0000080, %ecx; rdmsr");
    expect("EFER", out.ax & 0x500, 0);
    REAL("pushfl; pop %eax; xor $0x200000, %eax; push %eax; popfl; pushfl; pop %ebx; xor %ebx, %eax");
    expect("ID can be changed", out.ax, 0);
    REAL("mov $0x3000, %ax; push %ax; popf; pushf; pop %bx; push $2; popf");
    expect("IOPL can be changed", out.bx & 0x7000, 0x3000);
}

/* Big real mode: limits of 4 GiB, taken along from protected mode. */
static void unreal(void)
{
    clear();
    *(volatile u32 *)0x200000 = 0xfeedface;
    REAL("mov %cr0, %eax; or $1, %al; mov %eax, %cr0; jmp 1f; 1: mov $0x10, %bx; mov %bx, %fs; and $0xfe, %al; mov %eax, %cr0; jmp 2f; 2:"
        " xor %bx, %bx; mov %bx, %fs; mov $0x200000, %esi; addr32 mov %fs:(%esi), %edx");
    expect("the limit of protected mode stays", out.dx, 0xfeedface);
}

int main(void)
{
    moves();
    arithmetic();
    strings();
    transfers();
    interrupts();
    system_registers();
    unreal();
    return 0;
}
