using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Cli;

/// <summary>Page tables that a walk reads and does not mark: the A and D flags it sets are lost.</summary>
internal readonly struct UnchangedTables(IGuestMemoryAccess memory) : ITableMemory
{
    public bool TryRead(Gpa entry, out ulong value) => memory.ReadUInt64(entry, out value) == GuestAccessStatus.Success;

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        exchanged = true;
        return true;
    }
}
