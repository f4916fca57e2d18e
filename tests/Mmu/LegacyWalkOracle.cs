using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>What a walk of 32-bit or PAE paging must return and leave in memory, looked up in the rules as data.</summary>
/// <param name="mode">The mode.</param>
/// <param name="maxPhysicalAddress">MAXPHYADDR.</param>
/// <param name="pageTable">Where the only page table lies.</param>
internal sealed class LegacyWalkOracle(PagingMode mode, int maxPhysicalAddress, ulong pageTable)
{
    private static readonly WalkFailure[] access = SdmPagingRules.AccessOutcomes();
    private readonly Dictionary<(WalkFailure, int), PageFaultCode> codes = [];
    private readonly ulong[] reservedMasks =
    [
        .. Enumerable.Range(0, 32).Select(i => i >> 3 is not (1 or 2)
            ? 0 : SdmLegacyPagingRules.Reserved(mode, i >> 3, (i & 4) != 0, (i & 2) != 0, (i & 1) != 0, maxPhysicalAddress)),
    ];

    /// <summary>Predicts a walk; entries are indexed by level, and <paramref name="after"/> gets them as the walk must leave them.</summary>
    /// <param name="entries">The PDE at 2 and the PTE at 1.</param>
    /// <param name="after">The same after the walk.</param>
    /// <param name="facts">The access and the control bits, as in <see cref="SdmPagingRules"/>.</param>
    /// <param name="pse">CR4.PSE.</param>
    /// <param name="onUse">Whether the accessed flag of the PDE survives a fault below it.</param>
    public WalkOracle.Expected Predict(ReadOnlySpan<ulong> entries, Span<ulong> after, int facts, bool pse, bool onUse)
    {
        entries.CopyTo(after);
        int leaf = Bit(entries[2], 7) && SdmLegacyPagingRules.HasLargePages(mode, pse) ? 2 : 1;
        for (int level = 2; level >= leaf; level--)
        {
            ulong entry = entries[level];
            ulong reserved = entry & reservedMasks[(level << 3) | (Bit(entry, 7) ? 4 : 0) | ((facts & SdmPagingRules.NXE) != 0 ? 2 : 0) | (pse ? 1 : 0)];
            bool unreachable = level == 1 && SdmLegacyPagingRules.Table(mode, entries[2]) != pageTable;
            WalkFailure failure = unreachable ? WalkFailure.EntryUnreachable
                : !Bit(entry, 0) ? WalkFailure.NotPresent
                : reserved != 0 ? WalkFailure.ReservedBits
                : WalkFailure.None;
            if (failure != WalkFailure.None)
            {
                return new(failure, level, Code(failure, facts), failure == WalkFailure.ReservedBits ? reserved : 0, 0, 0);
            }

            after[level] |= onUse && level > leaf ? 1UL << 5 : 0;
        }

        ulong all = leaf == 2 ? entries[2] : entries[2] & entries[1];
        ulong any = leaf == 2 ? entries[2] : entries[2] | entries[1];
        int page = (Bit(all, 2) ? SdmPagingRules.PageU : 0) | (Bit(all, 1) ? SdmPagingRules.PageW : 0) | (Bit(any, 63) ? SdmPagingRules.PageNX : 0);
        WalkFailure denied = access[facts | page];
        if (denied != WalkFailure.None)
        {
            return new(denied, Blame(denied, entries, leaf), Code(denied, facts), 0, 0, 0);
        }

        after[2] |= 1UL << 5;
        after[leaf] |= (1UL << 5) | ((facts & SdmPagingRules.KindW) != 0 ? 1UL << 6 : 0);
        PageRights rights = (Bit(all, 2) ? PageRights.User : 0) | (Bit(all, 1) ? PageRights.Write : 0) | (Bit(any, 63) ? PageRights.NoExecute : 0)
            | (Bit(after[leaf], 6) ? PageRights.Dirty : 0) | (Bit(after[leaf], leaf == 1 ? 7 : 12) ? PageRights.Pat : 0)
            | (Bit(after[leaf], 3) ? PageRights.WriteThrough : 0) | (Bit(after[leaf], 4) ? PageRights.CacheDisable : 0);
        return new(WalkFailure.None, leaf, 0, 0, SdmLegacyPagingRules.Page(mode, leaf, entries[leaf]).Frame, rights);
    }

    private static int Blame(WalkFailure denied, ReadOnlySpan<ulong> entries, int leaf)
    {
        bool upper = denied switch
        {
            WalkFailure.UserAccessToSupervisorPage => !Bit(entries[2], 2),
            WalkFailure.WriteToReadOnlyPage => !Bit(entries[2], 1),
            WalkFailure.ExecuteOfNoExecutePage => Bit(entries[2], 63),
            _ => false,
        };
        return upper ? 2 : leaf;
    }

    // Section 5.7: I/D counts NXE only together with CR4.PAE.
    private PageFaultCode Code(WalkFailure failure, int facts)
    {
        int counted = mode == PagingMode.Pae ? facts : facts & ~SdmPagingRules.NXE;
        if (!codes.TryGetValue((failure, counted), out PageFaultCode code))
        {
            code = SdmPagingRules.ErrorCode(failure, counted);
            codes.Add((failure, counted), code);
        }

        return code;
    }

    private static bool Bit(ulong word, int bit) => SdmLegacyPagingRules.Bits(word, bit, bit) == 1;
}
