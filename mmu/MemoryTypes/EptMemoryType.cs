namespace Quadwalk.Mmu;

/// <summary>
/// Memory types with EPT in use (SDM Vol. 3C, section 29.3.7). The MTRRs have no part in them, and CR0, IA32_PAT and PCD and PWT are the guest's.
/// </summary>
public static class EptMemoryType
{
    private const ulong EptpTypeMask = 7;
    private const int EntryTypeShift = 3;
    private const ulong EntryTypeMask = 7;
    private const ulong IgnorePatBit = 1UL << 6;

    /// <summary>
    /// The type of an access to a guest-physical address: to the guest's memory, or to an entry of the guest's own tables.
    /// </summary>
    /// <param name="entry">The EPT entry that maps the page. Bits 5:3 are its type; one that is reserved is an EPT misconfiguration, and never gets here.</param>
    /// <param name="guestPat">The PAT memory type of the guest's access; WB with CR0.PG = 0.</param>
    /// <param name="cacheDisabled">The guest's CR0.CD.</param>
    /// <exception cref="ArgumentOutOfRangeException">The entry's type is reserved.</exception>
    public static MemoryTypeDecision OfAccess(ulong entry, PatSelection guestPat, bool cacheDisabled)
    {
        byte type = (byte)((entry >> EntryTypeShift) & EntryTypeMask);
        if (!MemoryTypeEncoding.IsForMtrr(type))
        {
            throw new ArgumentOutOfRangeException(nameof(entry), $"0x{entry:x}", "Its memory type is reserved.");
        }

        MemoryType ept = (MemoryType)type;
        if (cacheDisabled)
        {
            return new MemoryTypeDecision(MemoryType.UC, MemoryTypeCause.CacheDisabled, guestPat, Ept: ept);
        }

        return (entry & IgnorePatBit) != 0
            ? new MemoryTypeDecision(ept, MemoryTypeCause.EptAlone, guestPat, Ept: ept)
            : new MemoryTypeDecision(EffectiveMemoryType.Combine(ept, guestPat.Type), MemoryTypeCause.PatAndEpt, guestPat, Ept: ept);
    }

    /// <summary>The type of an access to an EPT paging structure.</summary>
    /// <param name="eptp">The EPT pointer; bits 2:0 are UC or WB, since VM entry fails with others.</param>
    /// <param name="cacheDisabled">The guest's CR0.CD.</param>
    /// <exception cref="ArgumentOutOfRangeException">The pointer's type is neither.</exception>
    public static MemoryTypeDecision OfStructure(ulong eptp, bool cacheDisabled)
    {
        MemoryType type = (MemoryType)(eptp & EptpTypeMask);
        if (type is not (MemoryType.UC or MemoryType.WB))
        {
            throw new ArgumentOutOfRangeException(nameof(eptp), $"0x{eptp:x}", "Its memory type is neither UC nor WB.");
        }

        return cacheDisabled
            ? new MemoryTypeDecision(MemoryType.UC, MemoryTypeCause.CacheDisabled, Ept: type)
            : new MemoryTypeDecision(type, MemoryTypeCause.Eptp, Ept: type);
    }
}
