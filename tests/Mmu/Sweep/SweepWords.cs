using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>One state of a sweep: the paging entries, the registers and the access, as words that axes flip bits of.</summary>
[InlineArray(Count)]
internal struct SweepWords
{
    public const int Count = 20;

    // The access: AccessKind in bits 1:0.
    public const ulong WriteAccess = 1, FetchAccess = 2, UserAccess = 4, ImplicitAccess = 8, ShadowStackAccess = 16, TwiceAccess = 32;

    // The processor: MAXPHYADDR in bits 7:0.
    public const ulong CpuPage1G = 1 << 8, CpuPse36 = 1 << 9;

    private ulong first;

    public ulong this[Slot slot]
    {
        readonly get => this[(int)slot];
        set => this[(int)slot] = value;
    }

    /// <summary>The mode that the control registers select (SDM Vol. 3A, table 5-1).</summary>
    public readonly PagingMode Mode =>
        (this[Slot.Efer] >> 10) % 2 == 1 ? ((this[Slot.Cr4] >> 12) % 2 == 1 ? PagingMode.FiveLevel : PagingMode.FourLevel)
        : (this[Slot.Cr4] >> 5) % 2 == 1 ? PagingMode.Pae
        : PagingMode.Bits32;

    /// <summary>The words with the bits of <paramref name="effect"/> flipped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Flip(in SweepWords words, in SweepWords effect, out SweepWords result)
    {
        Unsafe.SkipInit(out result);
        for (int i = 0; i < Count; i += Vector256<ulong>.Count)
        {
            ref ulong from = ref Unsafe.AsRef(in words.first);
            ref ulong by = ref Unsafe.AsRef(in effect.first);
            (Vector256.LoadUnsafe(ref from, (nuint)i) ^ Vector256.LoadUnsafe(ref by, (nuint)i)).StoreUnsafe(ref result.first, (nuint)i);
        }
    }

    /// <summary>The state a walker is given.</summary>
    public readonly PagingState StateFor(AccessedPolicy policy)
    {
        ulong pdpte = this[Slot.Register];
        return new(
            this[Slot.Cr0],
            this[Slot.Cr3],
            this[Slot.Cr4],
            this[Slot.Efer],
            (this[Slot.Rflags] >> 18) % 2 == 1,
            (byte)this[Slot.Cpu],
            (this[Slot.Cpu] & CpuPage1G) != 0,
            policy,
            new PdpteRegisters(pdpte ^ (1UL << 13), pdpte ^ (1UL << 14), pdpte ^ (1UL << 15), pdpte),
            (this[Slot.Cpu] & CpuPse36) != 0,
            (uint)this[Slot.Keys],
            (uint)(this[Slot.Keys] >> 32));
    }

    /// <summary>The access a walker is given.</summary>
    public static WalkAccess AccessOf(ulong access) => new(
        (AccessKind)(access & 3), (access & UserAccess) != 0, (access & ImplicitAccess) != 0, (access & ShadowStackAccess) != 0);
}
