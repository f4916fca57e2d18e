using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Page-table entries as the processor reads them: in guest RAM, which the second stage finds.</summary>
internal readonly unsafe struct RamTables(GuestPhysicalCache cache) : ITableMemory
{
    // SAFETY: an entry is 8 bytes at an aligned address, so it lies in the page that the cache vouches for.

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRead(Gpa entry, out ulong value)
    {
        if (!cache.TryRead(entry, SecondStageAccess.GuestTable, out byte* host))
        {
            value = 0;
            return false;
        }

        value = Volatile.Read(ref *(ulong*)host);
        return true;
    }

    /// <inheritdoc/>
    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        if (!cache.TryTranslate(entry, SecondStageAccess.GuestTableUpdate, out byte* host, out _))
        {
            // Memory that can only be read loses the store.
            exchanged = cache.TryRead(entry, SecondStageAccess.GuestTable, out _);
            return exchanged;
        }

        exchanged = Interlocked.CompareExchange(ref *(ulong*)host, desired, expected) == expected;
        return true;
    }
}
