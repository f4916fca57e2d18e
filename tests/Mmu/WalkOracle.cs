using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>What a walk must return and leave in memory, looked up in <see cref="SdmPagingRules"/>.</summary>
internal sealed class WalkOracle(int maxPhysicalAddress, ulong[] tableOf)
{
    private readonly WalkFailure[] access = SdmPagingRules.AccessOutcomes();
    private readonly Dictionary<(WalkFailure, int), PageFaultCode> codes = [];
    private readonly ulong[] reservedMasks =
    [
        .. Enumerable.Range(0, 64).Select(i => i < 8 || i >= 40
            ? 0 : SdmPagingRules.Reserved(i >> 3, (i & 4) != 0, (i & 2) != 0, (i & 1) != 0, maxPhysicalAddress)),
    ];

    /// <summary>Fills <paramref name="after"/> with the entries as the walk must leave them; entries are indexed by level.</summary>
    /// <param name="entries">The entries before the walk.</param>
    /// <param name="after">The entries after it.</param>
    /// <param name="facts">The access and the control bits, as in <see cref="SdmPagingRules"/>.</param>
    /// <param name="page1G">Whether 1 GiB pages are supported.</param>
    /// <param name="onUse">Whether accessed flags of upper levels survive a fault.</param>
    public Expected Predict(ReadOnlySpan<ulong> entries, Span<ulong> after, int facts, bool page1G, bool onUse)
    {
        entries.CopyTo(after);
        bool nxe = (facts & SdmPagingRules.NXE) != 0;
        bool reachable = true;
        int leaf = 0;
        for (int level = 4; leaf == 0; level--)
        {
            ulong entry = entries[level];
            bool ps = Bit(entry, 7);
            ulong reserved = entry & reservedMasks[(level << 3) | (ps ? 4 : 0) | (nxe ? 2 : 0) | (page1G ? 1 : 0)];
            WalkFailure failure =
                !reachable ? WalkFailure.EntryUnreachable
                : !Bit(entry, 0) ? WalkFailure.NotPresent
                : reserved != 0 ? WalkFailure.ReservedBits
                : WalkFailure.None;
            if (failure != WalkFailure.None)
            {
                return new Expected(failure, level, Code(failure, facts), failure == WalkFailure.ReservedBits ? reserved : 0, 0, 0);
            }

            bool mapsPage = level == 1 || (ps && level == 2) || (ps && level == 3 && page1G);
            leaf = mapsPage ? level : 0;
            reachable = mapsPage || Bits(entry, 12, 51) == tableOf[level - 1];
            after[level] |= onUse && !mapsPage ? 1UL << 5 : 0;
        }

        bool user = true, write = true, noExecute = false;
        for (int level = 4; level >= leaf; level--)
        {
            user &= Bit(entries[level], 2);
            write &= Bit(entries[level], 1);
            noExecute |= Bit(entries[level], 63);
        }

        int page = (user ? SdmPagingRules.PageU : 0) | (write ? SdmPagingRules.PageW : 0) | (noExecute ? SdmPagingRules.PageNX : 0);
        WalkFailure denied = access[facts | page];
        if (denied != WalkFailure.None)
        {
            return new Expected(denied, Blame(denied, entries, leaf), Code(denied, facts), 0, 0, 0);
        }

        for (int level = 4; level >= leaf; level--)
        {
            after[level] |= 1UL << 5;
        }

        after[leaf] |= (facts & SdmPagingRules.KindW) != 0 ? 1UL << 6 : 0;
        int shift = leaf == 1 ? 12 : leaf == 2 ? 21 : 30;
        PageRights rights = (user ? PageRights.User : 0) | (write ? PageRights.Write : 0) | (noExecute ? PageRights.NoExecute : 0)
            | (Bit(after[leaf], 6) ? PageRights.Dirty : 0) | (Bit(after[leaf], leaf == 1 ? 7 : 12) ? PageRights.Pat : 0);
        return new Expected(WalkFailure.None, leaf, 0, 0, Bits(entries[leaf], shift, 51), rights);
    }

    private static int Blame(WalkFailure denied, ReadOnlySpan<ulong> entries, int leaf)
    {
        (int bit, bool bad) = denied switch
        {
            WalkFailure.UserAccessToSupervisorPage => (2, false),
            WalkFailure.WriteToReadOnlyPage => (1, false),
            WalkFailure.ExecuteOfNoExecutePage => (63, true),
            _ => (-1, false),
        };
        for (int level = 4; level > leaf && bit >= 0; level--)
        {
            if (Bit(entries[level], bit) == bad)
            {
                return level;
            }
        }

        return leaf;
    }

    private PageFaultCode Code(WalkFailure failure, int facts)
    {
        if (!codes.TryGetValue((failure, facts), out PageFaultCode code))
        {
            code = SdmPagingRules.ErrorCode(failure, facts);
            codes.Add((failure, facts), code);
        }

        return code;
    }

    private static bool Bit(ulong word, int bit) => (word >> bit) % 2 == 1;

    private static ulong Bits(ulong word, int from, int to) => word << (63 - to) >> (63 - to + from) << from;

    internal readonly record struct Expected(
        WalkFailure Failure, int Level, PageFaultCode Code, ulong Reserved, ulong Frame, PageRights Rights);
}
