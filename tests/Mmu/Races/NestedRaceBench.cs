using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// A guest's tables under EPT, both of 4 levels, in which entries of either have others to change to, and one walk over them under a script, held to what
/// the entries it used allow.
/// </summary>
internal sealed class NestedRaceBench
{
    public const int Levels = 4;

    private const byte PhysicalBits = 40;
    private const ulong EptRoot = 0x1000, EptEnd = 0x8000, GuestRoot = 0x4000;

    // The guest's frame f lies at Frames, and again with other contents at OtherFrames. Frame 0 is its page, 1 its page table, 4 its PML4; 5 and 6 are others.
    private const ulong Frames = 0x8000, OtherFrames = 0x1_0000;
    private const int Bytes = 0x1_8000, FrameCount = 8;
    private const ulong P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, AddressMask = 0x000f_ffff_ffff_f000;
    private const ulong R = 1, W = 2, X = 4, EptA = 0x100, EptD = 0x200, WriteBack = 6 << 3, Reserved = 1UL << 45;
    private const ulong Gva = 0x0000_1234_5678_9ABC;

    private readonly NestedRaceMemory memory;
    private readonly ulong[] contents = new ulong[Bytes / sizeof(ulong)];
    private readonly bool accessedDirty;

    public NestedRaceBench(bool accessedDirty, bool marked, RacingFault fault = RacingFault.None)
    {
        this.accessedDirty = accessedDirty;
        memory = new NestedRaceMemory(Bytes, EptEnd) { Fault = fault };
        ulong flags = marked ? A | D : 0, eptFlags = R | W | X | (marked ? EptA | EptD : 0);

        // Two page tables, and above them two page directories, each of which leads to one.
        (contents[EptRoot / 8], contents[0x2000 / 8], contents[0x3000 / 8], contents[0x6000 / 8]) = (0x2000 | eptFlags, 0x3000 | eptFlags, 0x4000 | eptFlags, 0x5000 | eptFlags);
        for (ulong frame = 0; frame < FrameCount; frame++)
        {
            contents[(0x4000 / 8) + frame] = (Frames + (frame << 12)) | eptFlags | WriteBack;
            contents[(0x5000 / 8) + frame] = (OtherFrames + (frame << 12)) | (eptFlags & ~(frame % 2 == 0 ? W : 0)) | WriteBack;
        }

        foreach (ulong frames in (ulong[])[Frames, OtherFrames])
        {
            for (int level = Levels; level >= 1; level--)
            {
                contents[(frames + GuestEntry(level, level)) / 8] = ((ulong)(level - 1) << 12) | P | RW | US | flags;
            }

            // The other page table.
            contents[(frames + GuestEntry(5, 1)) / 8] = 0x6000 | P | US | (frames == Frames ? flags : 0);
        }

        Stores = [.. MakeStores()];
    }

    public RaceEdit[] Stores { get; }

    public Dictionary<string, int> Outcomes { get; } = [];

    public int Walks { get; private set; }

    public int Restarted { get; private set; }

    /// <summary>Walks under a script; says what the walk did that it must not, or null.</summary>
    public string? TryWalk(RaceEdit[] script, WalkAccess access, AccessedPolicy policy)
    {
        memory.Start(contents, script);
        EptState ept = new(EptPointer.To(new Hpa(EptRoot), Levels, accessedDirty), PhysicalBits, EptCapabilities.All);
        EptStage<NestedRaceHost> stage = new(new NestedRaceHost(memory), ept);
        NestedRaceObserver observer = new(memory);
        PagingState guest = new(0x8001_0001, GuestRoot, 0x20, 0xd00, false, PhysicalBits, true, policy);
        NestedWalker.Walk(ref stage, guest, new Gva(Gva), access, ref observer, out NestedWalkResult result);
        Walks++;
        string outcome = result.Exit != SecondStageExitReason.None ? result.Exit.ToString() : result.Guest.Failure.ToString();
        Outcomes[outcome] = Outcomes.GetValueOrDefault(outcome) + 1;
        Restarted += memory.Attempts > memory.Steps.Count + 1 ? 1 : 0;
        string? wrong = memory.Complaint ?? Judge(result, access);
        return wrong is null ? null : $"{access} {policy}, {outcome}: {wrong}; script {string.Join(", ", script)}";
    }

    private string? Judge(in NestedWalkResult result, WalkAccess access)
    {
        const int mostAccesses = PageWalker.MaxAttempts * (Levels + 1) * 2 * EptWalker.MaxAttempts * Levels;
        if (memory.Accesses > mostAccesses)
        {
            return $"{memory.Accesses} accesses";
        }

        if (result.Guest.Failure == WalkFailure.EntryContended || result.SecondStage.Failure == SecondStageFailure.EntryContended)
        {
            return memory.Attempts >= PageWalker.MaxAttempts ? null : $"given up after {memory.Attempts} attempts";
        }

        // Each translation follows its tables, and only the last may have been forbidden.
        List<(int, ulong, ulong)> guest = [];
        for (int i = 0; i < memory.Steps.Count; i++)
        {
            NestedRaceMemory.Step step = memory.Steps[i];
            (SecondStageExitReason exit, string? wrong) = JudgeStep(step, access);
            bool last = i == memory.Steps.Count - 1;
            if (wrong is not null || exit != (last ? result.Exit : SecondStageExitReason.None))
            {
                return wrong ?? $"translation {i} of {step.Gpa:x} gives {exit}, not {result.Exit}";
            }

            if (step.Guest is { } entry)
            {
                guest.Add(entry);
            }
        }

        if (result.Exit != SecondStageExitReason.None)
        {
            return result.Gpa.Value == memory.Steps[^1].Gpa ? null : $"the exit reports {result.Gpa}";
        }

        (WalkFailure failure, ulong address, int used, string? bad) = RaceRules.Judge(PagingMode.FourLevel, GuestRoot, Gva, access, PhysicalBits, [.. guest]);
        if (bad is not null || failure != result.Guest.Failure || used != guest.Count)
        {
            return bad ?? $"{result.Guest.Failure} after {guest.Count} entries, and {failure} after {used} is right";
        }

        if (failure != WalkFailure.None)
        {
            return null;
        }

        ulong leafFlags = access.Kind == AccessKind.Write ? A | D : A;
        return result.Gpa.Value != address || memory.Steps[^1].Gpa != address ? $"the guest's address is {address:x}, not {result.Gpa}"
            : result.Hpa.Value != memory.Steps[^1].Target ? $"the host's address is {memory.Steps[^1].Target:x}, not {result.Hpa}"
            : guest.Exists(entry => (entry.Item3 & (entry.Item1 == 1 ? leafFlags : A)) != (entry.Item1 == 1 ? leafFlags : A)) ? "the guest's flags are missing"
            : null;
    }

    /// <summary>What the entries of a translation allow: SDM Vol. 3C, 29.3.2 and 29.3.3, for pages of 4 KiB and one execute control.</summary>
    private (SecondStageExitReason Exit, string? Wrong) JudgeStep(NestedRaceMemory.Step step, WalkAccess access)
    {
        bool table = step.Purpose != SecondStagePurpose.FinalAddress;
        bool write = table ? accessedDirty || step.Purpose == SecondStagePurpose.GuestTableUpdate : access.Kind == AccessKind.Write;
        ulong needs = !table && access.Kind == AccessKind.Execute ? X
            : (write ? W : 0) | (step.Purpose == SecondStagePurpose.GuestTable || (!table && access.Kind == AccessKind.Read) ? R : 0);
        ulong at = EptRoot, all = ulong.MaxValue;
        for (int i = 0; i < step.Entries.Count; i++)
        {
            (int level, ulong address, ulong value) = step.Entries[i];
            ulong right = at + (8 * ((step.Gpa >> (3 + (9 * (Levels - i)))) % 512));
            if (level != Levels - i || address != right)
            {
                return (default, $"level {level} of {step.Gpa:x} read at {address:x}, and {right:x} is right");
            }

            SecondStageExitReason ends = (value & (R | W | X)) == 0 ? SecondStageExitReason.EptViolation
                : (value & (R | W)) == W || (value & Reserved) != 0 ? SecondStageExitReason.EptMisconfiguration
                : SecondStageExitReason.None;
            if (ends != SecondStageExitReason.None)
            {
                return (ends, i == step.Entries.Count - 1 ? null : "the walk went on after an entry that ends it");
            }

            all &= value;
            at = value & AddressMask;
        }

        if (step.Entries.Count < Levels)
        {
            return (SecondStageExitReason.EptMisconfiguration, at >= Bytes ? null : $"the walk of {step.Gpa:x} ended too soon");
        }

        bool allowed = (all & needs) == needs;
        ulong leaf = step.Entries[^1].Value;
        bool flags = !accessedDirty || ((all & EptA) != 0 && (!write || (leaf & EptD) != 0));
        return (allowed ? SecondStageExitReason.None : SecondStageExitReason.EptViolation, allowed && !flags ? $"flags for {step.Gpa:x} are missing" : null);
    }

    private static ulong GuestEntry(int frame, int level) => ((ulong)frame << 12) + (8 * ((Gva >> (3 + (9 * level))) % 512));

    private IEnumerable<RaceEdit> MakeStores()
    {
        List<(ulong Address, ulong Other)> second =
        [
            (EptRoot, 0), (0x2000, 0x3000 ^ 0x6000), (0x3000, 0x4000 ^ 0x5000), (0x6000, 0x4000 ^ 0x5000),
            .. from table in (ulong[])[0x4000, 0x5000] from frame in Enumerable.Range(0, 5) select (table + (8 * (ulong)frame), Frames ^ OtherFrames),
        ];
        foreach ((ulong address, ulong other) in second)
        {
            foreach (ulong cleared in (ulong[])[R, W, R | W | X, EptA, EptA | EptD])
            {
                yield return new RaceEdit(0, address, Keep: ~cleared);
            }

            yield return new RaceEdit(0, address, Set: EptA | EptD);
            yield return new RaceEdit(0, address, Flip: Reserved);
            if (other != 0)
            {
                yield return new RaceEdit(0, address, Flip: other);
            }
        }

        foreach (ulong frames in (ulong[])[Frames, OtherFrames])
        {
            for (int level = Levels; level >= 1; level--)
            {
                ulong address = frames + GuestEntry(level, level);
                foreach (ulong cleared in (ulong[])[P, RW, US, A, A | D])
                {
                    yield return new RaceEdit(0, address, Keep: ~cleared);
                }

                yield return new RaceEdit(0, address, Set: A | D);
                yield return new RaceEdit(0, address, Flip: Reserved);
                if (level <= 2)
                {
                    yield return new RaceEdit(0, address, Flip: level == 2 ? 0x1000ul ^ 0x5000 : 0x6000);
                }
            }
        }
    }
}
