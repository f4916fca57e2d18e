using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>How a second-stage translation ended: a host-physical address, or an exit with its cause.</summary>
public struct SecondStageResult
{
    private Hpa hpa;
    private Hpa entryAddress;
    private ulong entry;
    private ulong reservedMask;
    private ulong qualification;
    private SecondStageExitReason exit;
    private SecondStageFailure failure;
    private SecondStageFormat format;
    private SecondStageRights rights;
    private byte level;
    private byte pageShift;

    /// <summary>The host-physical address of the byte asked for; 0 on failure.</summary>
    public Hpa Hpa
    {
        readonly get => hpa;
        init => hpa = value;
    }

    /// <summary>Where <see cref="Entry"/> lies; 0 when there is no entry.</summary>
    public Hpa EntryAddress
    {
        readonly get => entryAddress;
        init => entryAddress = value;
    }

    /// <summary>
    /// On success the entry that maps the page, with the flags the walk has set. On failure the entry to blame: for a right, the highest
    /// one that withholds it; 0 when it could not be read.
    /// </summary>
    public ulong Entry
    {
        readonly get => entry;
        init => entry = value;
    }

    /// <summary>The offending bits, when <see cref="Failure"/> is <see cref="SecondStageFailure.ReservedBits"/>.</summary>
    public ulong ReservedMask
    {
        readonly get => reservedMask;
        init => reservedMask = value;
    }

    /// <summary>
    /// What the exit reports of the access: an <see cref="EptQualification"/> for an EPT violation, a <see cref="NestedPageFaultCode"/>
    /// for a nested page fault, 0 otherwise.
    /// </summary>
    public ulong Qualification
    {
        readonly get => qualification;
        init => qualification = value;
    }

    /// <summary>The exit, or <see cref="SecondStageExitReason.None"/>.</summary>
    public SecondStageExitReason Exit
    {
        readonly get => exit;
        init => exit = value;
    }

    /// <summary>The rule behind the exit.</summary>
    public SecondStageFailure Failure
    {
        readonly get => failure;
        init => failure = value;
    }

    /// <summary>EPT or NPT.</summary>
    public SecondStageFormat Format
    {
        readonly get => format;
        init => format = value;
    }

    /// <summary>The rights of the translation, on success.</summary>
    public SecondStageRights Rights
    {
        readonly get => rights;
        init => rights = value;
    }

    /// <summary>The level of <see cref="Entry"/>: 5 for a PML5E to 1 for a PTE; 0 when the address is beyond the walk.</summary>
    public byte Level
    {
        readonly get => level;
        init => level = value;
    }

    /// <summary>log2 of the page's size: 12, 21, 22 or 30; 0 on failure.</summary>
    public byte PageShift
    {
        readonly get => pageShift;
        init => pageShift = value;
    }

    /// <summary>Whether there is a translation.</summary>
    public readonly bool Succeeded => Exit == SecondStageExitReason.None;

    /// <summary>EPT: the memory type of the page.</summary>
    public readonly MemoryType EptMemoryType => new EptEntry(Entry).MemoryType;

    /// <summary>EPT: the guest's PAT does not take part in the memory type (IPAT).</summary>
    public readonly bool IgnoresPat => Format == SecondStageFormat.Ept && (Entry & EptEntry.IgnorePatBit) != 0;

    /// <summary>NPT: which field of the host's PAT the page selects: PAT, PCD and PWT as a number.</summary>
    public readonly int PatIndex
    {
        get
        {
            ulong pat = Entry & (Level == 1 ? PageTableEntry.Pat4KBit : PageTableEntry.PatLargeBit);
            return ((Entry & PageTableEntry.PWTBit) != 0 ? 1 : 0) | ((Entry & PageTableEntry.PCDBit) != 0 ? 2 : 0) | (pat != 0 ? 4 : 0);
        }
    }

    /// <summary>Makes this a translation, field by field: a copy of one just made would wait for each of its bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetPage(SecondStageFormat format, Hpa hpa, Hpa entryAddress, ulong entry, SecondStageRights rights, int level, int pageShift)
    {
        this.hpa = hpa;
        this.entryAddress = entryAddress;
        this.entry = entry;
        reservedMask = 0;
        qualification = 0;
        exit = SecondStageExitReason.None;
        failure = SecondStageFailure.None;
        this.format = format;
        this.rights = rights;
        this.level = (byte)level;
        this.pageShift = (byte)pageShift;
    }
}
