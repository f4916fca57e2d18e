using System.Globalization;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Walks each state it is shown under both policies for accessed flags, and compares the outcome, where it comes from and every word of both
/// stages with what <see cref="NestedOracle"/> says.
/// </summary>
internal sealed class NestedSweepCheck(Sweep sweep, NestedMistake? mistake = null) : ISweepVisitor
{
    private const int MostKept = 3, Combinations = 16;

    private readonly NestedOracle oracle = new(SweepRules.Sdm);
    private readonly EptState[] eptStates = [.. Enumerable.Range(0, Combinations).Select(i => Make(mistake, new NestedControls((ulong)i << 1)))];
    private readonly NptState[] nptStates = [.. Enumerable.Range(0, 2).Select(i => Make(mistake, i != 0))];
    private readonly long[] outcomes = new long[3];
    private readonly NestedHost host = new();

    public long States { get; private set; }

    public long Walks { get; private set; }

    public long Translated => outcomes[0];

    public long GuestFaults => outcomes[1];

    public long Exits => outcomes[2];

    /// <summary>States of which at least one walk went wrong.</summary>
    public long Mismatches { get; private set; }

    /// <summary>The first of them, in words.</summary>
    public List<string> Kept { get; } = [];

    public void Visit(in SweepWords state, ReadOnlySpan<int> choice)
    {
        States++;
        if (!Check(state, choice, AccessedPolicy.OnSuccess) || !Check(state, choice, AccessedPolicy.OnUse))
        {
            Mismatches++;
        }
    }

    private static EptState Make(NestedMistake? mistake, NestedControls controls)
    {
        ulong capabilities = EptCapabilities.All.Raw;
        capabilities &= controls.Has(NestedControls.ExecuteOnly) ? capabilities : ~EptCapabilities.ExecuteOnlyBit;
        capabilities &= controls.Has(NestedControls.Advanced) ? capabilities : ~EptCapabilities.AdvancedInformationBit;
        EptState state = new(
            EptPointer.To(new Hpa(NestedLayout.Root), 4, controls.Has(NestedControls.AccessedDirty)), NestedLayout.PhysicalBits,
            new EptCapabilities(capabilities), controls.Has(NestedControls.ModeBased));
        return mistake?.Ept?.Invoke(state) ?? state;
    }

    private static NptState Make(NestedMistake? mistake, bool noExecute)
    {
        NptState state = new(NestedLayout.Root, PagingState.Cr4PAE, PagingState.EferLMA | 0x100 | (noExecute ? PagingState.EferNXE : 0), NestedLayout.PhysicalBits);
        return mistake?.Npt?.Invoke(state) ?? state;
    }

    private bool Check(in SweepWords words, ReadOnlySpan<int> choice, AccessedPolicy policy)
    {
        ulong access = words[Slot.Access];
        oracle.Predict(words, access, policy == AccessedPolicy.OnUse, out NestedPrediction expected);
        oracle.Addresses.CopyTo(host.Addresses);
        oracle.Before.CopyTo(host.Words);
        NestedWalkResult actual = Walk(words, policy);
        Walks++;
        outcomes[actual.Succeeded ? 0 : actual.GuestFaults ? 1 : 2]++;
        bool same = Same(actual, expected) && oracle.After.SequenceEqual(host.Words);
        if (!same && Kept.Count < MostKept)
        {
            Keep(words, choice, policy, expected, actual);
        }

        return same;
    }

    private NestedWalkResult Walk(in SweepWords words, AccessedPolicy policy)
    {
        NestedControls controls = new(words[Slot.Second]);
        PagingState guest = words.StateFor(policy);
        WalkAccess access = SweepWords.AccessOf(words[Slot.Access]);
        if (mistake is not null)
        {
            guest = mistake.Guest?.Invoke(guest) ?? guest;
            access = mistake.Access?.Invoke(access) ?? access;
        }

        NoNestedWalkObserver nobody = default;
        Gva gva = new(words[Slot.Gva]);
        NestedWalkResult result;
        if (controls.IsNpt)
        {
            NptStage<NestedHost> stage = new(host, nptStates[controls.Has(NestedControls.NxEnabled) ? 1 : 0]);
            NestedWalker.Walk(ref stage, guest, gva, access, ref nobody, out result);
        }
        else
        {
            EptStage<NestedHost> stage = new(host, eptStates[(int)(controls.Word >> 1) % Combinations]);
            NestedWalker.Walk(ref stage, guest, gva, access, ref nobody, out result);
        }

        if (mistake is null)
        {
            return result;
        }

        for (int i = 0; i < NestedHost.Slots; i++)
        {
            bool ofGuest = i > NestedLayout.GuestSlotOf(0) && i <= NestedLayout.GuestSlotOf(4);
            host.Words[i] &= oracle.Before[i] | ~(ofGuest ? mistake.GuestFlagsNotSet : mistake.SecondFlagsNotSet);
        }

        return mistake.Result?.Invoke(result) ?? result;
    }

    private static bool Same(in NestedWalkResult actual, in NestedPrediction expected)
    {
        SecondStageResult second = actual.SecondStage;
        if (actual.Exit != expected.Exit)
        {
            return false;
        }

        if (expected.Exit == SecondStageExitReason.None && expected.Guest.Failure != WalkFailure.None)
        {
            return actual.GuestFaults && SameGuest(actual.Guest, expected.Guest) && actual.Hpa.Value == 0 && actual.Gva.Value != 0;
        }

        bool same = second.Failure == expected.Failure && second.Level == expected.Level && second.Qualification == expected.Qualification
            && second.ReservedMask == expected.Reserved && second.EntryAddress.Value == expected.EntryAddress && second.Entry == expected.Entry
            && actual.Gpa.Value == expected.Gpa && actual.Access.Purpose == expected.Purpose;
        if (expected.Exit == SecondStageExitReason.None)
        {
            return same && actual.Succeeded && SameGuest(actual.Guest, expected.Guest)
                && actual.Hpa.Value == expected.Hpa && actual.PageShift == expected.PageShift && actual.Rights == expected.Rights;
        }

        return same && !actual.Succeeded && !actual.GuestFaults && actual.Hpa.Value == 0 && actual.Gva.Value != 0
            && (expected.GuestLevel == 0
                ? SameGuest(actual.Guest, expected.Guest)
                : actual.Guest.Level == expected.GuestLevel && actual.Guest.EntryAddress.Value == expected.Gpa);
    }

    private static bool SameGuest(in WalkResult actual, in SweepPrediction expected) =>
        actual.Failure == expected.Failure && actual.Level == expected.Level && actual.ErrorCode == expected.Code
        && actual.ReservedMask == expected.Reserved && actual.EntryAddress.Value == expected.EntryAddress && actual.Entry.Raw == expected.Entry
        && actual.Gpa.Value == expected.Gpa && actual.PageShift == expected.PageShift && actual.Rights == expected.Rights;

    private void Keep(in SweepWords words, ReadOnlySpan<int> choice, AccessedPolicy policy, in NestedPrediction expected, in NestedWalkResult actual)
    {
        SecondStageResult second = actual.SecondStage;
        List<string> differing = [];
        for (int i = 0; i < NestedHost.Slots; i++)
        {
            if (host.Words[i] != oracle.After[i])
            {
                differing.Add(string.Create(CultureInfo.InvariantCulture, $"word {i} left as {host.Words[i]:x}, {oracle.After[i]:x} is right"));
            }
        }

        Kept.Add(
            $"{sweep.Name}: {sweep.Describe(choice)}\n  {policy}, {SweepWords.AccessOf(words[Slot.Access])}\n  expected {expected}\n  got      "
            + $"{actual.Exit}, {second.Failure} at level {second.Level}, {second.Qualification:x}, reserved {second.ReservedMask:x}, entry {second.Entry:x} at {second.EntryAddress} "
            + $"for {actual.Access.Purpose} at {actual.Gpa}; guest {actual.Guest.Failure} level {actual.Guest.Level} {actual.Guest.ErrorCode}; {actual.Hpa}, size 2^{actual.PageShift}, {actual.Rights}"
            + $"\n  {string.Join("; ", differing)}");
    }
}
