using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Page tables read through a hypervisor's access path to guest memory.</summary>
/// <typeparam name="TAccess">The path; a struct or a sealed class lets its calls be bound at compile time.</typeparam>
public readonly struct AccessTables<TAccess>(TAccess access) : ITableMemory
    where TAccess : IGuestMemoryAccess
{
    /// <inheritdoc/>
    public bool TryRead(Gpa entry, out ulong value) => access.ReadUInt64(entry, out value) == GuestAccessStatus.Success;

    /// <inheritdoc/>
    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        GuestAccessStatus status = access.CompareExchangeUInt64(entry, expected, desired, out ulong observed);
        exchanged = status == GuestAccessStatus.ReadOnlySlot || observed == expected;
        return status is GuestAccessStatus.Success or GuestAccessStatus.ReadOnlySlot;
    }
}
