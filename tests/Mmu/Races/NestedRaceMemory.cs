using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Host memory from address 0 that another processor writes between the accesses of a nested walk, by a script. It holds every entry that is used and
/// every store to what memory held at that moment, and keeps what was used.
/// </summary>
internal sealed class NestedRaceMemory(int bytes, ulong endOfSecondStage)
{
    private const ulong GuestFlags = 0x60, SecondFlags = 0x300;

    private readonly ulong[] words = new ulong[bytes / sizeof(ulong)];
    private readonly ulong[] atStart = new ulong[bytes / sizeof(ulong)];
    private readonly HashSet<(ulong Address, ulong Value)> read = [];
    private readonly List<Step> steps = [];
    private RaceEdit[] script = [];
    private int next;

    public RacingFault Fault { get; init; }

    /// <summary>What the walk did wrong; null if nothing.</summary>
    public string? Complaint { get; private set; }

    public int Accesses { get; private set; }

    /// <summary>How often a walk of either stage began at its root.</summary>
    public int Attempts { get; private set; }

    /// <summary>The translations of the present attempt of the guest's walk, each with its entries and the guest's entry they led to.</summary>
    public IReadOnlyList<Step> Steps => steps;

    public void Start(ReadOnlySpan<ulong> contents, RaceEdit[] edits)
    {
        contents.CopyTo(words);
        contents.CopyTo(atStart);
        script = edits;
        next = Accesses = Attempts = 0;
        Complaint = null;
        read.Clear();
        steps.Clear();
    }

    public bool TryRead(ulong address, out ulong value)
    {
        Edit();
        bool covers = address / sizeof(ulong) < (ulong)words.Length;
        value = covers ? (Fault == RacingFault.StaleRead ? atStart : words)[address / sizeof(ulong)] : 0;
        read.Add((address, value));
        return covers;
    }

    public bool TryCompareExchange(ulong address, ulong expected, ulong desired, out bool exchanged)
    {
        Edit();
        bool covers = address / sizeof(ulong) < (ulong)words.Length;
        ulong before = covers ? words[address / sizeof(ulong)] : ~expected;
        exchanged = covers && (before == expected || Fault == RacingFault.PlainStore);
        if (exchanged)
        {
            words[address / sizeof(ulong)] = desired;
            ulong changed = before ^ desired;
            if (changed == 0 || (changed & ~(address < endOfSecondStage ? SecondFlags : GuestFlags)) != 0 || (changed & before) != 0
                || !(read.Contains((address, before)) || IsUpdateOf(address, before)))
            {
                Complain($"a store made {before:x} at {address:x} into {desired:x}");
            }

            read.Add((address, desired));
        }

        exchanged |= covers && Fault == RacingFault.NoRestart;
        return covers;
    }

    public void OnTranslate(ulong gpa, SecondStagePurpose purpose) => steps.Add(new Step(gpa, purpose));

    public void OnSecondStageEntry(int level, ulong address, ulong value)
    {
        Hold(address, value, "used");
        if (level == NestedRaceBench.Levels)
        {
            steps[^1].Entries.Clear();
            Attempts++;
        }

        steps[^1].Entries.Add((level, address, value));
    }

    public void OnSecondStageUpdate(int level, ulong address, ulong before, ulong after)
    {
        Hold(address, after, "set");
        int index = steps[^1].Entries.FindIndex(entry => entry == (level, address, before));
        if (index < 0)
        {
            Complain($"flags were set in {before:x} at {address:x}, which the walk had not used");
            return;
        }

        steps[^1].Entries[index] = (level, address, after);
    }

    public void OnGuestEntry(int level, ulong gpa, ulong value)
    {
        if (level == NestedRaceBench.Levels)
        {
            steps.RemoveRange(0, steps.Count - 1);
            Attempts++;
        }

        steps[^1].Guest = (level, gpa, value);
        Hold(steps[^1].Target, value, "used");
    }

    public void OnGuestUpdate(int level, ulong gpa, ulong before, ulong after)
    {
        Step? used = steps.Find(step => step.Guest == (level, gpa, before));
        if (used is null)
        {
            Complain($"flags were set in {before:x} at {gpa:x} of the guest, which the walk had not used");
            return;
        }

        // An update that is translated anew is stored where that leads.
        Hold(steps[^1].Purpose == SecondStagePurpose.GuestTableUpdate && steps[^1].Gpa == gpa ? steps[^1].Target : used.Target, after, "set");
        used.Guest = (level, gpa, after);
    }

    /// <summary>Where the second stage lets tables be read and not written, an update is translated anew, and may find the value that was used elsewhere.</summary>
    private bool IsUpdateOf(ulong address, ulong value) =>
        steps[^1] is { Purpose: SecondStagePurpose.GuestTableUpdate, Entries.Count: NestedRaceBench.Levels } update && update.Target == address
        && steps.Exists(step => step.Guest is { } used && used.Gpa == update.Gpa && used.Value == value);

    private void Hold(ulong address, ulong value, string what)
    {
        ulong held = address / sizeof(ulong) < (ulong)words.Length ? words[address / sizeof(ulong)] : ~value;
        if (held != value)
        {
            Complain($"the entry at {address:x} was {what} as {value:x} and held {held:x}");
        }
    }

    private void Edit()
    {
        for (; next < script.Length && script[next].At <= Accesses; next++)
        {
            ref ulong word = ref words[script[next].Address / sizeof(ulong)];
            word = script[next].Apply(word);
        }

        Accesses++;
    }

    private void Complain(string complaint) => Complaint ??= $"access {Accesses}: {complaint}";

    /// <summary>A translation by the second stage, with the entries that it used last, and the guest's entry it led to.</summary>
    internal sealed class Step(ulong gpa, SecondStagePurpose purpose)
    {
        public ulong Gpa => gpa;

        public SecondStagePurpose Purpose => purpose;

        public List<(int Level, ulong Address, ulong Value)> Entries { get; } = [];

        public (int Level, ulong Gpa, ulong Value)? Guest { get; set; }

        /// <summary>Where the last entry leads, if it maps a page.</summary>
        public ulong Target => (Entries[^1].Value & 0x000f_ffff_ffff_f000) | (gpa & 0xfff);
    }
}

/// <summary>The memory as both stages read it.</summary>
internal readonly struct NestedRaceHost(NestedRaceMemory memory) : IHostTableMemory
{
    public bool TryRead(Hpa address, out ulong value) => memory.TryRead(address.Value, out value);

    public bool TryWrite(Hpa address, ulong value) => throw new InvalidOperationException($"A walker stored at {address}.");

    public bool TryCompareExchange(Hpa address, ulong expected, ulong desired, out bool exchanged) =>
        memory.TryCompareExchange(address.Value, expected, desired, out exchanged);
}

/// <summary>Tells the memory what the walk takes for entries.</summary>
internal readonly struct NestedRaceObserver(NestedRaceMemory memory) : INestedWalkObserver
{
    public static bool Enabled => true;

    public void OnTranslate(Gpa gpa, SecondStagePurpose purpose) => memory.OnTranslate(gpa.Value, purpose);

    public void OnSecondStageEntry(int level, Hpa entry, ulong value) => memory.OnSecondStageEntry(level, entry.Value, value);

    public void OnSecondStageUpdate(int level, Hpa entry, ulong before, ulong after) => memory.OnSecondStageUpdate(level, entry.Value, before, after);

    public void OnGuestEntry(int level, Gpa entry, PageTableEntry value) => memory.OnGuestEntry(level, entry.Value, value.Raw);

    public void OnGuestUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after) =>
        memory.OnGuestUpdate(level, entry.Value, before.Raw, after.Raw);

    public void OnEnd(in NestedWalkResult result)
    {
    }
}
