using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Tables that a walk reads and does not mark: the A and D flags it sets are lost.</summary>
internal struct UnmarkedTables<TInner>(TInner inner) : ITableMemory
    where TInner : struct, ITableMemory
{
    /// <summary>The tables.</summary>
    public TInner Inner = inner;

    /// <inheritdoc/>
    public bool TryRead(Gpa entry, out ulong value) => Inner.TryRead(entry, out value);

    /// <inheritdoc/>
    public readonly bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        exchanged = true;
        return true;
    }
}
