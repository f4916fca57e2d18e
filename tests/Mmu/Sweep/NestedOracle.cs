using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Predicts nested walks: the guest's entries by <see cref="SweepRules"/>, extended page tables by <see cref="SdmEptRules"/>, and nested page
/// tables, which are ordinary ones, by the former again (AMD APM Vol. 2, section 15.25).
/// </summary>
internal sealed class NestedOracle(SweepRules rules)
{
    private const ulong A = 1 << 5, PS = 1 << 7, WriteBack = 6 << 3;
    private const ulong EptOpen = SdmEptRules.R | SdmEptRules.W | SdmEptRules.X | SdmEptRules.XU;
    private const ulong NptOpen = 7;
    private const ulong FinalAddress = 1UL << 32, GuestTable = 1UL << 33;

    private readonly SweepOracle guest = new(rules);
    private readonly SweepOracle nested = new(rules);
    private readonly ulong[] guestAddresses = new ulong[6];
    private readonly ulong[] before = new ulong[NestedHost.Slots];
    private readonly ulong[] words = new ulong[NestedHost.Slots];
    private readonly ulong[] addresses = [.. Enumerable.Repeat(ulong.MaxValue, NestedHost.Slots)];
    private NestedControls controls;
    private SweepWords state;

    /// <summary>The words in memory before the walk, as <see cref="NestedLayout"/> numbers them.</summary>
    public ReadOnlySpan<ulong> Before => before;

    /// <summary>The words after it.</summary>
    public ReadOnlySpan<ulong> After => words;

    public ReadOnlySpan<ulong> Addresses => addresses;

    /// <summary>Predicts the walk of a state.</summary>
    public void Predict(in SweepWords given, ulong access, bool onUse, out NestedPrediction expected)
    {
        state = given;
        controls = new NestedControls(given[Slot.Second]);
        expected = default;
        ulong gva = given[Slot.Gva];
        for (int level = 1; level <= 4; level++)
        {
            guestAddresses[level] = NestedLayout.GuestTable(level) + guest.Offset(PagingMode.FourLevel, level, gva);
        }

        guest.Predict(given, access, onUse, guestAddresses, ref expected.Guest);
        Lay(expected.Guest.Gpa);
        Walk(access, onUse, ref expected);
    }

    /// <summary>Writes the tables down.</summary>
    private void Lay(ulong page)
    {
        for (int way = 0; way < NestedLayout.Ways; way++)
        {
            ulong gpa = way == 0 ? page : guestAddresses[way];
            bool varied = way == 0 || way == controls.Table;
            int leaf = way == 0 ? controls.PageLeaf : varied ? controls.TableLeaf : 1;
            for (int level = 4; level >= 1; level--)
            {
                ulong target = level == leaf ? NestedLayout.Target(way) : NestedLayout.TableOf(way, level - 1);
                ulong entry = target | (controls.IsNpt ? NptOpen : EptOpen | (level == leaf ? WriteBack : 0)) | (level == leaf && leaf > 1 ? PS : 0);
                if (varied && level == (way == 0 ? controls.PageVaried : controls.TableVaried))
                {
                    entry ^= state[way == 0 ? Slot.SecondPage : Slot.SecondTable];
                }

                int slot = NestedLayout.SlotOf(way, level);
                before[slot] = words[slot] = entry;
                addresses[slot] = NestedLayout.TableOf(way, level) + (8 * ((gpa >> (3 + (9 * level))) % 512));
            }

            if (way > 0)
            {
                int slot = NestedLayout.GuestSlotOf(way);
                before[slot] = words[slot] = state[way];
                addresses[slot] = NestedLayout.Target(way) | (gpa & ((1UL << (3 + (9 * leaf))) - 1));
            }
        }
    }

    /// <summary>The steps of a walk in their order; an exit ends it.</summary>
    private void Walk(ulong access, bool onUse, ref NestedPrediction expected)
    {
        bool stopsAbove = expected.Guest.Failure is WalkFailure.NotPresent or WalkFailure.ReservedBits;
        int last = stopsAbove ? expected.Guest.Level : (state[Slot.Pde] & PS) != 0 ? 2 : 1;
        for (int level = 4; level >= last; level--)
        {
            if (!Translate(level, SecondStagePurpose.GuestTable, access, ref expected)
                || (onUse && level > last && !Mark(level, A, access, ref expected)))
            {
                return;
            }
        }

        if (expected.Guest.Failure != WalkFailure.None)
        {
            return;
        }

        for (int level = 4; level >= last; level--)
        {
            if (!Mark(level, expected.Guest.After[level], access, ref expected))
            {
                return;
            }
        }

        _ = Translate(0, SecondStagePurpose.FinalAddress, access, ref expected);
    }

    /// <summary>Sets flags in an entry of the guest, unless they are there or the second stage forbids it.</summary>
    private bool Mark(int level, ulong flags, ulong access, ref NestedPrediction expected)
    {
        ref ulong word = ref words[NestedLayout.GuestSlotOf(level)];
        if ((flags & ~word) != 0 && !Translate(level, SecondStagePurpose.GuestTableUpdate, access, ref expected))
        {
            return false;
        }

        word |= flags;
        return true;
    }

    private bool Translate(int way, SecondStagePurpose purpose, ulong access, ref NestedPrediction expected)
    {
        expected.Purpose = purpose;
        expected.Gpa = way == 0 ? expected.Guest.Gpa : guestAddresses[way];
        expected.GuestLevel = way;
        SecondStageRights rights = controls.IsNpt ? ByNpt(way, access, ref expected) : ByEpt(way, access, ref expected);
        if (expected.Exit != SecondStageExitReason.None || way != 0)
        {
            return expected.Exit == SecondStageExitReason.None;
        }

        int shift = 3 + (9 * expected.Level);
        PageRights page = expected.Guest.Rights;
        SecondStageRights execute = (page & PageRights.User) != 0 ? SecondStageRights.ExecuteUser : SecondStageRights.Execute;
        expected.Hpa = NestedLayout.Target(0) | (expected.Gpa & ((1UL << shift) - 1));
        expected.PageShift = Math.Min(shift, expected.Guest.PageShift);
        expected.Rights = page & ~((rights & SecondStageRights.Write) == 0 ? PageRights.Write : 0) & ~((rights & SecondStageRights.Dirty) == 0 ? PageRights.Dirty : 0);
        expected.Rights |= (rights & execute) == 0 ? PageRights.NoExecute : 0;
        return true;
    }

    private SecondStageRights ByEpt(int way, ulong access, ref NestedPrediction expected)
    {
        Span<ulong> frames = [NestedLayout.Target(way), NestedLayout.TableOf(way, 1), NestedLayout.TableOf(way, 2), NestedLayout.TableOf(way, 3), NestedLayout.Root];
        Span<ulong> entries = [0, 0, 0, 0, 0];
        for (int level = 1; level <= 4; level++)
        {
            entries[level] = words[NestedLayout.SlotOf(way, level)];
        }

        EptControls eptControls = new(
            controls.Has(NestedControls.AccessedDirty), controls.Has(NestedControls.ModeBased), ShadowStack: false, controls.Has(NestedControls.ExecuteOnly),
            Pages: true, controls.Has(NestedControls.Advanced), NestedLayout.PhysicalBits);
        PageRights page = expected.Guest.Rights;
        ulong advanced = ((page & PageRights.User) != 0 ? 0x200u : 0) | ((page & PageRights.Write) != 0 ? 0x400u : 0) | ((page & PageRights.NoExecute) != 0 ? 0x800u : 0);
        EptAccess kind = expected.Purpose switch
        {
            SecondStagePurpose.GuestTable => EptAccess.Table,
            SecondStagePurpose.GuestTableUpdate => EptAccess.TableUpdate,
            _ => (access & 3) switch
            {
                0 => EptAccess.Read,
                SweepWords.WriteAccess => EptAccess.Write,
                _ => (page & PageRights.User) != 0 ? EptAccess.FetchUser : EptAccess.FetchSupervisor,
            },
        };
        EptVerdict verdict = SdmEptRules.Judge(frames, entries, 4, kind, eptControls, advanced);
        (expected.Exit, expected.Failure, expected.Level) = (verdict.Exit, verdict.Failure, verdict.Level);
        (expected.Qualification, expected.Reserved) = (verdict.Qualification, verdict.Reserved);
        Settle(way, entries, ref expected);
        return verdict.Rights;
    }

    private SecondStageRights ByNpt(int way, ulong access, ref NestedPrediction expected)
    {
        SweepWords walk = default;
        Span<ulong> places = [0, 0, 0, 0, 0, 0];
        Span<ulong> entries = [0, 0, 0, 0, 0];
        for (int level = 1; level <= 4; level++)
        {
            walk[level] = words[NestedLayout.SlotOf(way, level)];
            places[level] = addresses[NestedLayout.SlotOf(way, level)];
        }

        walk[Slot.Cr0] = 0x8001_0001;
        walk[Slot.Cr3] = NestedLayout.Root;
        walk[Slot.Cr4] = 1 << 5;
        walk[Slot.Efer] = 0x500 | (controls.Has(NestedControls.NxEnabled) ? 0x800u : 0);
        walk[Slot.Cpu] = NestedLayout.PhysicalBits | SweepWords.CpuPage1G;
        walk[Slot.Gva] = expected.Gpa;
        bool final = expected.Purpose == SecondStagePurpose.FinalAddress;
        SweepPrediction found = default;
        nested.Predict(walk, SweepWords.UserAccess | (final ? access & 3 : SweepWords.WriteAccess), false, places, ref found);
        expected.Failure = found.Failure switch
        {
            WalkFailure.None => SecondStageFailure.None,
            WalkFailure.NotPresent => SecondStageFailure.NotPresent,
            WalkFailure.ReservedBits => SecondStageFailure.ReservedBits,
            WalkFailure.UserAccessToSupervisorPage => SecondStageFailure.NotUserPage,
            WalkFailure.WriteToReadOnlyPage => SecondStageFailure.NotWritable,
            WalkFailure.ExecuteOfNoExecutePage => SecondStageFailure.NotExecutable,
            _ => throw new InvalidOperationException($"Nested page tables do not fail by {found.Failure}."),
        };
        bool exits = found.Failure != WalkFailure.None;
        expected.Exit = exits ? SecondStageExitReason.NestedPageFault : SecondStageExitReason.None;
        expected.Qualification = exits ? (ulong)found.Code | (final ? FinalAddress : GuestTable) : 0;
        (expected.Level, expected.Reserved) = (found.Level, found.Reserved);
        for (int level = 1; level <= 4; level++)
        {
            entries[level] = found.After[level];
        }

        Settle(way, entries, ref expected);
        return SecondStageRights.Read | ((found.Rights & PageRights.Write) != 0 ? SecondStageRights.Write : 0)
            | ((found.Rights & PageRights.NoExecute) == 0 ? SecondStageRights.Execute | SecondStageRights.ExecuteUser : 0)
            | ((found.Rights & PageRights.Dirty) != 0 ? SecondStageRights.Dirty : 0);
    }

    /// <summary>Keeps the flags that a translation has set, and names its last entry.</summary>
    private void Settle(int way, ReadOnlySpan<ulong> entries, ref NestedPrediction expected)
    {
        for (int level = 1; level <= 4; level++)
        {
            words[NestedLayout.SlotOf(way, level)] = entries[level];
        }

        (expected.EntryAddress, expected.Entry) = (addresses[NestedLayout.SlotOf(way, expected.Level)], entries[expected.Level]);
    }
}
