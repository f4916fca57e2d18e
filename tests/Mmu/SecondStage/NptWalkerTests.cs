using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Nested page tables against the rules of AMD APM Vol. 2, section 15.25, over every bit of one level, and their other modes by example.</summary>
[TestFixture]
internal sealed class NptWalkerTests
{
    private const ulong P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, NX = 1UL << 63;
    private const byte Bits = 40;
    private const ulong LongMode = 0x500, NXE = 0x800, PAE = 0x20, PSE = 0x10;

    // The guest-physical address has bit 47 set, which is no sign here.
    private static readonly Gpa gpa = new(0x8923_4567_89a8);
    private static readonly ulong[] frames = [5UL << 32, 4UL << 32, 3UL << 32, 2UL << 32, 1UL << 32];
    private static readonly ulong[] addressBits = [0, 1UL << 12, 1UL << 20, 1UL << 29, 1UL << 39, 1UL << 40, 1UL << 51, 1UL << 52];

    // What EXITINFO1 holds of an access beside P and RSV: RW, US, ID where NX is enabled, and bit 32 or 33. Accesses to the guest's tables are writes.
    private static readonly (SecondStageAccess Access, bool Write, bool Fetch, ulong Info)[] accesses =
    [
        (Final(AccessKind.Read, false), false, false, 0x1_0000_0004),
        (Final(AccessKind.Read, true), false, false, 0x1_0000_0004),
        (Final(AccessKind.Write, false), true, false, 0x1_0000_0006),
        (Final(AccessKind.Execute, false), false, true, 0x1_0000_0004),
        (SecondStageAccess.GuestTable, true, false, 0x2_0000_0006),
        (SecondStageAccess.GuestTableUpdate, true, false, 0x2_0000_0006),
        (SecondStageAccess.PdpteLoad, true, false, 0x2_0000_0006),
    ];

    [TestCase(1, 4)]
    [TestCase(1, 3)]
    [TestCase(1, 2)]
    [TestCase(1, 1)]
    [TestCase(2, 4)]
    [TestCase(2, 3)]
    [TestCase(2, 2)]
    [TestCase(3, 4)]
    [TestCase(3, 3)]
    public void OneLevelInFull(int leaf, int varied)
    {
        SparseHost host = new(5);
        for (int level = 1; level <= 4; level++)
        {
            host.Addresses[level] = frames[level] + (8 * ((gpa.Value >> (3 + (9 * level))) % 512));
        }

        int cases = 0;
        int allowed = 0;
        ulong[] entries = new ulong[5];
        for (int choice = 0; choice < 128 * 8 * 4; choice++)
        {
            ulong flags = Bit(choice, 0, P) | Bit(choice, 1, RW) | Bit(choice, 2, US) | Bit(choice, 3, A) | Bit(choice, 4, D) | Bit(choice, 5, PS) | Bit(choice, 6, NX);
            bool nxe = (choice & 0x400) != 0;
            bool page1G = (choice & 0x800) != 0;
            for (int level = 4; level >= 1; level--)
            {
                entries[level] = frames[level - 1] | P | RW | US | (level == leaf && leaf > 1 ? PS : 0);
            }

            entries[varied] = frames[varied - 1] | flags | addressBits[(choice >> 7) & 7];
            NptState state = new(frames[4] | 0x18, PAE | (1UL << 21), LongMode | (nxe ? NXE : 0), Bits, page1G);
            foreach ((SecondStageAccess access, bool write, bool fetch, ulong info) in accesses)
            {
                entries.CopyTo(host.Words);
                NoNestedWalkObserver none = default;
                bool found = NptWalker.TryTranslate(ref host, state, gpa, access, ref none, out SecondStageResult result);
                (ulong code, int at, int mapped) = Judge(entries, nxe, page1G, write, fetch);
                ulong expected = code == 0 ? 0 : (code & 0xff) - 0x80 + info + (fetch && nxe ? 0x10u : 0);
                bool alike = found == (code == 0) && result.Qualification == expected && result.Level == at
                    && result.Exit == (found ? SecondStageExitReason.None : SecondStageExitReason.NestedPageFault);
                for (int level = 4; level >= 1; level--)
                {
                    ulong set = !found || level < mapped ? 0 : level == mapped && write ? A | D : A;
                    alike &= host.Words[level] == (entries[level] | set);
                }

                if (found)
                {
                    int shift = 3 + (9 * mapped);
                    alike &= result.Hpa.Value == ((entries[mapped] & 0x000f_ffff_ffff_f000) >> shift << shift | (gpa.Value & ((1UL << shift) - 1)));
                }

                if (!alike)
                {
                    Assert.Fail($"{string.Join(" ", entries.Select(e => $"{e:x}"))} {access} NXE {nxe} 1G {page1G}: expected 0x{expected:x} at {at}, got {result.Failure} 0x{result.Qualification:x} at {result.Level}");
                }

                cases++;
                allowed += found ? 1 : 0;
            }
        }

        TestContext.Out.WriteLine($"{cases} cases, {allowed} allowed");
        Assert.That(cases, Is.EqualTo(128 * 8 * 4 * 7));
        Assert.That(allowed, Is.GreaterThan(100));
    }

    [TestCase(PAE, LongMode, 1UL << 48, 48)]
    [TestCase(PAE, 0UL, 1UL << 32, 32)]
    [TestCase(PSE, 0UL, 0xffff_ffff_ffffUL, 32)]
    public void AnAddressOfMoreBitsThanTheHostsModeHasIsNotPresent(ulong cr4, ulong efer, ulong address, int bits)
    {
        NptState state = new(0x1000, cr4, efer, Bits);
        SparseHost host = new(1);
        SecondStageResult result = Translate(host, state, new Gpa(address), Final(AccessKind.Write, false));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(state.AddressBits, Is.EqualTo(bits));
            Assert.That(result.Failure, Is.EqualTo(SecondStageFailure.AddressBeyondWalk));
            Assert.That(result.Qualification, Is.EqualTo(0x1_0000_0006));
            Assert.That(host.Counts.Reads, Is.Zero);
        }
    }

    [TestCase(1UL, 1UL, SecondStageFailure.None, 0UL)]
    [TestCase(0UL, 1UL, SecondStageFailure.NotPresent, 0x1_0000_0004UL)]
    [TestCase(0x21UL, 1UL, SecondStageFailure.ReservedBits, 0x1_0000_000dUL)]
    [TestCase(0x8000_0000_0000_0001UL, 1UL, SecondStageFailure.ReservedBits, 0x1_0000_000dUL)]
    [TestCase(1UL, 0x0010_0000_0000_0001UL, SecondStageFailure.ReservedBits, 0x1_0000_000dUL)]
    public void ThePdptesOfPaeTablesAreReadByEachWalk(ulong pdpte, ulong pdeBits, SecondStageFailure failure, ulong info)
    {
        SparseHost host = new(2);
        (host.Addresses[0], host.Words[0]) = (0x1230 + 0x10, 0x5000 | pdpte);
        (host.Addresses[1], host.Words[1]) = (0x5000 + (8 * 3), 0x7_7740_0000 | PS | RW | US | pdeBits);
        host.Addresses[0] = 0x1220 + 16;
        SecondStageResult result = Translate(host, new NptState(0x1220, PAE, NXE, Bits), new Gpa(0x8060_0abc), Final(AccessKind.Read, true));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result.Failure, Is.EqualTo(failure));
            Assert.That(result.Qualification, Is.EqualTo(info));
            Assert.That(result.Hpa.Value, Is.EqualTo(failure == SecondStageFailure.None ? 0x7_7740_0abcUL : 0));
        }

        host.Words[0] = 0;
        result = Translate(host, new NptState(0x1220, PAE, NXE, Bits), new Gpa(0x8060_0abc), Final(AccessKind.Read, true));
        Assert.That(result.Failure, Is.EqualTo(SecondStageFailure.NotPresent));
    }

    [Test]
    public void TablesOf4ByteEntriesTranslate32Bits()
    {
        SparseHost host = new(1);
        (host.Addresses[0], host.Words[0]) = (0x3000 + 0x208, (0x1234_5000UL | P | US) | ((0x4040_0000UL | P | RW | US | PS) << 32));
        NptState state = new(0x3000, PSE, NXE, Bits);
        SecondStageResult large = Translate(host, state, new Gpa(0x20c0_0123), Final(AccessKind.Write, false));
        using (Assert.EnterMultipleScope())
        {
            Assert.That((large.Hpa, large.PageShift), Is.EqualTo((new Hpa(0x4040_0123), (byte)22)));
            Assert.That(host.Words[0] >> 32, Is.EqualTo(0x4040_0000 | P | RW | US | PS | A | D));
        }
    }

    [TestCase(0UL, 0)]
    [TestCase(8UL, 1)]
    [TestCase(0x10UL, 2)]
    [TestCase(0x1000UL, 4)]
    [TestCase(0x1018UL, 7)]
    public void TheMemoryTypeIsAFieldOfTheHostsPat(ulong bits, int index)
    {
        SparseHost host = new(2);
        (host.Addresses[0], host.Words[0]) = (0x1000, 0x2000 | P | RW | US);
        (host.Addresses[1], host.Words[1]) = (0x2000, 0x4000_0000 | P | RW | US | PS | bits);
        Assert.That(Translate(host, new NptState(0x1000, PAE, LongMode, Bits), new Gpa(0x123), Final(AccessKind.Read, false)).PatIndex, Is.EqualTo(index));
    }

    private static ulong Bit(int choice, int bit, ulong value) => (choice & (1 << bit)) != 0 ? value : 0;

    private static SecondStageAccess Final(AccessKind kind, bool user) => SecondStageAccess.Final(new(kind, user), PageRights.None);

    private static SecondStageResult Translate(SparseHost host, in NptState state, Gpa address, SecondStageAccess access)
    {
        NoNestedWalkObserver none = default;
        _ = NptWalker.TryTranslate(ref host, state, address, access, ref none, out SecondStageResult result);
        return result;
    }

    /// <summary>P and RSV of EXITINFO1 plus 0x80, or 0 if the access is allowed; the level to blame; the level that maps the page.</summary>
    private static (ulong Code, int Level, int Mapped) Judge(ulong[] entries, bool nxe, bool page1G, bool write, bool fetch)
    {
        // Reserved beside addresses beyond MAXPHYADDR and NX without NXE: by level, what an entry with PS clear and one with PS set reserve.
        ulong[] small = [0, 0, 0, 0, 0];
        ulong[] large = [0, 0, 0x001f_e000, page1G ? 0x3fff_e000u : 0x80, 0x80];
        int level = 4;
        for (; ; level--)
        {
            ulong entry = entries[level];
            if ((entry & P) == 0)
            {
                return (0x80, level, 0);
            }

            ulong reserved = ((entry & PS) != 0 ? large : small)[level] | 0x000f_ff00_0000_0000 | (nxe ? 0 : NX);
            if ((entry & reserved) != 0)
            {
                return (0x89, level, 0);
            }

            if (level == 1 || (entry & PS) != 0)
            {
                break;
            }

            if ((entry & 0x000f_ffff_ffff_f000) != frames[level - 1])
            {
                return (0x80, level - 1, 0);
            }
        }

        (ulong Mask, ulong Bad, bool Applies)[] rights = [(US, 0, true), (RW, 0, write), (NX, NX, fetch)];
        foreach ((ulong mask, ulong bad, bool applies) in rights)
        {
            for (int above = 4; above >= level && applies; above--)
            {
                if ((entries[above] & mask) == bad)
                {
                    return (0x81, above, 0);
                }
            }
        }

        return (0, level, level);
    }
}
