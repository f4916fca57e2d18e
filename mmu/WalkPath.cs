using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The entries one walk has used, by level; what a failure or a flag update looks back at.</summary>
internal struct WalkPath
{
    private Slots slots;

    public readonly WalkStepEntry this[int level]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => slots[level];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Set(int level, Gpa address, PageTableEntry entry) => slots[level] = new(address, entry);

    [InlineArray(FiveLevelFormat.TopLevel + 1)]
    private struct Slots
    {
        private WalkStepEntry first;
    }
}

/// <summary>An entry and where it lies.</summary>
internal readonly struct WalkStepEntry(Gpa address, PageTableEntry entry)
{
    public Gpa Address { get; } = address;

    public PageTableEntry Entry { get; } = entry;
}
