using System.Globalization;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Walks each state it is shown under both policies for accessed flags, and compares every walk with what <see cref="SweepRules"/> say.
/// </summary>
internal sealed class SweepCheck<TWalker>(Sweep sweep, SweepRules rules) : ISweepVisitor
    where TWalker : struct, ISweepWalker
{
    private const ulong Neighbour = 0xdead_beef;
    private const int MostKept = 3;

    private readonly SweepOracle oracle = new(rules);
    private readonly ulong[] addresses = new ulong[6];
    private SweepTables tables = new();
    private SweepPrediction expected;
    private ulong addressesFor = ulong.MaxValue;
    private PagingMode addressesIn;

    public long States { get; private set; }

    public long Walks { get; private set; }

    public long Translated { get; private set; }

    /// <summary>States of which at least one walk went wrong.</summary>
    public long Mismatches { get; private set; }

    /// <summary>The first of them, in words.</summary>
    public List<string> Kept { get; } = [];

    public void Visit(in SweepWords state, ReadOnlySpan<int> choice)
    {
        States++;
        PagingMode mode = state.Mode;
        if (!Check(state, mode, choice, AccessedPolicy.OnSuccess) || !Check(state, mode, choice, AccessedPolicy.OnUse))
        {
            Mismatches++;
        }
    }

    private bool Check(in SweepWords words, PagingMode mode, ReadOnlySpan<int> choice, AccessedPolicy policy)
    {
        ulong access = words[Slot.Access];
        PagingState state = words.StateFor(policy);
        if ((access & SweepWords.TwiceAccess) == 0)
        {
            return CheckWalk(words, mode, state, access, choice, "");
        }

        // The first of two accesses is a supervisor read, whatever the second is.
        if (!CheckWalk(words, mode, state, 0, choice, "the read before: "))
        {
            return false;
        }

        SweepWords second = words;
        for (int level = 1; level <= 5; level++)
        {
            second[level] = expected.After[level];
        }

        return CheckWalk(second, mode, state, access, choice, "");
    }

    private bool CheckWalk(in SweepWords words, PagingMode mode, in PagingState state, ulong access, ReadOnlySpan<int> choice, string which)
    {
        bool halves = mode == PagingMode.Bits32;
        Place(mode, oracle.AddressUsed(words, mode, access));
        for (int level = 1; level <= 5; level++)
        {
            tables.Words[level] = halves ? InWord(level, words[level]) : words[level];
        }

        oracle.Predict(words, access, state.Accessed == AccessedPolicy.OnUse, addresses, ref expected);
        WalkResult actual = TWalker.Walk(ref tables, state, new Gva(words[Slot.Gva]), SweepWords.AccessOf(access));
        Walks++;
        Translated += actual.Succeeded ? 1 : 0;
        bool same = actual.Failure == expected.Failure
            && actual.Level == expected.Level
            && actual.ErrorCode == expected.Code
            && actual.ReservedMask == expected.Reserved
            && actual.EntryAddress.Value == expected.EntryAddress
            && actual.Entry.Raw == expected.Entry
            && actual.Gpa.Value == expected.Gpa
            && actual.PageShift == expected.PageShift
            && actual.Rights == expected.Rights;
        for (int level = 1; level <= 5; level++)
        {
            same &= tables.Words[level] == (halves ? InWord(level, expected.After[level]) : expected.After[level]);
        }

        if (!same && Kept.Count < MostKept)
        {
            Keep(state, words, choice, which, actual);
        }

        return same;
    }

    /// <summary>An entry of 4 bytes in its word, the other half of which a walk must leave alone.</summary>
    private ulong InWord(int level, ulong entry) => (addresses[level] & 4) != 0 ? (entry << 32) | Neighbour : entry | (Neighbour << 32);

    /// <summary>Puts each level's entry where an address selects it.</summary>
    private void Place(PagingMode mode, ulong gva)
    {
        if (gva == addressesFor && mode == addressesIn)
        {
            return;
        }

        Array.Fill(tables.Addresses, ulong.MaxValue);
        for (int level = 1; level <= (mode switch { PagingMode.FiveLevel => 5, PagingMode.FourLevel => 4, _ => 2 }); level++)
        {
            addresses[level] = PagingSweeps.TableOf(level) + oracle.Offset(mode, level, gva);
            tables.Addresses[level] = addresses[level] & ~7UL;
        }

        (addressesFor, addressesIn) = (gva, mode);
    }

    private void Keep(in PagingState state, in SweepWords words, ReadOnlySpan<int> choice, string which, in WalkResult actual)
    {
        string left = string.Join(' ', tables.Words[1..6].Reverse().Select(word => word.ToString("x", CultureInfo.InvariantCulture)));
        Kept.Add(
            $"{sweep.Name}: {sweep.Describe(choice)}\n  {which}{state}, {SweepWords.AccessOf(words[Slot.Access])} of {words[Slot.Gva]:x}"
            + $"\n  entries {words[5]:x} {words[4]:x} {words[3]:x} {words[2]:x} {words[1]:x}\n  expected {expected}\n  got      {actual.Failure} at level {actual.Level}, "
            + $"code {actual.ErrorCode}, reserved {actual.ReservedMask:x}, entry {actual.Entry.Raw:x} at {actual.EntryAddress.Value:x}, gpa {actual.Gpa.Value:x}, "
            + $"size 2^{actual.PageShift}, rights {actual.Rights}, leaving {left}");
    }
}
