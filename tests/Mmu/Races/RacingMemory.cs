using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Memory from address 0 that another processor writes between a walk's accesses, by a script. It holds every access of the walker to what it
/// may do, and keeps what it may not in <see cref="Complaint"/>.
/// </summary>
internal sealed class RacingMemory
{
    private const ulong AccessedAndDirty = 0x60;

    private readonly ulong[] words;
    private readonly int entrySize;
    private readonly byte physicalAddressBits;
    private readonly ulong[] atStart;
    private RaceEdit[] script = [];
    private int next;

    public RacingMemory(int bytes, int entrySize, byte physicalAddressBits)
    {
        words = new ulong[bytes / sizeof(ulong)];
        atStart = new ulong[words.Length];
        this.entrySize = entrySize;
        this.physicalAddressBits = physicalAddressBits;
    }

    /// <summary>The walker's entries as it used them in its present attempt, from the root down, with the flags that it has set since.</summary>
    public List<(int Level, ulong Address, ulong Value)> Path { get; } = [];

    /// <summary>What is wrong on purpose.</summary>
    public RacingFault Fault { get; init; }

    /// <summary>What the walker did wrong; null if nothing.</summary>
    public string? Complaint { get; private set; }

    public int Accesses { get; private set; }

    public int Attempts { get; private set; }

    /// <summary>Flags set in the present attempt.</summary>
    public int Updates { get; private set; }

    public int Edits { get; private set; }

    public Span<ulong> Words => words;

    /// <summary>Begins anew with a script, ordered by when its stores happen.</summary>
    public void Start(ReadOnlySpan<ulong> contents, RaceEdit[] edits)
    {
        contents.CopyTo(words);
        contents.CopyTo(atStart);
        script = edits;
        next = Accesses = Attempts = Updates = Edits = 0;
        Complaint = null;
        Path.Clear();
    }

    public bool TryRead(ulong address, out ulong value)
    {
        Step();
        bool found = Covers(address);
        value = found ? (Fault == RacingFault.StaleRead ? atStart : words)[address / sizeof(ulong)] : 0;
        return found;
    }

    public bool TryCompareExchange(ulong address, ulong expected, ulong desired, out bool exchanged)
    {
        Step();
        bool covers = Covers(address);
        ulong before = covers ? words[address / sizeof(ulong)] : ~expected;
        exchanged = covers && (before == expected || Fault == RacingFault.PlainStore);
        if (exchanged)
        {
            words[address / sizeof(ulong)] = desired;
            JudgeStore(address, before, desired);
        }

        exchanged |= covers && Fault == RacingFault.NoRestart;
        return covers;
    }

    public void OnEntry(int level, ulong address, ulong value)
    {
        if (Path.Count == 0 || level >= Path[^1].Level)
        {
            Path.Clear();
            Attempts++;
            Updates = 0;
        }

        // Registers are not memory, but every other entry was there when it was read: no store comes between the two.
        bool isRegister = entrySize == sizeof(ulong) && level == 3 && Path.Count == 0;
        if (!isRegister && Covers(address) && Entry(address, words[WordOf(address) / sizeof(ulong)]) != value)
        {
            Complain($"the entry at {address:x} was used as {value:x}, which it did not hold");
        }

        Path.Add((level, address, value));
    }

    public void OnUpdate(int level, ulong address, ulong before, ulong after)
    {
        int used = Path.FindIndex(step => step.Level == level);
        if (used < 0 || Path[used].Address != address || Path[used].Value != before)
        {
            Complain($"flags were set in {before:x} at {address:x}, which the walk had not used");
            return;
        }

        if (Entry(address, words[WordOf(address) / sizeof(ulong)]) != after)
        {
            Complain($"flags set in {before:x} at {address:x} were not");
        }

        Path[used] = (level, address, after);
    }

    /// <summary>The entry in a word.</summary>
    private ulong Entry(ulong address, ulong word) => entrySize == sizeof(ulong) ? word : (uint)(word >> HalfShift(address));

    private static int HalfShift(ulong address) => (int)(address & 4) * 8;

    private static ulong WordOf(ulong address) => address & ~7UL;

    /// <summary>A store sets A and D, in an entry of the present attempt that still holds what was used, and leaves its neighbour as it is.</summary>
    private void JudgeStore(ulong address, ulong expected, ulong desired)
    {
        Updates++;
        ulong changed = expected ^ desired;
        ulong entryAt = entrySize == sizeof(uint) && (uint)changed == 0 ? address + sizeof(uint) : address;
        ulong allowed = AccessedAndDirty << (entrySize == sizeof(uint) ? HalfShift(entryAt) : 0);
        if (changed == 0 || (changed & ~allowed) != 0 || (changed & expected) != 0)
        {
            Complain($"a store made {expected:x} at {address:x} into {desired:x}");
        }

        if (!Path.Exists(step => step.Address == entryAt && step.Value == Entry(entryAt, expected)))
        {
            Complain($"a store set flags in {expected:x} at {address:x}, which was not used as that");
        }
    }

    private void Step()
    {
        for (; next < script.Length && script[next].At <= Accesses; next++)
        {
            ref ulong word = ref words[script[next].Address / sizeof(ulong)];
            word = script[next].Apply(word);
            Edits++;
        }

        Accesses++;
    }

    private bool Covers(ulong address)
    {
        if (address >> physicalAddressBits != 0 || (address & 7 & (ulong)(entrySize - 1)) != 0)
        {
            Complain($"the walk asked for {address:x}");
        }

        return address / sizeof(ulong) < (ulong)words.Length;
    }

    private void Complain(string complaint) => Complaint ??= $"access {Accesses}: {complaint}";
}

/// <summary>The memory as a walk reads it.</summary>
internal readonly struct RacingTables(RacingMemory memory) : ITableMemory
{
    public bool TryRead(Gpa entry, out ulong value) => memory.TryRead(entry.Value, out value);

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged) =>
        memory.TryCompareExchange(entry.Value, expected, desired, out exchanged);
}

/// <summary>Tells the memory what the walk takes for entries.</summary>
internal readonly struct RacingObserver(RacingMemory memory) : IWalkObserver
{
    public static bool Enabled => true;

    public void OnEntry(int level, Gpa entry, PageTableEntry value) => memory.OnEntry(level, entry.Value, value.Raw);

    public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after) =>
        memory.OnUpdate(level, entry.Value, before.Raw, after.Raw);
}
