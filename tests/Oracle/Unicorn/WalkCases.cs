using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Random cases from a seed, in which most bits allow, so that each right decides in many; and the pairs of bits that were seen.</summary>
internal sealed class WalkCases(PagingMode mode, int seed)
{
    private const ulong P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100, NX = 1UL << 63;

    private readonly Random random = new(seed);
    private readonly int levels = UnicornMmu.LevelsOf(mode);
    private readonly HashSet<int> pairs = [];

    /// <summary>The pairs of two bits of a case, each 0 or 1, that a case may have and that none had.</summary>
    public IEnumerable<string> MissingPairs => Enumerable.Range(0, Facts).SelectMany(a => Enumerable.Range(a + 1, Facts - a - 1).Select(b => (a, b)))
        .SelectMany(pair => Enumerable.Range(0, 4).Select(bits => (pair.a, pair.b, bits)))
        .Where(pair => !pairs.Contains(Pair(pair.a, pair.b, pair.bits)) && IsFree(pair.a) && IsFree(pair.b)
            && !(pair.a == Facts - 2 && pair.bits == 3)) // no access is a write and a fetch
        .Select(pair => $"{Name(pair.a)}={pair.bits & 1} {Name(pair.b)}={pair.bits >> 1}");

    private int Facts => (8 * levels) + 12;

    public WalkCase Next()
    {
        WalkControls controls = (WalkControls)random.Next(512);
        controls = mode == PagingMode.FourLevel ? controls : controls & ~(WalkControls.PKE | WalkControls.Keys);
        ulong[] entries = new ulong[levels + 1];
        for (int level = 1; level <= levels; level++)
        {
            entries[level] = Entry(level);
        }

        AccessKind kind = (AccessKind)random.Next(3);
        WalkCase walk = new(mode, entries, Address(), kind, random.Next(2) == 0, controls);
        Note(walk);
        return walk;
    }

    private bool One(int outOf) => random.Next(outOf) == 0;

    private ulong Entry(int level)
    {
        bool pdpte = mode == PagingMode.Pae && level == 3;
        bool wide = mode != PagingMode.Bits32;
        bool large = level == 2 || (level == 3 && !pdpte) ? One(3) : One(24);
        ulong below = level == 1 ? UnicornMmu.PageFrames + ((ulong)random.Next(UnicornMmu.PageFrameCount) << 12) : UnicornMmu.TableBelow(level);
        ulong entry = One(16) ? 0 : P;
        if (pdpte)
        {
            return entry | below;
        }

        if (large && level == 2)
        {
            below = UnicornMmu.LargeFrame;
        }
        else if (large && level == 3)
        {
            below = 0;
        }

        entry |= below | (One(4) ? 0 : W) | (One(3) ? 0 : U) | (One(2) ? A : 0) | (One(2) ? D : 0) | (large ? PS : 0) | (One(2) ? G : 0);
        entry |= wide && One(8) ? NX : 0;
        entry |= mode == PagingMode.FourLevel ? (ulong)random.Next(4) << 59 : 0;
        entry |= One(24) ? Reserved(level) : 0;
        return entry;
    }

    /// <summary>A bit that is reserved in some entries: above the physical address, in the address of a large page, or in PAE paging.</summary>
    private ulong Reserved(int level) => mode switch
    {
        PagingMode.Bits32 => 1UL << (level == 2 ? 21 : 9),
        PagingMode.Pae => 1UL << random.Next(4) switch { 0 => 62, 1 => 52, 2 => 51, _ => level == 2 ? 13 + random.Next(8) : 40 },
        _ => 1UL << random.Next(3) switch { 0 => 40 + random.Next(12), 1 => 52 + random.Next(7), _ => level is 2 or 3 ? 13 + random.Next(8) : 51 },
    };

    private ulong Address()
    {
        ulong inPage = (ulong)random.Next(254) << 4;
        ulong page = (ulong)random.Next(512) << 12;
        if (mode == PagingMode.Bits32)
        {
            return ((ulong)(uint)random.Next(101, 1024) << 22) | ((ulong)random.Next(1024) << 12) | inPage;
        }

        ulong directory = (ulong)random.Next(2, 15) << 21;
        if (mode == PagingMode.Pae)
        {
            return ((ulong)random.Next(1, 4) << 30) | directory | page | inPage;
        }

        int top = random.Next(512);
        ulong address = ((ulong)(top == 100 ? 101 : top) << 39) | ((ulong)random.Next(512) << 30) | directory | page | inPage;
        address |= (address >> 47 & 1) != 0 ? 0xffff_0000_0000_0000 : 0;
        return One(16) ? address ^ (1UL << random.Next(48, 64)) : address;
    }

    private void Note(WalkCase walk)
    {
        ulong facts = 0;
        int at = 0;
        for (int level = 1; level <= levels; level++)
        {
            foreach (int bit in (ReadOnlySpan<int>)[0, 1, 2, 5, 6, 7, 8, 63])
            {
                facts |= (walk.Entries[level] >> bit & 1) << at++;
            }
        }

        facts |= (ulong)walk.Controls << at;
        at += 9;
        facts |= (walk.User ? 1UL : 0) << at++;
        facts |= (walk.Kind == AccessKind.Write ? 1UL : 0) << at++;
        facts |= (walk.Kind == AccessKind.Execute ? 1UL : 0) << at;
        for (int a = 0; a < Facts; a++)
        {
            for (int b = a + 1; b < Facts; b++)
            {
                pairs.Add(Pair(a, b, (int)(facts >> a & 1) | (int)(facts >> b & 1) << 1));
            }
        }
    }

    private static int Pair(int a, int b, int bits) => (((a << 6) | b) << 2) | bits;

    private bool IsFree(int fact)
    {
        int level = (fact / 8) + 1;
        int bit = fact % 8;
        return level > levels
            ? mode == PagingMode.FourLevel || fact - (8 * levels) is not (7 or 8)
            : (mode != PagingMode.Pae || level != 3 || bit == 0) && (mode != PagingMode.Bits32 || bit != 7);
    }

    private string Name(int fact) => fact < 8 * levels ? $"L{(fact / 8) + 1}.{fact % 8}" : $"control {fact - (8 * levels)}";
}
