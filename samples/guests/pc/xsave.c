/* XSAVE: XCR0's rules, what is saved where, the init state, AVX registers, #NM and #UD. */
#include "pages.h"

enum { X87 = 1, SSE = 2, AVX = 4 };
#define OSXSAVE (1ul << 18)
#define TS_FLAG 8ul

static u8 area[4096] __attribute__((aligned(64)));

static int try_xsetbv(u32 index, u64 value)
{
    return TRY("xsetbv", : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}

static u64 xgetbv(u32 index)
{
    u32 low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
    return (u64)high << 32 | low;
}

static void xsave(u64 mask) { asm volatile("xsave64 %0" : "+m"(area) : "a"((u32)mask), "d"((u32)(mask >> 32)) : "memory"); }

static int try_xrstor(u64 mask)
{
    return TRY("xrstor64 %0", : : "m"(area), "a"((u32)mask), "d"((u32)(mask >> 32)) : "memory");
}

static u64 word_at(int offset) { return *(volatile u64 *)(area + offset); }
static void put_at(int offset, u64 value) { *(volatile u64 *)(area + offset) = value; }

int main(void)
{
    check(cpuid(1, 0).c >> 26 & 1, "XSAVE is there");
    check(!(cpuid(1, 0).c >> 27 & 1), "OSXSAVE follows CR4");
    expect("#UD by XGETBV without CR4.OSXSAVE", TRY("xgetbv", : : "c"(0) : "eax", "edx"), UD);
    expect("#UD by XSAVE without CR4.OSXSAVE", TRY("xsave %0", : : "m"(area), "a"(0), "d"(0)), UD);
    expect("#UD by AVX without CR4.OSXSAVE", TRY("vxorps %%ymm0, %%ymm0, %%ymm0", : : : "memory"), UD);
    set_cr4(get_cr4() | OSXSAVE);
    check(cpuid(1, 0).c >> 27 & 1, "OSXSAVE is 1 now");
    expect("XCR0 after reset", xgetbv(0), X87);
    check((cpuid(13, 0).a & 7) == 7, "x87, SSE and AVX can be saved");
    expect("#GP without x87", try_xsetbv(0, SSE), GP);
    expect("#GP for 0", try_xsetbv(0, 0), GP);
    expect("#GP for AVX without SSE", try_xsetbv(0, X87 | AVX), GP);
    expect("#GP for bit 63", try_xsetbv(0, 7 | 1ull << 63), GP);
    expect("#GP for bit 62", try_xsetbv(0, 7 | 1ull << 62), GP);
    expect("#GP for XCR1", try_xsetbv(1, 7), GP);
    expect("#GP to read XCR7", TRY("xgetbv", : : "c"(7) : "eax", "edx"), GP);
    expect("x87 alone", try_xsetbv(0, X87), -1);
    expect("its size", cpuid(13, 0).b, 576);
    expect("#UD by AVX without XCR0's bit", TRY("vxorps %%ymm0, %%ymm0, %%ymm0", : : : "memory"), UD);
    expect("x87 and SSE", try_xsetbv(0, X87 | SSE), -1);
    expect("all three", try_xsetbv(0, 7), -1);
    expect("XCR0", xgetbv(0), 7);
    expect("their size", cpuid(13, 0).b, 832);
    expect("AVX has 256 bytes", cpuid(13, 2).a, 256);
    expect("at 576", cpuid(13, 2).b, 576);

    static const u64 pattern[4] = {0x1111111111111111, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444};
    asm volatile("fninit; vzeroall; vmovups %0, %%ymm5" : : "m"(pattern));
    xsave(7);
    expect("XSTATE_BV has SSE and AVX", word_at(512) & 6, 6);
    expect("XCOMP_BV is 0", word_at(520), 0);
    expect("XMM5's first half", word_at(160 + 80), pattern[0]);
    expect("its second", word_at(160 + 88), pattern[1]);
    expect("YMM5's third quarter", word_at(576 + 80), pattern[2]);
    expect("its fourth", word_at(576 + 88), pattern[3]);
    expect("MXCSR", (u32)word_at(24), 0x1f80);
    asm volatile("vzeroall");
    expect("XRSTOR", try_xrstor(7), -1);
    u64 back[4];
    asm volatile("vmovups %%ymm5, %0" : "=m"(back));
    check(back[0] == pattern[0] && back[3] == pattern[3], "brings YMM5 back");
    expect("XRSTOR of SSE alone", try_xrstor(SSE), -1);
    put_at(512, word_at(512) & ~(u64)AVX);
    expect("XRSTOR with AVX not in XSTATE_BV", try_xrstor(7), -1);
    asm volatile("vmovups %%ymm5, %0" : "=m"(back));
    check(back[0] == pattern[0] && back[2] == 0 && back[3] == 0, "clears the upper halves only");
    put_at(512, 1ull << 40);
    expect("#GP for unknown bits in XSTATE_BV", try_xrstor(7), GP);
    put_at(512, 7);
    put_at(520, 1);
    expect("#GP for the reserved header", try_xrstor(7), GP);
    put_at(520, 0);
    *(volatile u32 *)(area + 24) = 0xffff1f80;
    expect("#GP for reserved bits of MXCSR", try_xrstor(7), GP);
    *(volatile u32 *)(area + 24) = 0x1f80;
    expect("#GP off a boundary of 64", TRY("xsave64 8+%0", : : "m"(area), "a"(7), "d"(0) : "memory"), GP);
    put_at(160, 0x77);
    asm volatile("vmovups %0, %%ymm0" : : "m"(pattern));
    xsave(X87);
    expect("XSAVE leaves out what is not asked for", word_at(160), 0x77);

    asm volatile("vmovups %0, %%ymm1; movaps %%xmm2, %%xmm1" : : "m"(pattern));
    asm volatile("vmovups %%ymm1, %0" : "=m"(back));
    expect("SSE keeps the upper half", back[3], pattern[3]);
    asm volatile("vmovaps %%xmm2, %%xmm1; vmovups %%ymm1, %0" : "=m"(back));
    expect("VEX.128 clears it", back[3], 0);
    asm volatile("vmovups %1, %%ymm1; vzeroupper; vmovups %%ymm1, %0" : "=m"(back) : "m"(pattern));
    check(back[1] == pattern[1] && back[2] == 0, "VZEROUPPER");
    if (cpuid(13, 1).a & 2) {
        asm volatile("vzeroall; fninit; vmovups %0, %%ymm3" : : "m"(pattern));
        zero(area, sizeof area);
        expect("XSAVEC", TRY("xsavec64 %0", : : "m"(area), "a"(6), "d"(0) : "memory"), -1);
        expect("sets the compact format", word_at(520), 1ull << 63 | 6);
        expect("and puts AVX at 576", word_at(576 + 48), pattern[2]);
    } else {
        skip("XSAVEC");
    }

    set_cr0(get_cr0() | TS_FLAG);
    expect("#NM by XSAVE with CR0.TS", TRY("xsave %0", : : "m"(area), "a"(0), "d"(0)), NM);
    expect("#NM by AVX with CR0.TS", TRY("vxorps %%ymm0, %%ymm0, %%ymm0", : : : "memory"), NM);
    asm volatile("clts");
    check(!(get_cr0() & TS_FLAG), "CLTS");
    return 0;
}
