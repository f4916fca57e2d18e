/* x87 and SSE with their exceptions: #NM, #MF, #XM, #UD, status and tags, FXSAVE. */
#include "pages.h"

enum { MP = 2, EM = 4, TS_FLAG = 8, NE = 0x20, OSFXSR = 0x200, OSXMMEXCPT = 0x400 };

static u8 area[512] __attribute__((aligned(16)));

static u16 status_word(void)
{
    u16 value;
    asm volatile("fnstsw %0" : "=a"(value));
    return value;
}

static u32 mxcsr(void)
{
    u32 value;
    asm volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static void set_mxcsr(u32 value) { asm volatile("ldmxcsr %0" : : "m"(value)); }

static u64 as_double(void)
{
    u64 value;
    asm volatile("fstpl %0" : "=m"(value));
    return value;
}

int main(void)
{
    u16 control;
    asm volatile("fninit; fnstcw %0" : "=m"(control));
    expect("FNINIT's control word", control, 0x37f);
    expect("its status", status_word(), 0);
    asm volatile("fldpi; fldpi; faddp");
    expect("pi + pi", as_double(), 0x401921fb54442d18);
    asm volatile("fnclex; fld1; fldz; fdivrp");
    expect("division by zero is masked", status_word() & 0xff, 4);
    asm volatile("fninit; fld1; fldz");
    expect("TOP", status_word() >> 11 & 7, 6);
    control = 0x37b;
    asm volatile("fninit; fldcw %0; fldz; fld1" : : "m"(control));
    expect("an unmasked division by zero waits", TRY("fdivp", : : : "memory"), -1);
    expect("ES and ZE", status_word() & 0x84, 0x84);
    expect("for the next instruction: #MF", TRY("fld1", : : : "memory"), MF);
    expect("and #MF by WAIT", TRY("fwait", : : : "memory"), MF);
    expect("not by FNCLEX", TRY("fnclex", : : : "memory"), -1);
    expect("after which all is well", TRY("fwait; fninit", : : : "memory"), -1);
    asm volatile("fninit; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1");
    expect("a stack overflow", status_word() & 0x241, 0x241);
    expect("gives the default NaN", as_double(), 0xfff8000000000000);
    asm volatile("fninit");

    set_cr0(get_cr0() | TS_FLAG | MP);
    expect("#NM by x87 with TS", TRY("fld1", : : : "memory"), NM);
    expect("#NM by WAIT with TS and MP", TRY("fwait", : : : "memory"), NM);
    expect("#NM by SSE with TS", TRY("xorps %%xmm0, %%xmm0", : : : "memory"), NM);
    expect("#NM by FXSAVE with TS", TRY("fxsave %0", : : "m"(area)), NM);
    expect("no #NM by a fence", TRY("mfence", : : : "memory"), -1);
    set_cr0(get_cr0() & ~(word)MP);
    expect("none by WAIT without MP", TRY("fwait", : : : "memory"), -1);
    asm volatile("clts");
    set_cr0(get_cr0() | EM);
    expect("#NM by x87 with EM", TRY("fld1", : : : "memory"), NM);
    expect("#UD by SSE with EM", TRY("xorps %%xmm0, %%xmm0", : : : "memory"), UD);
    set_cr0((get_cr0() & ~(word)EM) | MP);
    set_cr4(get_cr4() & ~(word)OSFXSR);
    expect("#UD by SSE without OSFXSR", TRY("xorps %%xmm0, %%xmm0", : : : "memory"), UD);
    set_cr4(get_cr4() | OSFXSR);

    expect("MXCSR after reset", mxcsr(), 0x1f80);
    expect("#GP for its reserved bits", TRY("ldmxcsr %0", : : "m"(*(u32[]){0x10000})), GP);
    u64 one = 0x3ff0000000000000, nothing = 0, got;
    asm volatile("movsd %1, %%xmm0; divsd %2, %%xmm0; movsd %%xmm0, %0" : "=m"(got) : "m"(one), "m"(nothing));
    expect("1 / 0 is infinity", got, 0x7ff0000000000000);
    expect("and sets ZE", mxcsr(), 0x1f84);
    set_mxcsr(0x1f80 & ~0x200);
    expect("#XM if unmasked", TRY("movsd %0, %%xmm0; divsd %1, %%xmm0", : : "m"(one), "m"(nothing)), XM);
    expect("ZE", mxcsr() & 0x3f, 4);
    asm volatile("movsd %%xmm0, %0" : "=m"(got));
    expect("and the register is as it was", got, one);
    set_cr4(get_cr4() & ~(word)OSXMMEXCPT);
    expect("#UD without OSXMMEXCPT", TRY("divsd %0, %%xmm0", : : "m"(nothing)), UD);
    set_cr4(get_cr4() | OSXMMEXCPT);
    set_mxcsr(0x1f80);
    expect("#GP by MOVAPS off a boundary", TRY("movaps 4+%0, %%xmm0", : : "m"(area)), GP);
    expect("#GP by FXSAVE off a boundary", TRY("fxsave 8+%0", : : "m"(area)), GP);

    asm volatile("fninit; fldpi; movsd %1, %%xmm9; fxsave64 %0" : "=m"(area) : "m"(one));
    expect("FXSAVE: the control word", *(u16 *)area, 0x37f);
    expect("the abridged tags", area[4], 0x80);
    expect("ST0's significand", *(u64 *)(area + 32), 0xc90fdaa22168c235);
    expect("XMM9", *(u64 *)(area + 160 + 9 * 16), one);
    *(u64 *)(area + 160 + 9 * 16) = 0x1234;
    asm volatile("fxrstor64 %1; movq %%xmm9, %0" : "=r"(got) : "m"(area));
    expect("FXRSTOR", got, 0x1234);
    asm volatile("fninit");
    return 0;
}
