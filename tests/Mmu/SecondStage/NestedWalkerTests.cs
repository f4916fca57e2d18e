using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Two-dimensional walks: the entries of both stages in order, the smaller page, exits on the way, and both stages pairwise.</summary>
[TestFixture]
internal sealed class NestedWalkerTests
{
    private const ulong P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, NX = 1UL << 63;
    private const ulong HostBase = 0x4000;
    private const SecondStageRights All = SecondStageRights.Read | SecondStageRights.Write | SecondStageRights.Execute | SecondStageRights.ExecuteUser;

    // Guest-physical frames 0 to 15 lie at host frames HostBase on. The guest's PML4 is frame 4, and so on down; its page is frame 0.
    private static readonly Gva gva = new(0x0000_1234_5678_9abc);
    private static readonly WalkAccess read = new(AccessKind.Read, User: false);
    private static readonly WalkAccess write = new(AccessKind.Write, User: false);

    [Test]
    public void AWalkOf4LevelsOver4LevelsReads24Entries()
    {
        World world = new();
        world.MapGuest(flags: A | D);
        NestedWalkTrace trace = new();
        NestedWalkResult result = world.WalkEpt(world.Guest(), gva, read, trace);

        List<string> expected = [];
        foreach (string guest in new[] { "PML4E", "PDPTE", "PDE", "PTE" })
        {
            expected.AddRange(new[] { "PML4E", "PDPTE", "PDE", "PTE" }.Select(nested => $"nested {nested} of the guest {guest}'s address"));
            expected.Add($"guest {guest}");
        }

        expected.AddRange(new[] { "PML4E", "PDPTE", "PDE", "PTE" }.Select(nested => $"nested {nested} of the final address"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(trace.Steps.Select(step => step.Role), Is.EqualTo(expected));
            Assert.That(trace.Steps, Has.Count.EqualTo(24));
            Assert.That(result.Hpa, Is.EqualTo(new Hpa((HostBase << 12) | 0xabc)));
            Assert.That(trace.EntriesUpdated, Is.Zero);
        }
    }

    [Test]
    public void SettingTheGuestsFlagsReadsNoFurtherEntries([Values] bool accessedDirty)
    {
        World world = new(accessedDirty);
        world.MapGuest();
        NestedWalkTrace trace = new();
        NestedWalkResult result = world.WalkEpt(world.Guest(), gva, write, trace);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Succeeded);
            Assert.That(trace.Steps, Has.Count.EqualTo(24));
            Assert.That(trace.Steps.Where(step => step.IsGuest).Select(step => step.After & (A | D)), Is.EqualTo(new[] { A, A, A, A | D }));
            Assert.That(result.Rights & PageRights.Dirty, Is.EqualTo(PageRights.Dirty));
        }
    }

    [Test]
    public void NestedPageTablesReadTheSame24Entries()
    {
        World world = new();
        world.MapGuest(flags: A | D);
        NestedWalkTrace trace = new();
        NestedWalkResult result = world.WalkNpt(world.Guest(), gva, read, trace);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Hpa, Is.EqualTo(new Hpa((HostBase << 12) | 0xabc)));
            Assert.That(trace.Steps, Has.Count.EqualTo(24));
            Assert.That(trace.Steps[3].Role, Is.EqualTo("nested PTE of the guest PML4E's address"));
            Assert.That(trace.Steps[3].After & (A | D), Is.EqualTo(A | D), "the guest's tables are written");
            Assert.That(trace.Steps[23].After & (A | D), Is.EqualTo(A), "its page is only read");
        }
    }

    [TestCase(4)]
    [TestCase(3)]
    [TestCase(2)]
    [TestCase(1)]
    [TestCase(0)]
    public void AnExitOnTheWaySaysWhere(int guestLevel)
    {
        World world = new();
        world.MapGuest();
        world.Ept.Unmap(new Gpa((ulong)guestLevel << 12), 0x1000);
        world.Npt.Unmap(new Gpa((ulong)guestLevel << 12), 0x1000);
        ulong address = guestLevel == 0 ? gva.Value & 0xfff : ((ulong)guestLevel << 12) + (8 * ((gva.Value >> (3 + (9 * guestLevel))) % 512));
        NestedWalkTrace trace = new();
        NestedWalkResult ept = world.WalkEpt(world.Guest(), gva, read, trace);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((ept.Exit, ept.Gpa, ept.Gva), Is.EqualTo((SecondStageExitReason.EptViolation, new Gpa(address), gva)));
            Assert.That(ept.SecondStage.Qualification, Is.EqualTo(guestLevel == 0 ? 0x581 : 0x81), "0x400: the page is writable for the guest");
            Assert.That(trace.Steps[^1].Role, Is.EqualTo(guestLevel == 0
                ? "nested PTE of the final address"
                : $"nested PTE of the guest {SecondStageDescription.LevelName(guestLevel)}'s address"));
            Assert.That((ept.Succeeded, ept.GuestFaults), Is.EqualTo((false, false)));
        }

        NestedWalkResult npt = world.WalkNpt(world.Guest(), gva, read, new NestedWalkTrace());
        Assert.That((npt.Exit, npt.Gpa), Is.EqualTo((SecondStageExitReason.NestedPageFault, new Gpa(address))));
        Assert.That(npt.SecondStage.Qualification, Is.EqualTo(guestLevel == 0 ? 0x1_0000_0004 : 0x2_0000_0006));
    }

    [TestCase(12, 12)]
    [TestCase(12, 21)]
    [TestCase(12, 30)]
    [TestCase(21, 12)]
    [TestCase(21, 21)]
    [TestCase(21, 30)]
    [TestCase(30, 12)]
    [TestCase(30, 21)]
    [TestCase(30, 30)]
    public void TheSmallerPageCounts(int guestShift, int hostShift)
    {
        World world = new();
        world.MapGuest(leaf: 1 + ((guestShift - 12) / 9), page: 1UL << 30);
        ulong target = (1UL << 30) | (gva.Value & ((1UL << guestShift) - 1));
        world.Ept.Map(new Gpa(1UL << 30), new Hpa(7UL << 30), 1UL << 30, All, largestPageShift: hostShift);
        NestedWalkResult result = world.WalkEpt(world.Guest(), gva, write, new NestedWalkTrace());
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.PageShift, Is.EqualTo(Math.Min(guestShift, hostShift)));
            Assert.That(result.Gpa, Is.EqualTo(new Gpa(target)));
            Assert.That(result.Hpa.Value, Is.EqualTo(target + (6UL << 30)));
        }
    }

    [Test]
    public void WithoutPagingOnlyTheSecondStageHasPages()
    {
        World world = new();
        world.Ept.Map(new Gpa(1UL << 30), new Hpa(7UL << 30), 1UL << 30, SecondStageRights.Read, largestPageShift: 30);
        PagingState off = new(1, 0, 0, 0, false, 40);
        NestedWalkResult result = world.WalkEpt(off, new Gva((1UL << 30) + 0x12345), read, new NestedWalkTrace());
        Assert.That((result.Hpa, result.PageShift), Is.EqualTo((new Hpa((7UL << 30) + 0x12345), 30)));
        NestedWalkResult exit = world.WalkEpt(off, new Gva((1UL << 30) + 0x12345), write, new NestedWalkTrace());
        Assert.That(exit.SecondStage.Qualification, Is.EqualTo(0x182 | 0x8 | 0x200 | 0x400), "without paging every page is a writable user page");
    }

    [TestCase(0UL, 0)]
    [TestCase(8UL, 1)]
    [TestCase(0x10UL, 2)]
    [TestCase(0x80UL, 4)]
    [TestCase(0x98UL, 7)]
    public void BothMemoryTypesAreReported(ulong bits, int index)
    {
        World world = new();
        world.MapGuest(leafBits: P | RW | bits);
        NestedWalkResult result = world.WalkEpt(world.Guest(), gva, read, new NestedWalkTrace());
        Assert.That((result.GuestPatIndex, result.SecondStage.EptMemoryType, result.SecondStage.IgnoresPat), Is.EqualTo((index, MemoryType.WB, false)));
    }

    [Test]
    public void ThePdpteRegistersAreLoadedThroughTheSecondStage()
    {
        World world = new();
        for (ulong i = 0; i < 4; i++)
        {
            world.Host[((HostBase + 2) << 12) + 0x20 + (8 * i)] = 0x1001 + (i << 12);
        }

        EptStage<ArrayHost> stage = world.EptStage();
        NestedWalkTrace trace = new();
        NestedWalkTrace.Recorder observer = trace.Observer;
        bool loaded = NestedWalker.TryReadPdptes(ref stage, 0x2020, ref observer, out PdpteRegisters pdptes, out _);
        Assert.That((loaded, pdptes), Is.EqualTo((true, new PdpteRegisters(0x1001, 0x2001, 0x3001, 0x4001))));

        world.Ept.Unmap(new Gpa(0x2000), 0x1000);
        loaded = NestedWalker.TryReadPdptes(ref stage, 0x2020, ref observer, out _, out NestedWalkResult exit);
        Assert.That((loaded, exit.Gpa, exit.SecondStage.Qualification), Is.EqualTo((false, new Gpa(0x2020), 1UL)), "no linear address is involved");
    }

    [Test]
    public void AFaultOfTheGuestComesBeforeTheFinalAddressIsTranslated()
    {
        World world = new();
        world.MapGuest(leafBits: P);
        world.Ept.Unmap(new Gpa(0), 0x1000);
        NestedWalkResult result = world.WalkEpt(world.Guest(), gva, write, new NestedWalkTrace());
        Assert.That((result.GuestFaults, result.Guest.Failure), Is.EqualTo((true, WalkFailure.WriteToReadOnlyPage)));
    }

    /// <summary>Every two of the guest's entry bits, rights of frames, controls and accesses meet.</summary>
    [Test]
    public void BothStagesPairwise()
    {
        // Guest entries: P, RW, US, NX, A of four levels and D of the last; EPT rights of five frames; access, user, WP, A/D for EPT.
        int[] sizes = [32, 32, 32, 32, 2, 8, 8, 8, 8, 8, 3, 2, 2, 2];
        int[] permissive = [7, 7, 7, 7, 0, 7, 7, 7, 7, 7, 0, 0, 1, 0];
        Random random = new(20261121);
        World[] worlds = [new(), new(accessedDirty: true)];
        Dictionary<string, int> outcomes = [];
        int cases = 0;
        for (int i = 0; i < sizes.Length; i++)
        {
            for (int j = i + 1; j < sizes.Length; j++)
            {
                for (int pair = 0; pair < sizes[i] * sizes[j]; pair++)
                {
                    int[] near = [.. permissive];
                    int[] half = [.. sizes.Select((size, d) => random.Next(8) == 0 ? random.Next(size) : permissive[d])];
                    foreach (int[] choice in new[] { near, half })
                    {
                        (choice[i], choice[j]) = (pair % sizes[i], pair / sizes[i]);
                        string expected = TryBothStages(worlds[choice[13]], choice);
                        string kind = expected.Split(' ')[0];
                        outcomes[kind] = outcomes.GetValueOrDefault(kind) + 1;
                        cases++;
                    }
                }
            }
        }

        TestContext.Out.WriteLine($"{cases} cases: {string.Join(", ", outcomes.Select(o => $"{o.Key} {o.Value}"))}");
        Assert.That(cases, Is.GreaterThan(25_000));
        Assert.That(outcomes.Keys, Is.SupersetOf(new[] { "success", "fault", "violation", "misconfiguration" }));
    }

    [Test]
    public void NoiseIsWalkedWithinBoundsAndEnds([Values] bool nested)
    {
        Random random = new(20261121);
        Dictionary<string, int> outcomes = [];
        for (int round = 0; round < 60; round++)
        {
            ArrayHost host = new(24, 0);
            for (int word = 0; word < host.Words.Length; word++)
            {
                ulong flags = (ulong)random.NextInt64() & 0x3f;
                flags |= random.Next(8) == 0 ? 0u : 7u;
                flags &= random.Next(4) == 0 ? 0xffu : 0x7u;
                ulong rare = random.Next(24) == 0 ? 1UL << random.Next(6, 64) : 0;
                host.Words[word] = ((ulong)random.Next(26) << 12) | flags | rare | (random.Next(3) == 0 ? 0x30u : 0);
            }

            EptState ept = new(EptPointer.To(new Hpa((ulong)random.Next(24) << 12), 4 + random.Next(2), random.Next(2) == 0), 36, EptCapabilities.All);
            NptState npt = new((ulong)random.Next(24) << 12, 0x20, 0xd00, 36);
            for (int i = 0; i < 400; i++)
            {
                PagingState guest = new(0x8001_0001, (ulong)random.Next(24) << 12, 0x20, 0xd00, false, 36, Accessed: (AccessedPolicy)random.Next(2));
                Gva address = new((ulong)((long)(random.NextInt64() << 16) >> 16));
                WalkAccess access = new((AccessKind)random.Next(3), random.Next(2) == 0);
                NestedWalkTrace trace = new();
                NestedWalkTrace.Recorder observer = trace.Observer;
                NestedWalkResult result;
                if (nested)
                {
                    NptStage<ArrayHost> stage = new(host, npt);
                    NestedWalker.Walk(ref stage, guest, address, access, ref observer, out result);
                }
                else
                {
                    EptStage<ArrayHost> stage = new(host, ept);
                    NestedWalker.Walk(ref stage, guest, address, access, ref observer, out result);
                }

                string kind = result.Succeeded ? "success" : result.GuestFaults ? result.Guest.Failure.ToString() : result.SecondStage.Failure.ToString();
                outcomes[kind] = outcomes.GetValueOrDefault(kind) + 1;
                Assert.That(trace.Steps, Has.Count.LessThan(35 * 8), kind);
                if (result.Exit != SecondStageExitReason.None)
                {
                    Assert.That(SecondStageDescription.Describe(result.SecondStage, result.Gpa, result.Access, 36), Does.Contain(result.Gpa.ToString()));
                }
            }
        }

        TestContext.Out.WriteLine(string.Join(", ", outcomes.OrderBy(o => o.Key).Select(o => $"{o.Key} {o.Value}")));
        Assert.That(outcomes.Keys, Is.SupersetOf(new[] { "success", "NotPresent", "ReservedBits", "EntryUnreachable" }));
    }

    /// <summary>Sets up one case, walks and compares; returns what the rules expect in words.</summary>
    private static string TryBothStages(World world, int[] choice)
    {
        ulong[] entries = new ulong[5];
        for (int level = 4; level >= 1; level--)
        {
            int bits = choice[4 - level];
            entries[level] = ((ulong)(level - 1) << 12) | ((ulong)bits & 7) | ((bits & 8) != 0 ? NX : 0) | ((bits & 16) != 0 ? A : 0)
                | (level == 1 && choice[4] != 0 ? D : 0);
            world.Host[world.GuestEntry(level)] = entries[level];
        }

        ulong[] rights = new ulong[5];
        for (int frame = 4; frame >= 0; frame--)
        {
            rights[frame] = (ulong)choice[5 + (4 - frame)];
            ulong entry = world.EptEntryOf(frame);
            world.Host[entry] = (world.Host[entry] & ~0x707UL) | rights[frame];
        }

        WalkAccess access = new((AccessKind)choice[10], choice[11] != 0);
        PagingState guest = world.Guest(writeProtect: choice[12] != 0);
        string expected = Judge(entries, rights, access, choice[12] != 0, choice[13] != 0);
        NestedWalkResult result = world.WalkEpt(guest, gva, access, null);
        string got = result.Succeeded
            ? $"success {result.Hpa} {result.Rights & (PageRights.User | PageRights.Write | PageRights.NoExecute)}"
            : result.GuestFaults ? $"fault {result.Guest.ErrorCode} {result.Guest.Level}"
            : result.Exit == SecondStageExitReason.EptViolation ? $"violation {result.Gpa.Frame} 0x{result.SecondStage.Qualification:x}"
            : $"misconfiguration {result.Gpa.Frame}";
        for (int level = 4; level >= 1; level--)
        {
            got += $" {world.Host[world.GuestEntry(level)] & (A | D):x}";
            expected += $" {entries[level] & (A | D):x}";
        }

        if (got != expected)
        {
            Assert.Fail($"{string.Join(",", choice)}: expected {expected}, got {got}");
        }

        return expected;
    }

    /// <summary>The rules of both stages in the order of a walk; entries get the flags they would have.</summary>
    private static string Judge(ulong[] entries, ulong[] rights, WalkAccess access, bool wp, bool accessedDirty)
    {
        for (int level = 4; level >= 1; level--)
        {
            if (Second(rights[level], accessedDirty ? 3u : 1u, accessedDirty ? 0x83u : 0x81u, level) is { } exit)
            {
                return exit;
            }

            if ((entries[level] & P) == 0)
            {
                return $"fault {Code(0, access)} {level}";
            }
        }

        foreach ((ulong mask, ulong bad, bool applies) in new[]
        {
            (US, 0UL, access.User), (RW, 0UL, access.Kind == AccessKind.Write && (access.User || wp)), (NX, NX, access.Kind == AccessKind.Execute),
        })
        {
            for (int level = 4; level >= 1 && applies; level--)
            {
                if ((entries[level] & mask) == bad)
                {
                    return $"fault {Code(1, access)} {level}";
                }
            }
        }

        for (int level = 4; level >= 1; level--)
        {
            ulong flags = A | (level == 1 && access.Kind == AccessKind.Write ? D : 0);
            if ((entries[level] & flags) != flags)
            {
                if (Second(rights[level], 2, accessedDirty ? 0x83u : 0x82u, level) is { } exit)
                {
                    return exit;
                }

                entries[level] |= flags;
            }
        }

        ulong common = entries[4] & entries[3] & entries[2] & entries[1];
        bool noExecute = ((entries[4] | entries[3] | entries[2] | entries[1]) & NX) != 0;
        ulong advanced = ((common & US) != 0 ? 0x200u : 0) | ((common & RW) != 0 ? 0x400u : 0) | (noExecute ? 0x800u : 0);
        (ulong needs, uint kind) = access.Kind switch
        {
            AccessKind.Read => (1UL, 0x181u),
            AccessKind.Write => (2UL, 0x182u),
            _ => (4UL, 0x184u),
        };
        if (Second(rights[0], needs, kind | (uint)advanced, 0) is { } final)
        {
            return final;
        }

        PageRights combined = ((common & US) != 0 ? PageRights.User : 0) | ((common & RW) != 0 && (rights[0] & 2) != 0 ? PageRights.Write : 0)
            | (noExecute || (rights[0] & 4) == 0 ? PageRights.NoExecute : 0);
        return $"success 0x{(HostBase << 12) | (gva.Value & 0xfff):x} {combined}";
    }

    private static string? Second(ulong rights, ulong needs, uint qualification, int frame) =>
        rights == 0 ? $"violation 0x{frame:x} 0x{qualification:x}"
        : (rights & 3) == 2 ? $"misconfiguration 0x{frame:x}"
        : (rights & needs) != needs ? $"violation 0x{frame:x} 0x{qualification | (rights << 3):x}"
        : null;

    private static PageFaultCode Code(uint present, WalkAccess access) =>
        (PageFaultCode)(present | (access.Kind == AccessKind.Write ? 2u : 0) | (access.User ? 4u : 0) | (access.Kind == AccessKind.Execute ? 0x10u : 0));

    /// <summary>A guest of 16 frames under EPT and under nested page tables of the same mapping.</summary>
    private sealed class World
    {
        private readonly bool accessedDirty;

        public World(bool accessedDirty = false)
        {
            this.accessedDirty = accessedDirty;
            Host = new ArrayHost(700, HostBase);
            for (int i = 0; i < 16; i++)
            {
                _ = Host.TryAllocate(out _);
            }

            Ept = new EptBuilder(Host);
            Npt = new NptBuilder(Host);
            Ept.Map(new Gpa(0), new Hpa(HostBase << 12), 0x1_0000, All);
            Npt.Map(new Gpa(0), new Hpa(HostBase << 12), 0x1_0000, SecondStageRights.Read | SecondStageRights.Write | SecondStageRights.Execute);
        }

        public ArrayHost Host { get; }

        public EptBuilder Ept { get; }

        public NptBuilder Npt { get; }

        public ulong GuestEntry(int level) => ((HostBase + (ulong)level) << 12) + (8 * ((gva.Value >> (3 + (9 * level))) % 512));

        /// <summary>Where the EPT entry of a frame lies: the root, and the two tables below it, were allocated before its page table.</summary>
        public ulong EptEntryOf(int frame)
        {
            ulong table = Ept.Root.Value;
            for (int level = 4; level > 1; level--)
            {
                table = Host[table] & 0x000f_ffff_ffff_f000;
            }

            return table + (8 * (ulong)frame);
        }

        public void MapGuest(ulong flags = 0, int leaf = 1, ulong page = 0, ulong leafBits = P | RW)
        {
            for (int level = 4; level >= leaf; level--)
            {
                ulong target = level == leaf ? page | leafBits | (leaf > 1 ? PS : 0) : ((ulong)(level - 1) << 12) | P | RW | US;
                Host[GuestEntry(level)] = target | flags;
            }
        }

        public PagingState Guest(bool writeProtect = true) => new(0x8000_0001 | (writeProtect ? 0x1_0000u : 0), 0x4000, 0x20, 0xd00, false, 40);

        public EptStage<ArrayHost> EptStage() => new(Host, new EptState(EptPointer.To(Ept.Root, 4, accessedDirty), 40, EptCapabilities.All));

        public NestedWalkResult WalkEpt(in PagingState guest, Gva address, WalkAccess access, NestedWalkTrace? trace)
        {
            EptStage<ArrayHost> stage = EptStage();
            NestedWalkResult result;
            if (trace is null)
            {
                NoNestedWalkObserver none = default;
                NestedWalker.Walk(ref stage, guest, address, access, ref none, out result);
                return result;
            }

            NestedWalkTrace.Recorder observer = trace.Observer;
            NestedWalker.Walk(ref stage, guest, address, access, ref observer, out result);
            return result;
        }

        public NestedWalkResult WalkNpt(in PagingState guest, Gva address, WalkAccess access, NestedWalkTrace trace)
        {
            NptStage<ArrayHost> stage = new(Host, new NptState(Npt.Root.Value, 0x20, 0xd00, 40));
            NestedWalkTrace.Recorder observer = trace.Observer;
            NestedWalker.Walk(ref stage, guest, address, access, ref observer, out NestedWalkResult result);
            return result;
        }
    }
}
