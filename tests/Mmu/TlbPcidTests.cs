using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Host addresses of many PCIDs, against a model that has room for all: SDM Vol. 3A, 5.10.4.1.</summary>
[TestFixture]
public sealed class TlbPcidTests
{
    private const ulong Base = 0x7F00_0000_0000;
    private const ulong Frame = 0x1_0000_0000;
    private const int Pcids = Tlb.MostSlots + 4;

    private static readonly TlbContext[] Contexts = Enum.GetValues<TlbContext>();
    private static readonly AccessKind[] Kinds = Enum.GetValues<AccessKind>();

    private readonly Dictionary<Key, Cached> model = [];
    private readonly Dictionary<ulong, (ushort Pcid, HashSet<Key> Code)> confirmed = [];
    private Tlb tlb = null!;

    [SetUp]
    public void Make()
    {
        tlb = new Tlb();
        model.Clear();
        confirmed.Clear();
    }

    [TearDown]
    public void Dispose() => tlb.Dispose();

    [Test]
    public void WhatAHitFindsNothingHasDropped([Range(1, 8)] int seed)
    {
        OperandSource source = new((ulong)seed);
        int hits = 0, misses = 0, seenAgain = 0;
        for (int step = 0; step < 30_000; step++)
        {
            Step(source);
            seenAgain += CheckEpoch(step) ? 1 : 0;
            Key key = new(tlb.Pcid, Contexts[source.NextIndex(3)], RandomPage(source), Kinds[source.NextIndex(3)]);
            if (Look(key) is not ulong host)
            {
                misses++;
                continue;
            }

            hits++;
            if (key.Kind == AccessKind.Execute)
            {
                confirmed[tlb.Epoch].Code.Add(key);
            }

            Assert.That(model.TryGetValue(key, out Cached cached), $"step {step}: {key} was dropped");
            Assert.That(host, Is.EqualTo(cached.Host), $"step {step}: {key}");
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(hits, Is.GreaterThan(500));
            Assert.That(misses, Is.GreaterThan(1000));
            Assert.That(seenAgain, Is.GreaterThan(1000));
        }
    }

    [Test]
    public void APcidFindsItsEntriesAndItsEpochAgain([Values(1, 4, Tlb.MostSlots - 1)] int others)
    {
        tlb.Select(7);
        Fill(new Key(7, TlbContext.User, Base, AccessKind.Read), new Cached(Frame, 12, false, 0, true));
        ulong epoch = tlb.Epoch;
        for (int other = 0; other < others; other++)
        {
            tlb.Keep((ushort)(100 + other));
            Assert.That(Look(new Key(0, TlbContext.User, Base, AccessKind.Read)), Is.Null);
            Assert.That(tlb.Epoch, Is.Not.EqualTo(epoch));
        }

        tlb.Keep(7);
        Assert.That((tlb.Epoch, Look(new Key(7, TlbContext.User, Base, AccessKind.Read))), Is.EqualTo((epoch, Frame)));
    }

    [Test]
    public void KeysOfOtherPagesStay()
    {
        for (int key = 0; key < 16; key++)
        {
            Fill(PageOf(key), new Cached(Frame, 12, false, key, User: true));
        }

        ulong epoch = tlb.Epoch;
        tlb.KeysChanged((1u << 3) | (1u << 9) | (1u << (16 + 5)));
        for (int key = 0; key < 16; key++)
        {
            Assert.That(Look(PageOf(key)).HasValue, Is.EqualTo(key is not (3 or 9)), $"key {key}");
        }

        Assert.That(tlb.Epoch, Is.EqualTo(epoch), "fetches go by no key");

        static Key PageOf(int key) => new(0, TlbContext.User, Base + ((ulong)key << 12), AccessKind.Write);
    }

    /// <summary>With metadata in the pointer, hits are for the pointer and invalidations for the address.</summary>
    [Test]
    public void APointerWithMetadataGoesWithItsAddress()
    {
        const ulong Metadata = 0x2AUL << 57;
        WalkResult walk = new() { PageShift = 12 };
        tlb.Fill(TlbContext.User, new Gva(Base | Metadata), new Gva(Base), new Hva(Frame), walk, read: true, write: true, fetch: false);
        Key tagged = new(0, TlbContext.User, Base | Metadata, AccessKind.Read);
        Assert.That((Look(tagged), Look(tagged with { Page = Base })), Is.EqualTo(((ulong?)Frame, (ulong?)null)));
        tlb.FlushPage(new Gva(Base));
        Assert.That(Look(tagged), Is.Null);
    }

    private void Step(OperandSource source)
    {
        ushort pcid = (ushort)source.NextIndex(Pcids);
        ulong page = RandomPage(source);
        switch (source.NextIndex(200))
        {
            case < 140:
                Key key = new(tlb.Pcid, Contexts[source.NextIndex(3)], page, Kinds[source.NextIndex(3)]);
                bool user = source.NextIndex(2) == 0;
                Fill(key, new Cached(Frame + ((ulong)source.NextIndex(3) << 12), source.NextIndex(4) == 0 ? 21 : 12, source.NextIndex(4) == 0, source.NextIndex(3), user));
                break;
            case < 180:
                tlb.Keep(pcid);
                break;
            case < 184:
                tlb.FlushPage(new Gva(page + 0x123));
                Drop((key, cached) => Translates(key, cached, page) && (cached.Global || key.Pcid == tlb.Pcid));
                break;
            case < 188:
                tlb.FlushPage(pcid, new Gva(page + 0x123));
                Drop((key, cached) => Translates(key, cached, page) && !cached.Global && key.Pcid == pcid);
                break;
            case < 191:
                tlb.FlushPcid(pcid, TlbFlushCause.InvpcidContext);
                Drop((key, cached) => !cached.Global && key.Pcid == pcid);
                break;
            case 191:
                tlb.FlushNonGlobal();
                Drop((_, cached) => !cached.Global);
                break;
            case 192:
                tlb.FlushAll();
                Drop((_, _) => true);
                break;
            case 193:
                tlb.RightsChanged(TlbFlushCause.Cr0);
                Drop((_, _) => true);
                break;
            case 194:
                tlb.FlushCurrent(TlbFlushCause.Cr4);
                Drop((_, _) => true);
                break;
            default:
                uint keys = (uint)source.NextIndex(8) | ((uint)source.NextIndex(8) << 16);
                tlb.KeysChanged(keys);
                Drop((key, cached) => key.Kind != AccessKind.Execute && (keys & (1u << (cached.Key + (cached.User ? 0 : 16)))) != 0);
                break;
        }
    }

    /// <summary>Code that was found at an epoch must still be in the model when the epoch is back.</summary>
    private bool CheckEpoch(int step)
    {
        bool known = confirmed.TryGetValue(tlb.Epoch, out (ushort Pcid, HashSet<Key> Code) before);
        if (known)
        {
            Assert.That(before.Pcid, Is.EqualTo(tlb.Pcid), $"step {step}");
            Assert.That(before.Code.All(model.ContainsKey), $"step {step}: code was dropped, and the epoch stayed");
        }
        else
        {
            confirmed[tlb.Epoch] = (tlb.Pcid, []);
        }

        return known;
    }

    private void Drop(Func<Key, Cached, bool> drops)
    {
        foreach (KeyValuePair<Key, Cached> entry in model.Where(entry => drops(entry.Key, entry.Value)).ToArray())
        {
            model.Remove(entry.Key);
        }
    }

    private void Fill(Key key, Cached cached)
    {
        PageRights rights = (cached.Global ? PageRights.Global : 0) | (cached.User ? PageRights.User : 0);
        WalkResult walk = new() { PageShift = cached.Shift, Rights = rights, Entry = new PageTableEntry((ulong)cached.Key << 59) };
        tlb.Fill(
            key.Context, new Gva(key.Page), new Hva(cached.Host), walk, key.Kind == AccessKind.Read, key.Kind == AccessKind.Write, key.Kind == AccessKind.Execute);
        model[key] = cached;
    }

    private ulong? Look(Key key)
    {
        TlbEntry entry = tlb.EntryFor(key.Context, new Gva(key.Page));
        ulong tag = key.Kind == AccessKind.Read ? entry.ReadTag : key.Kind == AccessKind.Write ? entry.WriteTag : entry.FetchTag;
        return tag == key.Page ? key.Page + (ulong)entry.Addend : null;
    }

    private static bool Translates(Key key, Cached cached, ulong page) => (key.Page ^ page) >> cached.Shift == 0;

    private static ulong RandomPage(OperandSource source) =>
        Base + ((ulong)source.NextIndex(2) << 22) + ((ulong)source.NextIndex(4) << (source.NextIndex(2) == 0 ? 12 : 20));

    private readonly record struct Key(ushort Pcid, TlbContext Context, ulong Page, AccessKind Kind);

    private readonly record struct Cached(ulong Host, int Shift, bool Global, int Key, bool User);
}
