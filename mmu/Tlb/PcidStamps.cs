namespace Quadwalk.Mmu;

/// <summary>
/// A number for the translations of each PCID, which every entry carries. A new number drops them all at once, whatever there are; the
/// entries are overwritten in time.
/// </summary>
internal sealed class PcidStamps
{
    /// <summary>How many PCIDs there are.</summary>
    public const int Count = 1 << 12;

    private readonly ulong[] stamps = new ulong[Count];
    private ulong last;
    private ulong floor;

    public PcidStamps()
    {
        Select(0);
        RenewGlobal();
    }

    /// <summary>The current PCID.</summary>
    public ushort Pcid { get; private set; }

    /// <summary>Its number.</summary>
    public ulong Current { get; private set; }

    /// <summary>The number of global translations.</summary>
    public ulong Global { get; private set; }

    /// <summary>The number of a PCID.</summary>
    public ulong Of(ushort pcid) => stamps[pcid] > floor ? stamps[pcid] : Renew(pcid);

    /// <summary>Whether what carries a number still stands.</summary>
    public bool IsLive(ushort pcid, ulong stamp) => stamp == Global || (stamp > floor && stamp == stamps[pcid]);

    /// <summary>Makes a PCID the current one.</summary>
    public void Select(ushort pcid)
    {
        Pcid = pcid;
        Current = Of(pcid);
    }

    /// <summary>Drops what is not global of a PCID.</summary>
    public ulong Renew(ushort pcid)
    {
        stamps[pcid] = ++last;
        Current = pcid == Pcid ? last : Current;
        return last;
    }

    /// <summary>Drops what is not global of all PCIDs.</summary>
    public void RenewAll()
    {
        floor = last;
        Renew(Pcid);
    }

    /// <summary>Drops what is global.</summary>
    public void RenewGlobal() => Global = ++last;
}
