using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Tables of one mode in which each entry of the walked address has a second table or page to change to, and one walk over them under a
/// script, held to what the SDM allows.
/// </summary>
internal sealed class RaceBench
{
    public const byte PhysicalBits = 40;

    private const ulong Root = 0x1000, Alternatives = 0x8000, Frame = 0x1234_5000, OtherFrame = 0x2345_6000, LargeFrame = 0x4000_0000;
    private const int Bytes = 0x1_0000;
    private const ulong P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, NX = 1UL << 63, Reserved = 1UL << 45;
    private const ulong Gva = 0x0000_1234_5678_9ABC;

    private readonly PagingMode mode;
    private readonly RacingMemory memory;
    private readonly ulong[] contents = new ulong[Bytes / sizeof(ulong)];

    /// <param name="mode">The mode.</param>
    /// <param name="flags">A and D of every entry at the start.</param>
    /// <param name="fault">What is wrong on purpose.</param>
    public RaceBench(PagingMode mode, ulong flags, RacingFault fault = RacingFault.None)
    {
        this.mode = mode;
        memory = new RacingMemory(Bytes, EntrySize, PhysicalBits) { Fault = fault };
        ulong entryFlags = P | RW | US | flags;
        for (int level = TopLevel; level >= 1; level--)
        {
            ulong target = level == 1 ? Frame : TableOf(level - 1, other: false);
            Put(EntryOf(level, other: false), target | entryFlags);
            if (level == TopLevel)
            {
                continue;
            }

            ulong otherTarget = level == 1 ? OtherFrame : TableOf(level - 1, other: true);
            Put(EntryOf(level, other: true), otherTarget | (entryFlags & ~(level % 2 == 0 ? RW : 0)));
        }

        Stores = [.. MakeStores()];
    }

    /// <summary>Every store that another processor makes here, at no particular time.</summary>
    public RaceEdit[] Stores { get; }

    public Dictionary<WalkFailure, int> Outcomes { get; } = [];

    public int Walks { get; private set; }

    public int Restarted { get; private set; }

    public int MostAttempts { get; private set; }

    private int EntrySize => mode == PagingMode.Bits32 ? sizeof(uint) : sizeof(ulong);

    private int TopLevel => RaceRules.TopLevel(mode);

    private ulong LinearAddress => mode is PagingMode.FourLevel or PagingMode.FiveLevel ? Gva : Gva % (1UL << 32);

    /// <summary>Walks under a script; fails the test where the walk did what it must not.</summary>
    public WalkResult Walk(RaceEdit[] script, WalkAccess access, AccessedPolicy policy, string seed)
    {
        if (TryWalk(script, access, policy, out WalkResult result) is string wrong)
        {
            Assert.Fail($"{mode} {access} {policy} {seed}: {wrong}; script {string.Join(", ", script)}");
        }

        return result;
    }

    /// <summary>Walks under a script; says what the walk did that it must not, or null.</summary>
    public string? TryWalk(RaceEdit[] script, WalkAccess access, AccessedPolicy policy, out WalkResult result)
    {
        memory.Start(contents, script);
        RacingTables tables = new(memory);
        RacingObserver observer = new(memory);
        result = PageWalker.Walk(ref tables, State(policy), new Gva(LinearAddress), access, ref observer);
        Walks++;
        Restarted += memory.Attempts > 1 ? 1 : 0;
        MostAttempts = Math.Max(MostAttempts, memory.Attempts);
        Outcomes[result.Failure] = Outcomes.GetValueOrDefault(result.Failure) + 1;
        return Judge(result, access, policy);
    }

    private string? Judge(in WalkResult result, WalkAccess access, AccessedPolicy policy)
    {
        int mostAccesses = PageWalker.MaxAttempts * TopLevel * (mode == PagingMode.Bits32 ? 4 : 2);
        if (memory.Complaint is string complaint)
        {
            return complaint;
        }

        if (memory.Accesses > mostAccesses || memory.Attempts > PageWalker.MaxAttempts)
        {
            return $"{memory.Accesses} accesses in {memory.Attempts} attempts";
        }

        if (result.Failure == WalkFailure.EntryContended)
        {
            return memory.Attempts == PageWalker.MaxAttempts ? null : $"given up after {memory.Attempts} attempts";
        }

        // PDPTE registers are not raced for; the path in memory is what follows them.
        ReadOnlySpan<(int Level, ulong Address, ulong Value)> path = memory.Path.ToArray().AsSpan(mode == PagingMode.Pae ? 1 : 0);
        (WalkFailure failure, ulong address, int used, string? wrong) = RaceRules.Judge(mode, Root, LinearAddress, access, PhysicalBits, path);
        if (wrong is not null || failure != result.Failure || (failure != WalkFailure.EntryUnreachable && used != path.Length))
        {
            return wrong ?? $"{result.Failure} after {path.Length} entries, and {failure} after {used} is right";
        }

        if (failure != WalkFailure.None)
        {
            return policy == AccessedPolicy.OnSuccess && memory.Updates != 0 ? $"{failure}, and {memory.Updates} flags set" : null;
        }

        if (result.Gpa.Value != address)
        {
            return $"translated to {result.Gpa}, and 0x{address:x} is right";
        }

        ulong leafFlags = access.Kind == AccessKind.Write ? A | D : A;
        foreach ((int level, _, ulong value) in path)
        {
            ulong flags = level == result.Level ? leafFlags : A;
            if ((value & flags) != flags)
            {
                return $"the entry of level {level} was left as {value:x}";
            }
        }

        return null;
    }

    private PagingState State(AccessedPolicy policy)
    {
        const ulong cr0 = 0x8001_0001, pse = 0x10, pae = 0x20, longMode = 0xD00, nxe = 0x800;
        return mode switch
        {
            PagingMode.FiveLevel => new PagingState(cr0, Root, pae | PagingState.Cr4LA57, longMode, false, PhysicalBits, true, policy),
            PagingMode.FourLevel => new PagingState(cr0, Root, pae, longMode, false, PhysicalBits, true, policy),
            PagingMode.Pae => new PagingState(cr0, 0x7000, pae, nxe, false, PhysicalBits, true, policy, new PdpteRegisters(Root | P, Root | P, Root | P, Root | P)),
            _ => new PagingState(cr0, Root, pse, 0, false, PhysicalBits, true, policy),
        };
    }

    private ulong TableOf(int level, bool other) => level == TopLevel ? Root : other ? Alternatives + (0x1000ul * (ulong)level) : Root + (0x1000ul * (ulong)(TopLevel - level));

    private ulong EntryOf(int level, bool other) => RaceRules.EntryAt(mode, TableOf(level, other), LinearAddress, level);

    private void Put(ulong at, ulong entry)
    {
        int shift = EntrySize == sizeof(uint) ? (int)(at & 4) * 8 : 0;
        ulong mask = EntrySize == sizeof(uint) ? uint.MaxValue : ulong.MaxValue;
        ref ulong word = ref contents[at / sizeof(ulong)];
        word = (word & ~(mask << shift)) | ((entry & mask) << shift);
    }

    private IEnumerable<RaceEdit> MakeStores()
    {
        for (int level = TopLevel; level >= 1; level--)
        {
            foreach (bool other in (bool[])[false, true])
            {
                if (other && level == TopLevel)
                {
                    continue;
                }

                ulong at = EntryOf(level, other);
                int shift = EntrySize == sizeof(uint) ? (int)(at & 4) * 8 : 0;
                ulong word = at & ~7UL;
                ulong target = level == 1 ? Frame ^ OtherFrame : TableOf(level - 1, false) ^ TableOf(level - 1, true);
                foreach (ulong cleared in (ulong[])[P, RW, US, A, A | D])
                {
                    yield return new RaceEdit(0, word, Keep: ~(cleared << shift));
                }

                yield return new RaceEdit(0, word, Set: (A | D) << shift);
                yield return new RaceEdit(0, word, Flip: P << shift);
                yield return new RaceEdit(0, word, Flip: target << shift);
                if (level is 2 or 3)
                {
                    ulong entry = EntrySize == sizeof(uint) ? uint.MaxValue : ulong.MaxValue;
                    yield return new RaceEdit(0, word, Keep: ~(entry << shift), Set: (LargeFrame | P | RW | US | PS) << shift);
                }

                if (EntrySize == sizeof(uint))
                {
                    yield return new RaceEdit(0, word, Flip: 0xdead_bee7ul << (32 - shift));
                }
                else
                {
                    yield return new RaceEdit(0, word, Flip: NX);
                    yield return new RaceEdit(0, word, Flip: Reserved);
                }
            }
        }
    }
}
