using System.Numerics;
using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The host-address entries of one PCID: direct-mapped, one set for each <see cref="TlbContext"/>. Which places are taken, and by what, is
/// kept in bit maps, so that dropping costs what there is to drop.
/// </summary>
internal sealed unsafe class TlbSlot : IDisposable
{
    public const int IndexBits = 10;
    public const int EntryShift = 5;
    public const int EntriesPerContext = 1 << IndexBits;
    public const int Contexts = 3;

    private const int Total = EntriesPerContext * Contexts;
    private const int WordBits = 64;
    private const int Words = Total / WordBits;

    private readonly TlbStatistics statistics;
    private readonly TlbOrigin[] origins = new TlbOrigin[Total];
    private readonly ulong[] occupied = new ulong[Words];
    private readonly ulong[] global = new ulong[Words];
    private readonly ulong[] large = new ulong[Words];
    private readonly ulong[] keyed = new ulong[Words];
    private readonly LargePageFilter largePages = new();
    private uint keysSeen;

    public TlbSlot(TlbStatistics statistics)
    {
        this.statistics = statistics;
        Entries = (TlbEntry*)NativeMemory.AlignedAlloc(Total * (nuint)sizeof(TlbEntry), 64);
        for (int i = 0; i < Total; i++)
        {
            Entries[i] = Nothing;
        }
    }

    /// <summary>The first entry of the first context; the others follow.</summary>
    public TlbEntry* Entries { get; private set; }

    /// <summary>Whose translations these are.</summary>
    public ushort Pcid { get; set; }

    /// <summary>What code of this PCID was last confirmed at; no two slots ever have the same.</summary>
    public ulong Epoch { get; set; }

    /// <summary>When it was last selected.</summary>
    public ulong LastUse { get; set; }

    /// <summary>A global translation was used since everything was dropped, be it only for code.</summary>
    public bool SawGlobal { get; private set; }

    private static TlbEntry Nothing => new() { ReadTag = Tlb.NoTag, WriteTag = Tlb.NoTag, FetchTag = Tlb.NoTag };

    /// <summary>See <see cref="Tlb.Fill(TlbContext, Gva, Gva, Hva, in WalkResult, bool, bool, bool)"/>.</summary>
    public void Fill(TlbContext context, Gva gva, Gva linear, Hva host, in WalkResult walk, bool read, bool write, bool fetch)
    {
        ulong page = gva.Value & ~PageSize.Mask4K;
        int index = IndexOf(context, page);
        ref TlbEntry entry = ref Entries[index];
        TlbOrigin filled = new(page, linear.Value & ~PageSize.Mask4K, host.Value, new(walk.Gpa.Value & ~PageSize.Mask4K), walk);
        if (!origins[index].IsSameTranslation(filled))
        {
            Replace(context, index, filled);
            entry = Nothing;
            entry.Addend = (nint)(host.Value - page);
        }

        origins[index] = filled;
        entry.ReadTag = read ? page : entry.ReadTag;
        entry.WriteTag = write ? page : entry.WriteTag;
        entry.FetchTag = fetch ? page : entry.FetchTag;
    }

    /// <summary>Drops what translates an address and is, or is not, global as asked.</summary>
    public void DropPage(ulong linear, bool globals, bool others)
    {
        ulong page = linear & ~PageSize.Mask4K;
        for (int context = 0; context < Contexts; context++)
        {
            int index = IndexOf((TlbContext)context, page);
            ref TlbOrigin origin = ref origins[index];
            if (origin.IsValid && origin.Linear == page && (origin.IsGlobal ? globals : others))
            {
                Drop(index);
            }
        }

        if (!largePages.MayHold(linear))
        {
            return;
        }

        for (int word = 0; word < Words; word++)
        {
            ulong asked = (globals ? global[word] : 0) | (others ? ~global[word] : 0);
            for (ulong bits = large[word] & asked; bits != 0; bits &= bits - 1)
            {
                int index = (word * WordBits) + BitOperations.TrailingZeroCount(bits);
                if ((origins[index].Linear ^ linear) >> origins[index].Shift == 0)
                {
                    Drop(index);
                }
            }
        }
    }

    /// <summary>Drops what is not global.</summary>
    public void DropNonGlobal()
    {
        for (int word = 0; word < Words; word++)
        {
            Drop(word, occupied[word] & ~global[word]);
        }
    }

    /// <summary>Drops everything.</summary>
    public void DropAll()
    {
        for (int word = 0; word < Words; word++)
        {
            Drop(word, occupied[word]);
        }

        SawGlobal = false;
        keysSeen = 0;
    }

    /// <summary>Drops pages by their protection keys: bit k for user pages with key k, bit 16 + k for supervisor pages.</summary>
    public void DropKeys(uint keys)
    {
        if ((keysSeen & keys) == 0)
        {
            return;
        }

        bool zero = (keys & TlbOrigin.KeyZero) != 0;
        for (int word = 0; word < Words; word++)
        {
            for (ulong bits = zero ? occupied[word] : keyed[word]; bits != 0; bits &= bits - 1)
            {
                int index = (word * WordBits) + BitOperations.TrailingZeroCount(bits);
                if ((origins[index].KeyBit & keys) != 0)
                {
                    Drop(index);
                }
            }
        }

        keysSeen &= ~keys;
    }

    /// <summary>See <see cref="Tlb.WithholdWrites"/>.</summary>
    public void WithholdWrites(ulong frame)
    {
        for (int word = 0; word < Words; word++)
        {
            for (ulong bits = occupied[word]; bits != 0; bits &= bits - 1)
            {
                int index = (word * WordBits) + BitOperations.TrailingZeroCount(bits);
                if (origins[index].Host == frame)
                {
                    Entries[index].WriteTag = Tlb.NoTag;
                }
            }
        }
    }

    /// <summary>Adds what it holds to a list.</summary>
    public void CopyTo(List<CachedTranslation> list)
    {
        foreach (TlbOrigin origin in origins)
        {
            if (origin.IsValid)
            {
                list.Add(new CachedTranslation(new Gva(origin.Linear), PageSize.Shift4K, Pcid, origin.Rights, origin.Frame));
            }
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(Entries);
        Entries = null;
    }

    private static int IndexOf(TlbContext context, ulong page) => ((int)context << IndexBits) + (int)(Tlb.OffsetOf(page) >> EntryShift);

    private void Replace(TlbContext context, int index, in TlbOrigin filled)
    {
        if (origins[index].IsValid)
        {
            statistics.CountHostEviction(context, origins[index].Shift);
            Drop(index);
        }

        statistics.CountHostFill(context, filled.Shift);
        (int word, ulong bit) = (index / WordBits, 1UL << (index % WordBits));
        occupied[word] |= bit;
        keysSeen |= filled.KeyBit;
        keyed[word] |= (filled.KeyBit & TlbOrigin.KeyZero) == 0 ? bit : 0;
        if (filled.IsGlobal)
        {
            global[word] |= bit;
            SawGlobal = true;
        }

        if (filled.Shift > PageSize.Shift4K)
        {
            large[word] |= bit;
            largePages.Add(filled.Linear, filled.Shift);
        }
    }

    private void Drop(int word, ulong bits)
    {
        for (; bits != 0; bits &= bits - 1)
        {
            Drop((word * WordBits) + BitOperations.TrailingZeroCount(bits));
        }
    }

    private void Drop(int index)
    {
        (int word, ulong bit) = (index / WordBits, 1UL << (index % WordBits));
        if ((large[word] & bit) != 0)
        {
            largePages.Remove(origins[index].Linear, origins[index].Shift);
        }

        occupied[word] &= ~bit;
        global[word] &= ~bit;
        large[word] &= ~bit;
        keyed[word] &= ~bit;
        origins[index] = default;
        Entries[index] = Nothing;
    }
}
