using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Where a page walk reads its tables. Implemented by structs, so that the walker is specialised to each.</summary>
/// <remarks>All addresses are 8-byte aligned and below 2^MAXPHYADDR; nothing else is promised: the guest chooses them.</remarks>
public interface ITableMemory
{
    /// <summary>Reads an entry atomically. False means no memory is there.</summary>
    bool TryRead(Gpa entry, out ulong value);

    /// <summary>
    /// Replaces an entry if it still holds <paramref name="expected"/>, atomically; <paramref name="exchanged"/> tells whether it did.
    /// False means no memory is there.
    /// </summary>
    /// <remarks>Memory that can be read but not written loses the store, as a bus does, and reports it as made.</remarks>
    bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged);
}
