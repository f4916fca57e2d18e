using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The use of something cached where the tables say otherwise by now: an invalidation is missing, and on another processor the access may
/// have gone elsewhere.
/// </summary>
/// <remarks>
/// What needs no invalidation (SDM Vol. 3A, section 5.10.4.3) is none: an entry that was not present, rights that were raised, a cleared A flag. A
/// D flag that was cleared and that a write did not set again is one.
/// </remarks>
public sealed record StaleTranslation
{
    /// <summary>The linear address that was used.</summary>
    public required Gva Address { get; init; }

    /// <summary>What was done there.</summary>
    public required WalkAccess Access { get; init; }

    /// <summary>The current PCID.</summary>
    public required ushort Pcid { get; init; }

    /// <summary>The translation that was used.</summary>
    public required CachedTranslation Cached { get; init; }

    /// <summary>Whether a translation was cached; if not, it was made from a cached entry of a paging structure.</summary>
    public required bool FromTlb { get; init; }

    /// <summary>What a walk finds now.</summary>
    public required WalkResult Now { get; init; }

    /// <summary>The level of the entry that changed: 5 (PML5E) to 1 (PTE).</summary>
    public required int ChangedLevel { get; init; }

    /// <summary>Where that entry lies.</summary>
    public required Gpa ChangedEntry { get; init; }

    /// <summary>What it held when it was cached; the entry that maps the page where the tables of another root took over.</summary>
    public required PageTableEntry Before { get; init; }

    /// <summary>What it holds now.</summary>
    public required PageTableEntry After { get; init; }

    /// <summary>The instructions any of which would have been enough.</summary>
    public string Remedy
    {
        get
        {
            string page = $"INVLPG 0x{Address.Value:x}";
            return Cached.IsGlobal && FromTlb
                ? $"{page}, INVPCID type 2 or a change of CR4.PGE"
                : $"{page}, INVPCID type 0 or 1 for PCID 0x{Cached.Pcid:x}, or MOV to CR3 with bit 63 clear";
        }
    }
}
