using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The EPT entries one walk has used, by level.</summary>
internal struct EptPath
{
    public const int MostLevels = 5;

    private Slots slots;

    public readonly EptStep this[int level]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => slots[level];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Set(int level, Hpa address, ulong raw) => slots[level] = new(address, raw);

    [InlineArray(MostLevels + 1)]
    private struct Slots
    {
        private EptStep first;
    }
}

/// <summary>An entry and where it lies.</summary>
internal readonly struct EptStep(Hpa address, ulong raw)
{
    public Hpa Address { get; } = address;

    public ulong Raw { get; } = raw;
}
