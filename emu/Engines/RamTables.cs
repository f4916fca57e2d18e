using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Page-table entries as the processor reads them: straight from guest RAM.</summary>
internal readonly unsafe struct RamTables(Memslots slots) : ITableMemory
{
    // SAFETY: an entry is 8 bytes at an aligned address, so it lies in the page that TryTranslate vouches for.

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRead(Gpa entry, out ulong value)
    {
        if (!slots.TryTranslate(entry, out Hva hva, out _))
        {
            value = 0;
            return false;
        }

        value = Volatile.Read(ref *(ulong*)hva.Value);
        return true;
    }

    /// <inheritdoc/>
    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        exchanged = false;
        if (!slots.TryTranslate(entry, out Hva hva, out bool writable) || !writable)
        {
            return false;
        }

        exchanged = Interlocked.CompareExchange(ref *(ulong*)hva.Value, desired, expected) == expected;
        return true;
    }
}
