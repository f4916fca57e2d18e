using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>What the sweep does not reach: pointers, addresses too wide, the page-modification log, entries that change, and texts.</summary>
[TestFixture]
internal sealed class EptWalkerTests
{
    private const ulong RWX = 7, A = 0x100, D = 0x200, WB = 6 << 3;
    private const byte Bits = 40;

    private static readonly Gpa gpa = new(0x1234_5678_9abc);
    private static readonly SecondStageAccess read = SecondStageAccess.Final(new(AccessKind.Read, false), PageRights.None);
    private static readonly SecondStageAccess write = SecondStageAccess.Final(new(AccessKind.Write, false), PageRights.None);

    private readonly SparseHost host = new(16);

    [SetUp]
    public void MapOnePage()
    {
        host.Addresses.Fill(ulong.MaxValue);
        host.Counts.BeforeExchange = null;
        (host.Counts.Reads, host.Counts.Exchanges) = (0, 0);
        for (int level = 4; level >= 1; level--)
        {
            host.Addresses[level] = ((ulong)level << 32) + (8 * ((gpa.Value >> (3 + (9 * level))) % 512));
            host.Words[level] = ((ulong)(level - 1) << 32) | RWX | (level == 1 ? WB : 0);
        }

        host.Words[1] |= 0x77_7777_7000;
    }

    [TestCase(0UL | (3 << 3), Bits, "memory type 0 is allowed", ExpectedResult = null)]
    [TestCase(6UL | (4 << 3), Bits, "length 5 is allowed", ExpectedResult = null)]
    [TestCase(6UL | (3 << 3) | 0xc0 | (1UL << 39), Bits, "both controls", ExpectedResult = null)]
    [TestCase(1UL | (3 << 3), Bits, "", ExpectedResult = "bits 2:0 name memory type 1")]
    [TestCase(6UL | (2 << 3), Bits, "", ExpectedResult = "bits 5:3 name a page-walk length of 3")]
    [TestCase(6UL | (5 << 3), Bits, "", ExpectedResult = "bits 5:3 name a page-walk length of 6")]
    [TestCase(6UL | (3 << 3) | 0x100, Bits, "", ExpectedResult = "a reserved bit is 1")]
    [TestCase(6UL | (3 << 3) | 0x800, Bits, "", ExpectedResult = "a reserved bit is 1")]
    [TestCase(6UL | (3 << 3) | (1UL << 40), Bits, "", ExpectedResult = "a reserved bit is 1")]
    [TestCase(6UL | (3 << 3) | (1UL << 63), (byte)52, "", ExpectedResult = "a reserved bit is 1")]
    public string? PointersAreCheckedAsByVmEntry(ulong raw, byte bits, string why)
    {
        TestContext.Out.WriteLine(why);
        return new EptPointer(raw).Objection(EptCapabilities.All, bits);
    }

    [TestCase(EptCapabilities.WalkLength4Bit, 6UL | (3 << 3), "bits 5:3")]
    [TestCase(EptCapabilities.WalkLength5Bit, 6UL | (4 << 3), "bits 5:3")]
    [TestCase(EptCapabilities.WriteBackBit, 6UL | (3 << 3), "bits 2:0")]
    [TestCase(EptCapabilities.UncacheableBit, 3UL << 3, "bits 2:0")]
    [TestCase(EptCapabilities.AccessedDirtyBit, 6UL | (3 << 3) | 0x40, "bit 6")]
    [TestCase(EptCapabilities.ShadowStackBit, 6UL | (3 << 3) | 0x80, "bit 7")]
    public void PointersAskForNoMoreThanTheProcessorHas(ulong missing, ulong raw, string objection)
    {
        EptPointer eptp = new(raw);
        EptCapabilities without = new(EptCapabilities.All.Raw & ~missing);
        Assert.That(eptp.Objection(EptCapabilities.All, Bits), Is.Null);
        Assert.That(eptp.Objection(without, Bits), Does.StartWith(objection));
        Assert.That(() => new EptState(eptp, Bits, without), Throws.ArgumentException);
    }

    [Test]
    public void ALogNeedsDirtyFlags() => Assert.That(() => State(accessedDirty: false, log: new PageModificationLog(new Hpa(0x1000))), Throws.ArgumentException);

    [TestCase(4, 0x0000_ffff_ffff_ffffUL, SecondStageFailure.NotPresent)]
    [TestCase(4, 0x0001_0000_0000_0000UL, SecondStageFailure.AddressBeyondWalk)]
    [TestCase(4, 0x000f_ffff_ffff_f000UL, SecondStageFailure.AddressBeyondWalk)]
    [TestCase(5, 0x000f_ffff_ffff_f000UL, SecondStageFailure.NotPresent)]
    [TestCase(5, 1UL << 57, SecondStageFailure.AddressBeyondWalk)]
    public void AnAddressOfMoreBitsThanTheWalkHasIsAViolation(int levels, ulong address, SecondStageFailure failure)
    {
        EptState state = new(EptPointer.To(new Hpa(0x9_0000_0000), levels), Bits, EptCapabilities.All);
        ulong index = (address >> (3 + (9 * levels))) % 512;
        (host.Addresses[0], host.Words[0]) = (0x9_0000_0000 + (8 * index), 0);
        SecondStageResult result = Translate(state, read, new Gpa(address));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Exit, Is.EqualTo(SecondStageExitReason.EptViolation));
            Assert.That(result.Failure, Is.EqualTo(failure));
            Assert.That(result.Qualification, Is.EqualTo(0x181));
        }
    }

    [Test]
    public void TheLogTakesThePageOfEachDirtyFlagThatIsSetFromItsEndDownwards()
    {
        PageModificationLog log = new(new Hpa(0xa_0000_0000));
        EptState state = State(accessedDirty: true, log: log);
        (host.Addresses[5], host.Words[5]) = (0xa_0000_0000 + (511 * 8), 0);

        SecondStageResult first = Translate(state, read);
        Assert.That((first.Rights & SecondStageRights.Dirty, log.Index), Is.EqualTo((SecondStageRights.None, 511)), "a read sets A only");
        _ = Translate(state, write);
        Assert.That((host.Words[5], log.Index), Is.EqualTo((gpa.Value & ~0xfffUL, 510)));
        _ = Translate(state, write);
        Assert.That(log.Index, Is.EqualTo(510), "D was 1 already");

        host.Words[1] &= ~D;
        _ = Translate(state, SecondStageAccess.GuestTable);
        Assert.That((log.Index, host.Words[1] & D), Is.EqualTo((509, D)), "reads of the guest's tables count as writes; no memory for the log is no failure");
        host.Words[1] &= ~D;
        _ = Translate(state, SecondStageAccess.PdpteLoad);
        Assert.That((log.Index, host.Words[1] & D), Is.EqualTo((509, 0UL)), "loads of PDPTE registers do not");
    }

    [TestCase((ushort)0, false)]
    [TestCase((ushort)511, false)]
    [TestCase((ushort)512, true)]
    [TestCase((ushort)0xffff, true)]
    public void AFullLogExitsBeforeAnyFlagIsSet(ushort index, bool full)
    {
        PageModificationLog log = new(new Hpa(0xa_0000_0000)) { Index = index };
        EptState state = State(accessedDirty: true, log: log);
        SecondStageResult result = Translate(state, read);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Exit, Is.EqualTo(full ? SecondStageExitReason.PageModificationLogFull : SecondStageExitReason.None));
            Assert.That(result.Failure, Is.EqualTo(full ? SecondStageFailure.LogFull : SecondStageFailure.None));
            Assert.That(host.Words[1] & A, Is.EqualTo(full ? 0UL : A));
        }

        if (!full)
        {
            _ = Translate(state, write);
            Assert.That(log.Index, Is.EqualTo((ushort)(index - 1)));
        }

        log.Index = 0xffff;
        for (int level = 1; level <= 4; level++)
        {
            host.Words[level] |= A | D;
        }

        Assert.That(Translate(state, write).Succeeded, "a full log hinders no access that sets no flag");
    }

    [Test]
    public void AnEntryRemappedUnderTheWalkIsWalkedAgain()
    {
        SparseHost memory = host;
        host.Counts.BeforeExchange = n => memory.Words[1] = n == 4 ? 0x66_6666_6000 | RWX | WB : memory.Words[1];
        SecondStageResult result = Translate(State(accessedDirty: true), write);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Hpa, Is.EqualTo(new Hpa(0x66_6666_6abc)));
            Assert.That(host.Words[1], Is.EqualTo(0x66_6666_6000 | RWX | WB | A | D));
            Assert.That(host.Counts.Reads, Is.EqualTo(4 + 4 + 4), "the short way, which sets no flags, then the walk, and the walk again");
        }
    }

    [Test]
    public void AnEntryThatKeepsChangingEndsTheWalkInAViolationToResumeFrom()
    {
        SparseHost memory = host;
        host.Counts.BeforeExchange = _ => memory.Words[4] ^= 1UL << 52;
        SecondStageResult result = Translate(State(accessedDirty: true), write);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(SecondStageFailure.EntryContended));
            Assert.That(result.Exit, Is.EqualTo(SecondStageExitReason.EptViolation));
            Assert.That(host.Counts.Exchanges, Is.EqualTo(EptWalker.MaxAttempts));
        }
    }

    [Test]
    public void OtherThreadsThatSetAndClearFlagsNeverMakeAWrongTranslation()
    {
        ulong[] words = [.. host.Words];
        ulong[] addresses = [.. host.Addresses];
        SharedHost shared = new(addresses, words);
        EptState state = State(accessedDirty: true);
        using CancellationTokenSource stop = new();
        Thread other = new(() =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                ref ulong word = ref words[1 + (i % 4)];
                _ = i % 3 == 0 ? Interlocked.Or(ref word, A) : Interlocked.And(ref word, ~(A | D));
            }
        });
        other.Start();
        int wrong = 0;
        for (int i = 0; i < 200_000; i++)
        {
            NoNestedWalkObserver none = default;
            bool found = EptWalker.TryTranslate(ref shared, state, gpa, write, ref none, out SecondStageResult result);
            wrong += found ? (result.Hpa.Value == 0x77_7777_7abc ? 0 : 1) : result.Failure == SecondStageFailure.EntryContended ? 0 : 1;
        }

        stop.Cancel();
        other.Join();
        Assert.That(wrong, Is.Zero);
        Assert.That(words[1] & ~(A | D), Is.EqualTo(host.Words[1]));
    }

    private static IEnumerable<TestCaseData> Failures() =>
    [
        new TestCaseData(3, RWX, 0UL, read, "EPT violation at 0x123456789abc: EPT PDPTE at 0x300000688 = 0x0000000200000000: R, W and X are 0."),
        new TestCaseData(1, 2UL, 0UL, write, "EPT violation at 0x123456789abc: EPT PTE at 0x100000c48 = 0x0000007777777035: W is 0 and the access is a supervisor write."),
        new TestCaseData(1, 0UL, 8UL, read, "EPT misconfiguration at 0x123456789abc: EPT PTE at 0x100000c48 = 0x000000777777703f: bits 5:3 name memory type 7, which is reserved."),
        new TestCaseData(4, 0UL, 0x80UL, read, "EPT misconfiguration at 0x123456789abc: EPT PML4E at 0x400000120 = 0x0000000300000087: bit 7 is 1 and reserved in a PML4E such as this."),
        new TestCaseData(2, 0UL, 1UL << 45, read, "EPT misconfiguration at 0x123456789abc: EPT PDE at 0x200000598 = 0x0000200100000007: bit 45 is 1 at or above MAXPHYADDR, which is 40."),
        new TestCaseData(2, 0UL, 0x1080UL | WB, read, "EPT misconfiguration at 0x123456789abc: EPT PDE at 0x200000598 = 0x00000001000010b7: bit 12 is 1 below the address of a large page."),
        new TestCaseData(1, 2UL, 0UL, SecondStageAccess.GuestTableUpdate, "EPT violation at 0x123456789abc: EPT PTE at 0x100000c48 = 0x0000007777777035: W is 0 and the access is a setting of a flag in the guest's tables, which counts as a write."),
        new TestCaseData(2, 1UL, 0UL, read, "EPT misconfiguration at 0x123456789abc: EPT PDE at 0x200000598 = 0x0000000100000006: W is 1 and R is 0."),
        new TestCaseData(3, 0UL, 0x8_0000_0000UL, read, "EPT misconfiguration at 0x123456789abc: EPT PDE at 0xa00000598: no memory is there."),
    ];

    [TestCaseSource(nameof(Failures))]
    public void ASentenceNamesTheRuleTheEntryAndTheBit(int level, ulong clear, ulong set, SecondStageAccess access, string expected)
    {
        host.Words[level] = (host.Words[level] & ~clear) | set;
        SecondStageResult result = Translate(State(accessedDirty: false), access);
        Assert.That(SecondStageDescription.Describe(result, gpa, access, Bits), Is.EqualTo(expected));
    }

    [Test]
    public void EveryFailureOfBothFormatsHasAText()
    {
        foreach (SecondStageFailure failure in Enum.GetValues<SecondStageFailure>().Where(f => f != SecondStageFailure.None))
        {
            foreach (SecondStageFormat format in Enum.GetValues<SecondStageFormat>())
            {
                SecondStageResult result = new()
                {
                    Format = format,
                    Exit = format == SecondStageFormat.Ept ? SecondStageExitReason.EptViolation : SecondStageExitReason.NestedPageFault,
                    Failure = failure,
                    Level = 1,
                    ReservedMask = 1UL << 51,
                };
                Assert.That(SecondStageDescription.Describe(result, gpa, read, Bits), Does.StartWith(format == SecondStageFormat.Ept ? "EPT violation at" : "nested page fault at"));
            }
        }
    }

    private static EptState State(bool accessedDirty, PageModificationLog? log = null) =>
        new(EptPointer.To(new Hpa(0x4_0000_0000), 4, accessedDirty), Bits, EptCapabilities.All, log: log);

    private SecondStageResult Translate(in EptState state, SecondStageAccess access, Gpa? address = null)
    {
        SparseHost memory = host;
        NoNestedWalkObserver none = default;
        bool found = EptWalker.TryTranslate(ref memory, state, address ?? gpa, access, ref none, out SecondStageResult result);
        Assert.That(found, Is.EqualTo(result.Succeeded));
        return result;
    }

    /// <summary>Words that several threads use at once.</summary>
    private readonly struct SharedHost(ulong[] addresses, ulong[] words) : IHostTableMemory
    {
        public bool TryRead(Hpa address, out ulong value)
        {
            value = Volatile.Read(ref words[Array.IndexOf(addresses, address.Value)]);
            return true;
        }

        public bool TryWrite(Hpa address, ulong value) => throw new InvalidOperationException("Nothing is logged.");

        public bool TryCompareExchange(Hpa address, ulong expected, ulong desired, out bool exchanged)
        {
            exchanged = Interlocked.CompareExchange(ref words[Array.IndexOf(addresses, address.Value)], desired, expected) == expected;
            return true;
        }
    }
}
