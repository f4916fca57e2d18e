using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Predicts walks by looking them up in <see cref="SweepRules"/>.</summary>
internal sealed class SweepOracle
{
    // Facts of an access; letters of a row come first.
    private const uint Kinds = 7, Modes = 7 << 3, ShadowStack = 1 << 6, PageU = 1 << 7, PageW = 1 << 8, PageNX = 1 << 9, UpperW = 1 << 10,
        LeafW = 1 << 11, LeafD = 1 << 12, KeyAD = 1 << 13, KeyWD = 1 << 14, Causes = 7u << 15, KeyForbids = 1 << 18,
        WP = 1 << 19, NXE = 1 << 20, SMEP = 1 << 21, SMAP = 1 << 22, AC = 1 << 23, PKE = 1 << 24, PKS = 1 << 25, PAE = 1 << 26;

    private const uint NothingThere = 1 << 15, ReservedSet = 2 << 15, NotAllowed = 4 << 15;

    // Facts of an entry, for its reserved bits and whether it maps a page.
    private const uint EntryPS = 1, EntryNXE = 2, Entry1G = 4, EntryPSE = 8, EntryFacts = 16;

    // Facts of a flag's setting.
    private const uint MapsPage = 8, Done = 16, OnUse = 32, FlagFacts = 64;

    // Facts of a linear address.
    private const uint Bit63 = 1, WithLA57 = 2, LamU57 = 4, LamU48 = 8, LamSup = 16, Data = 32, AddressFacts = 64;

    private const int Slots = 5 * 6;

    private readonly (SweepRow Row, WalkFailure Failure)[] rights;
    private readonly SweepRow[] keys;
    private readonly (SweepRow Row, PageFaultCode Bit)[] codes;
    private readonly ulong[] flags = new ulong[FlagFacts];
    private readonly (ulong Equal, int ExtendedFrom)[] canonical = new (ulong, int)[AddressFacts];
    private readonly Index[] indices = new Index[Slots];
    private readonly Page?[] pages = new Page?[Slots * (int)EntryFacts];
    private readonly ReservedRow[] reservedRows;
    private readonly Dictionary<(byte, bool), ulong[]> reservedMasks = [];
    private ulong[] reserved = [];
    private (byte, bool) reservedFor;

    public SweepOracle(SweepRules rules)
    {
        (string, uint) kind = ("rwx", Kinds), mode = ("usi", Modes);
        (string, uint)[] columns =
        [
            kind, mode, ("", ShadowStack), ("", PageU), ("", PageW), ("", PageNX), ("", UpperW), ("", LeafW), ("", LeafD),
            ("", WP), ("", NXE), ("", SMEP), ("", SMAP), ("", AC),
        ];
        rights = [.. rules.Rights.Select(rule => (new SweepRow(rule.Row, columns), rule.Failure))];
        keys = [.. rules.Keys.Select(row => new SweepRow(row, kind, mode, ("", PageU), ("", KeyAD), ("", KeyWD), ("", WP), ("", PKE), ("", PKS)))];
        codes =
        [
            .. rules.Codes.Select(rule => (
                new SweepRow(rule.Row, ("nra", Causes), kind, mode, ("", ShadowStack), ("", KeyForbids), ("", NXE), ("", PAE), ("", SMEP)), rule.Bit)),
        ];
        foreach ((string row, ulong flag) in rules.Flags)
        {
            SweepRow parsed = new(row, kind, ("", MapsPage), ("", Done), ("", OnUse));
            for (uint facts = 0; facts < FlagFacts; facts++)
            {
                flags[facts] |= parsed.Matches(facts) ? flag : 0;
            }
        }

        foreach ((string row, int[] equal, int extendedFrom) in Enumerable.Reverse(rules.Canonical))
        {
            SweepRow parsed = new(row, ("", Bit63), ("", WithLA57), ("", LamU57), ("", LamU48), ("", LamSup), ("", Data));
            for (uint facts = 0; facts < AddressFacts; facts++)
            {
                canonical[facts] = parsed.Matches(facts) ? (equal.Aggregate(0UL, (mask, bit) => mask | (1UL << bit)), extendedFrom) : canonical[facts];
            }
        }

        foreach (string row in rules.Indices)
        {
            string[] cells = Cells(row);
            (int from, int to) = Range(cells[2]);
            foreach (int slot in SlotsOf(cells[0], cells[1]))
            {
                indices[slot] = new(from, (1UL << (to - from + 1)) - 1, int.Parse(cells[3]));
            }
        }

        foreach (string row in rules.Pages)
        {
            string[] cells = Cells(row);
            SweepRow when = new(string.Join(' ', cells[2..5]), ("", EntryPS), ("", Entry1G), ("", EntryPSE));
            (int From, int To, int At)[] address = [.. cells[7].Split(',').Select(part => (Range(part.Split('@')[0]).From, Range(part.Split('@')[0]).To, int.Parse(part.Split('@')[1])))];
            foreach (int slot in SlotsOf(cells[0], cells[1]))
            {
                for (uint facts = 0; facts < EntryFacts; facts++)
                {
                    pages[(slot * (int)EntryFacts) + (int)facts] ??= when.Matches(facts) ? new(int.Parse(cells[5]), 1UL << int.Parse(cells[6]), address) : null;
                }
            }
        }

        reservedRows = [.. rules.Reserved.Select(row => new ReservedRow(row))];
    }

    /// <summary>Bits of an entry, as a number.</summary>
    public static ulong Bits(ulong word, int from, int to) => (word >> from) & ((2UL << (to - from)) - 1);

    /// <summary>The reserved bits of a present entry of 8 bytes.</summary>
    public ulong Reserved(PagingMode mode, int level, bool ps, bool nxe, bool page1G, byte maxPhysicalAddress) =>
        ReservedFor(maxPhysicalAddress, pse36: true)[
            (SlotOf(mode, level) * (int)EntryFacts) + (int)((ps ? EntryPS : 0) | (nxe ? EntryNXE : 0) | (page1G ? Entry1G : 0))];

    /// <summary>The table's entry that a linear address selects: its offset in bytes.</summary>
    public ulong Offset(PagingMode mode, int level, ulong gva)
    {
        Index index = indices[SlotOf(mode, level)];
        return ((gva >> index.From) & index.Mask) * (ulong)index.Bytes;
    }

    /// <summary>The linear address that a walk translates, after masking.</summary>
    public ulong AddressUsed(in SweepWords state, PagingMode mode, ulong access)
    {
        ulong gva = state[Slot.Gva];
        if (mode is not (PagingMode.FourLevel or PagingMode.FiveLevel))
        {
            return gva & uint.MaxValue;
        }

        int from = canonical[AddressFactsOf(state, access)].ExtendedFrom;
        ulong extended = ((1UL << 63) - 1) & ~((2UL << from) - 1);
        return from == 63 ? gva : Bit(gva, from) ? gva | extended : gva & ~extended;
    }

    /// <summary>Predicts the walk of a state, whose entries' addresses are given by level.</summary>
    public void Predict(in SweepWords state, ulong access, bool onUse, ReadOnlySpan<ulong> addresses, ref SweepPrediction expected)
    {
        PagingMode mode = state.Mode;
        int top = mode switch { PagingMode.FiveLevel => 5, PagingMode.FourLevel => 4, _ => 2 };
        uint facts = FactsOf(state, access);
        uint entryFacts = ((facts & NXE) != 0 ? EntryNXE : 0) | ((state[Slot.Cpu] & SweepWords.CpuPage1G) != 0 ? Entry1G : 0) | ((state[Slot.Cr4] >> 4) % 2 == 1 ? EntryPSE : 0);
        ulong[] masks = ReservedFor((byte)state[Slot.Cpu], (state[Slot.Cpu] & SweepWords.CpuPse36) != 0);
        uint flagFacts = (facts & Kinds) | (onUse ? OnUse : 0);
        expected = default;
        for (int level = 1; level <= 5; level++)
        {
            expected.After[level] = state[level];
        }

        ulong gva = AddressUsed(state, mode, access);
        if (mode is PagingMode.FourLevel or PagingMode.FiveLevel)
        {
            ulong equal = canonical[AddressFactsOf(state, access)].Equal;
            if ((state[Slot.Gva] & equal) != 0 && (state[Slot.Gva] & equal) != equal)
            {
                expected.Failure = WalkFailure.NonCanonical;
                return;
            }
        }

        if (mode == PagingMode.Pae && state[Slot.Register] % 2 == 0)
        {
            int index = (int)(gva >> 30) & 3;
            Fail(ref expected, WalkFailure.NotPresent, 3, (state[Slot.Cr3] & 0xffff_ffe0) + (8UL * (ulong)index), state[Slot.Register], facts | NothingThere);
            return;
        }

        ulong table = mode == PagingMode.Pae ? TableAt(state[Slot.Register]) & ((1UL << (byte)state[Slot.Cpu]) - 1)
            : mode == PagingMode.Bits32 ? Bits(state[Slot.Cr3], 12, 31) << 12
            : TableAt(state[Slot.Cr3]) & ((1UL << (byte)state[Slot.Cpu]) - 1);
        ulong all = ulong.MaxValue, any = 0, above = ulong.MaxValue;
        int at = top;
        Page? page;
        while (true)
        {
            int slot = SlotOf(mode, at);
            Index index = indices[slot];
            ulong address = table + (((gva >> index.From) & index.Mask) * (ulong)index.Bytes);
            if (address != addresses[at])
            {
                Fail(ref expected, WalkFailure.EntryUnreachable, at, address, 0, facts | NothingThere);
                return;
            }

            ulong entry = state[at];
            if (entry % 2 == 0)
            {
                Fail(ref expected, WalkFailure.NotPresent, at, address, entry, facts | NothingThere);
                return;
            }

            int kindOfEntry = (slot * (int)EntryFacts) + (int)(entryFacts | ((entry >> 7) % 2 == 1 ? EntryPS : 0));
            if ((entry & masks[kindOfEntry]) != 0)
            {
                Fail(ref expected, WalkFailure.ReservedBits, at, address, entry, facts | ReservedSet);
                expected.Reserved = entry & masks[kindOfEntry];
                return;
            }

            all &= entry;
            any |= entry;
            page = pages[kindOfEntry];
            if (page != null)
            {
                break;
            }

            above &= entry;
            expected.After[at] |= flags[flagFacts];
            table = mode == PagingMode.Bits32 ? Bits(entry, 12, 31) << 12 : TableAt(entry);
            at--;
        }

        ulong leaf = state[at];
        facts |= (Bit(all, 2) ? PageU : 0) | (Bit(all, 1) ? PageW : 0) | (Bit(any, 63) ? PageNX : 0)
            | (Bit(above, 1) ? UpperW : 0) | (Bit(leaf, 1) ? LeafW : 0) | (Bit(leaf, 6) ? LeafD : 0);
        facts |= KeyFacts(state, leaf, Bit(all, 2));
        facts |= Forbids(facts) ? KeyForbids : 0;
        WalkFailure failure = Judge(facts);
        if (failure != WalkFailure.None)
        {
            int blamed = Blame(failure, state, top, at);
            Fail(ref expected, failure, blamed, addresses[blamed], expected.After[blamed], facts | NotAllowed);
            return;
        }

        for (int level = top; level >= at; level--)
        {
            expected.After[level] |= flags[flagFacts | Done | (level == at ? MapsPage : 0)];
        }

        ulong after = expected.After[at];
        expected.Level = at;
        expected.EntryAddress = addresses[at];
        expected.Entry = after;
        expected.PageShift = page.Shift;
        expected.Gpa = gva & ((1UL << page.Shift) - 1);
        foreach ((int from, int to, int to0) in page.Address)
        {
            expected.Gpa |= Bits(leaf, from, to) << to0;
        }

        PageRights allowed = (Bit(all, 2) ? PageRights.User : 0) | (Bit(all, 1) ? PageRights.Write : 0) | (Bit(any, 63) ? PageRights.NoExecute : 0)
            | (Bit(after, 6) ? PageRights.Dirty : 0) | (Bit(leaf, 8) && Bit(state[Slot.Cr4], 7) ? PageRights.Global : 0)
            | (Bit(leaf, 3) ? PageRights.WriteThrough : 0) | (Bit(leaf, 4) ? PageRights.CacheDisable : 0)
            | ((leaf & page.Pat) != 0 ? PageRights.Pat : 0);
        bool shadowStack = Bit(state[Slot.Cr4], 23) && Bit(above, 1) && !Bit(leaf, 1) && Bit(leaf, 6);
        expected.Rights = allowed | (shadowStack ? PageRights.ShadowStack : 0);
    }

    private static uint AddressFactsOf(in SweepWords state, ulong access) =>
        (Bit(state[Slot.Gva], 63) ? Bit63 : 0) | (Bit(state[Slot.Cr4], 12) ? WithLA57 : 0) | (Bit(state[Slot.Cr3], 61) ? LamU57 : 0)
        | (Bit(state[Slot.Cr3], 62) ? LamU48 : 0) | (Bit(state[Slot.Cr4], 28) ? LamSup : 0)
        | ((access & (SweepWords.FetchAccess | SweepWords.ImplicitAccess)) == 0 ? Data : 0);

    private static uint FactsOf(in SweepWords state, ulong access)
    {
        bool implicitly = (access & SweepWords.ImplicitAccess) != 0;
        uint mode = implicitly ? 4u : (access & SweepWords.UserAccess) != 0 ? 1u : 2u;
        ulong cr4 = state[Slot.Cr4];
        return (1u << (int)(access & 3)) | (mode << 3) | ((access & SweepWords.ShadowStackAccess) != 0 ? ShadowStack : 0)
            | (Bit(state[Slot.Cr0], 16) ? WP : 0) | (Bit(state[Slot.Efer], 11) ? NXE : 0) | (Bit(cr4, 20) ? SMEP : 0) | (Bit(cr4, 21) ? SMAP : 0)
            | (Bit(state[Slot.Rflags], 18) ? AC : 0) | (Bit(cr4, 5) ? PAE : 0)
            | (Bit(cr4, 22) && Bit(state[Slot.Efer], 10) ? PKE : 0) | (Bit(cr4, 24) && Bit(state[Slot.Efer], 10) ? PKS : 0);
    }

    private static uint KeyFacts(in SweepWords state, ulong leaf, bool userPage)
    {
        ulong register = userPage ? state[Slot.Keys] & uint.MaxValue : state[Slot.Keys] >> 32;
        int key = (int)Bits(leaf, 59, 62);
        return (Bit(register, 2 * key) ? KeyAD : 0) | (Bit(register, (2 * key) + 1) ? KeyWD : 0);
    }

    private bool Forbids(uint facts)
    {
        foreach (SweepRow row in keys)
        {
            if (row.Matches(facts))
            {
                return true;
            }
        }

        return false;
    }

    private WalkFailure Judge(uint facts)
    {
        foreach ((SweepRow row, WalkFailure failure) in rights)
        {
            if (row.Matches(facts))
            {
                return failure;
            }
        }

        return (facts & KeyForbids) != 0 ? WalkFailure.ForbiddenByProtectionKey : WalkFailure.None;
    }

    /// <summary>The highest entry that withholds the right, or else the one that maps the page.</summary>
    private static int Blame(WalkFailure failure, in SweepWords state, int top, int leaf)
    {
        for (int level = top; level > leaf; level--)
        {
            if (failure switch
            {
                WalkFailure.UserAccessToSupervisorPage => !Bit(state[level], 2),
                WalkFailure.WriteToReadOnlyPage or WalkFailure.ShadowStackAccessToOtherPage => !Bit(state[level], 1),
                WalkFailure.ExecuteOfNoExecutePage => Bit(state[level], 63),
                _ => false,
            })
            {
                return level;
            }
        }

        return leaf;
    }

    private void Fail(ref SweepPrediction expected, WalkFailure failure, int level, ulong address, ulong entry, uint facts)
    {
        (expected.Failure, expected.Level, expected.EntryAddress, expected.Entry) = (failure, level, address, entry);
        foreach ((SweepRow row, PageFaultCode bit) in codes)
        {
            expected.Code |= row.Matches(facts) ? bit : 0;
        }
    }

    private ulong[] ReservedFor(byte maxPhysicalAddress, bool pse36)
    {
        if (reservedFor == (maxPhysicalAddress, pse36))
        {
            return reserved;
        }

        if (!reservedMasks.TryGetValue((maxPhysicalAddress, pse36), out ulong[]? masks))
        {
            masks = new ulong[Slots * (int)EntryFacts];
            for (int i = 0; i < masks.Length; i++)
            {
                foreach (ReservedRow row in reservedRows)
                {
                    masks[i] |= row.Mask((PagingMode)(i / (int)EntryFacts / 6), i / (int)EntryFacts % 6, (uint)i % EntryFacts, maxPhysicalAddress, pse36);
                }
            }

            reservedMasks.Add((maxPhysicalAddress, pse36), masks);
        }

        (reserved, reservedFor) = (masks, (maxPhysicalAddress, pse36));
        return masks;
    }

    private static ulong TableAt(ulong entry) => Bits(entry, 12, 51) << 12;

    private static bool Bit(ulong word, int bit) => (word >> bit) % 2 == 1;

    private static int SlotOf(PagingMode mode, int level) => ((int)mode * 6) + level;

    private static string[] Cells(string row) => row.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static (int From, int To) Range(string bits) => (int.Parse(bits.Split('-')[0]), int.Parse(bits.Split('-')[1]));

    private static IEnumerable<int> SlotsOf(string modes, string levels) =>
        from mode in modes from level in levels select SlotOf((PagingMode)SweepRules.ModeLetters.IndexOf(mode), level - '0');

    private sealed record Page(int Shift, ulong Pat, (int From, int To, int At)[] Address);

    private readonly record struct Index(int From, ulong Mask, int Bytes);

    private sealed class ReservedRow(string row)
    {
        private readonly string[] cells = Cells(row);
        private readonly SweepRow when = new(string.Join(' ', Cells(row)[3..]), ("", EntryPS), ("", EntryNXE), ("", Entry1G), ("", EntryPSE));

        public ulong Mask(PagingMode mode, int level, uint facts, int maxPhysicalAddress, bool pse36)
        {
            if (!cells[0].Contains(SweepRules.ModeLetters[(int)mode]) || !cells[1].Contains((char)('0' + level)) || !when.Matches(facts))
            {
                return 0;
            }

            string[] ends = cells[2].Split('-');
            int from = ends[0] switch
            {
                "M" => maxPhysicalAddress,
                "H" => 13 + (pse36 ? Math.Clamp(maxPhysicalAddress - 32, 0, 8) : 0),
                _ => int.Parse(ends[0]),
            };
            ulong mask = 0;
            for (int bit = from; bit <= int.Parse(ends[1]); bit++)
            {
                mask |= 1UL << bit;
            }

            return mask;
        }
    }
}
