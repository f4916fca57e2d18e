using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>A cached translation answers for exactly what it was filled for, until something drops it.</summary>
[TestFixture]
public sealed class TlbTests
{
    private const ulong Page = 0x7F00_1234_5000;
    private const ulong Frame = 0x1_0000_0000;
    private const ulong Stride = Tlb.EntriesPerContext * PageSize.Size4K;

    private static readonly TlbContext[] Contexts = Enum.GetValues<TlbContext>();
    private static readonly AccessKind[] Kinds = Enum.GetValues<AccessKind>();

    private Tlb tlb = null!;

    [SetUp]
    public void Make() => tlb = new Tlb();

    [TearDown]
    public void Dispose() => tlb.Dispose();

    [Test]
    public void NothingHitsAnEmptyTlb([ValueSource(nameof(Contexts))] TlbContext context, [ValueSource(nameof(Kinds))] AccessKind kind)
    {
        foreach (ulong gva in (ulong[])[0, 1, Page, ulong.MaxValue - 7, 0xFFFF_8000_0000_0000])
        {
            Assert.That(Look(context, gva, 1, kind), Is.Null);
        }
    }

    [Test]
    public void OnlyTheKindAndContextFilledHit([ValueSource(nameof(Contexts))] TlbContext context, [ValueSource(nameof(Kinds))] AccessKind kind)
    {
        Fill(context, Page, kind);
        foreach (TlbContext other in Contexts)
        {
            foreach (AccessKind asked in Kinds)
            {
                Assert.That(Look(other, Page + 0x123, 8, asked), Is.EqualTo(other == context && asked == kind ? Frame + 0x123 : null), $"{other} {asked}");
            }
        }
    }

    [TestCase(0xFFFul, 1, true)]
    [TestCase(0xFFFul, 2, false)]
    [TestCase(0xFF8ul, 8, true)]
    [TestCase(0xFF9ul, 8, false)]
    [TestCase(0xFF0ul, 16, true)]
    [TestCase(0xFF1ul, 16, false)]
    public void AnAccessAcrossTheEndNeverHits(ulong offset, int size, bool hits)
    {
        foreach (AccessKind kind in Kinds)
        {
            Fill(TlbContext.User, Page, kind);
            Fill(TlbContext.User, Page + PageSize.Size4K, kind, Frame + PageSize.Size4K);
            Assert.That(Look(TlbContext.User, Page + offset, size, kind).HasValue, Is.EqualTo(hits), $"{kind}");
        }
    }

    [Test]
    public void TheLastPageDoesNotReachTheFirst()
    {
        Fill(TlbContext.Supervisor, 0, AccessKind.Read);
        Fill(TlbContext.Supervisor, ulong.MaxValue - PageSize.Mask4K, AccessKind.Read);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Look(TlbContext.Supervisor, ulong.MaxValue - 7, 8, AccessKind.Read), Is.EqualTo(Frame + 0xFF8));
            Assert.That(Look(TlbContext.Supervisor, ulong.MaxValue - 6, 8, AccessKind.Read), Is.Null);
        }
    }

    [Test]
    public void AnotherPageInTheSamePlaceReplacesEveryKind()
    {
        Fill(TlbContext.User, Page, [.. Kinds]);
        Fill(TlbContext.User, Page + Stride, AccessKind.Write);
        foreach (AccessKind kind in Kinds)
        {
            Assert.That(Look(TlbContext.User, Page, 1, kind), Is.Null, $"{kind}");
            Assert.That(Look(TlbContext.User, Page + Stride, 1, kind).HasValue, Is.EqualTo(kind == AccessKind.Write), $"{kind}");
        }
    }

    [Test]
    public void KindsOfOneTranslationGather()
    {
        foreach (AccessKind kind in Kinds)
        {
            Fill(TlbContext.User, Page, kind);
        }

        Assert.That(Kinds.Select(kind => Look(TlbContext.User, Page, 1, kind)), Is.All.EqualTo(Frame));
    }

    /// <summary>Else an invalidation that is meant for the translation of one kind would go by that of another.</summary>
    [TestCase(Frame + 0x1000, 12, false)]
    [TestCase(Frame, 21, false)]
    [TestCase(Frame, 12, true)]
    public void ATranslationThatDiffersReplacesEveryKind(ulong frame, int shift, bool global)
    {
        Fill(TlbContext.User, Page, [.. Kinds]);
        tlb.Fill(TlbContext.User, new Gva(Page), new Hva(frame), Walk(shift, global), read: true, write: false, fetch: false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Look(TlbContext.User, Page, 1, AccessKind.Read), Is.EqualTo(frame));
            Assert.That(Look(TlbContext.User, Page, 1, AccessKind.Write), Is.Null);
            Assert.That(Look(TlbContext.User, Page, 1, AccessKind.Execute), Is.Null);
        }
    }

    [Test]
    public void InvlpgDropsEveryPieceOfThePage([Values(12, 21, 22, 30)] int shift, [Values] bool global, [ValueSource(nameof(Contexts))] TlbContext context)
    {
        ulong size = 1UL << shift;
        ulong start = Page & (0 - size);
        ulong[] inside = [start, start + size - PageSize.Size4K, Page];
        ulong[] outside = [start - PageSize.Size4K, start + size];
        foreach (ulong flushed in inside)
        {
            tlb.FlushAll();
            foreach (ulong gva in (ulong[])[.. inside, .. outside])
            {
                tlb.Fill(context, new Gva(gva), new Hva(Frame), Walk(shift, global), read: true, write: true, fetch: true);
            }

            ulong[] hit = [.. outside.Where(gva => Look(context, gva, 1, AccessKind.Read) is not null)];
            tlb.FlushPage(new Gva(flushed + 0xABC));
            foreach (AccessKind kind in Kinds)
            {
                Assert.That(inside.Select(gva => Look(context, gva, 1, kind)), Is.All.Null, $"{kind} 0x{flushed:x}");
                Assert.That(hit.Select(gva => Look(context, gva, 1, kind)), Is.All.Not.Null, $"{kind} 0x{flushed:x}");
            }
        }
    }

    [Test]
    public void InvlpgReachesEveryContext()
    {
        foreach (TlbContext context in Contexts)
        {
            Fill(context, Page, [.. Kinds]);
        }

        tlb.FlushPage(new Gva(Page));
        Assert.That(Contexts.SelectMany(context => Kinds.Select(kind => Look(context, Page, 1, kind))), Is.All.Null);
    }

    [Test]
    public void MovToCr3KeepsGlobalPagesOnly([ValueSource(nameof(Contexts))] TlbContext context)
    {
        tlb.Fill(context, new Gva(Page), new Hva(Frame), Walk(12, global: true), read: true, write: true, fetch: true);
        tlb.Fill(context, new Gva(Page + 0x1000), new Hva(Frame), Walk(12, global: false), read: true, write: true, fetch: true);
        tlb.FlushNonGlobal();
        foreach (AccessKind kind in Kinds)
        {
            Assert.That(Look(context, Page, 1, kind), Is.EqualTo(Frame), $"{kind}");
            Assert.That(Look(context, Page + 0x1000, 1, kind), Is.Null, $"{kind}");
        }

        tlb.FlushAll();
        Assert.That(Kinds.Select(kind => Look(context, Page, 1, kind)), Is.All.Null);
    }

    [Test]
    public void EveryInvalidationMovesTheEpochAndNothingElseDoes()
    {
        List<ulong> epochs = [tlb.Epoch];
        foreach (Action drop in (Action[])[() => tlb.FlushPage(new Gva(Page)), () => tlb.FlushNonGlobal(), () => tlb.FlushAll()])
        {
            drop();
            epochs.Add(tlb.Epoch);
        }

        Fill(TlbContext.User, Page, [.. Kinds]);
        tlb.WithholdWrites(new Hva(Frame));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(epochs, Is.Unique);
            Assert.That(tlb.Epoch, Is.EqualTo(epochs[^1]));
        }
    }

    [Test]
    public void WithheldWritesMissUnderEveryAddressOfTheFrame()
    {
        foreach (TlbContext context in Contexts)
        {
            Fill(context, Page, [.. Kinds]);
            Fill(context, Page + 0x1000, [.. Kinds]);
            Fill(context, Page + 0x2000, Frame + 0x1000, [.. Kinds]);
        }

        tlb.WithholdWrites(new Hva(Frame));
        foreach (TlbContext context in Contexts)
        {
            Assert.That(Look(context, Page, 1, AccessKind.Write), Is.Null);
            Assert.That(Look(context, Page + 0x1000, 1, AccessKind.Write), Is.Null);
            Assert.That(Look(context, Page + 0x2000, 1, AccessKind.Write), Is.EqualTo(Frame + 0x1000));
            Assert.That(Look(context, Page, 1, AccessKind.Read), Is.EqualTo(Frame));
            Assert.That(Look(context, Page, 1, AccessKind.Execute), Is.EqualTo(Frame));
        }
    }

    /// <summary>The model never runs out of room, so it knows every translation that may still be used.</summary>
    [Test]
    public void AHitIsAlwaysInTheModel([Range(1, 8)] int seed)
    {
        OperandSource source = new((ulong)seed);
        Dictionary<(TlbContext, ulong, AccessKind), Cached> model = [];
        int hits = 0, misses = 0;
        for (int step = 0; step < 20_000; step++)
        {
            Step(source, model);
            TlbContext context = Contexts[source.NextIndex(3)];
            AccessKind kind = Kinds[source.NextIndex(3)];
            ulong gva = RandomPage(source);
            if (Look(context, gva + 8, 8, kind) is not ulong host)
            {
                misses++;
                continue;
            }

            hits++;
            Assert.That(model.TryGetValue((context, gva, kind), out Cached cached), $"step {step}: {context} {kind} 0x{gva:x} was dropped");
            Assert.That(host, Is.EqualTo(cached.Host + 8), $"step {step}: {context} {kind} 0x{gva:x}");
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(hits, Is.GreaterThan(1000));
            Assert.That(misses, Is.GreaterThan(1000));
        }
    }

    private void Step(OperandSource source, Dictionary<(TlbContext, ulong, AccessKind), Cached> model)
    {
        ulong page = RandomPage(source);
        ulong frame = Frame + ((ulong)source.NextIndex(3) << 12);
        switch (source.NextIndex(100))
        {
            case < 80:
                TlbContext context = Contexts[source.NextIndex(3)];
                Cached cached = new(frame, source.NextIndex(4) == 0 ? 21 : 12, source.NextIndex(2) == 0);
                bool[] named = [.. Kinds.Select(_ => source.NextIndex(2) == 0)];
                tlb.Fill(context, new Gva(page + 0x10), new Hva(frame), Walk(cached.Shift, cached.Global), named[0], named[1], named[2]);
                foreach (AccessKind kind in Kinds.Where(kind => named[(int)kind]))
                {
                    model[(context, page, kind)] = cached;
                    Assert.That(Look(context, page, 8, kind), Is.EqualTo(frame), "just filled");
                }

                break;
            case < 90:
                tlb.FlushPage(new Gva(page + 0xFFF));
                Drop(model, (key, cached) => (key.Page ^ page) >> cached.Shift == 0);
                break;
            case < 94:
                tlb.FlushNonGlobal();
                Drop(model, (_, cached) => !cached.Global);
                break;
            case < 95:
                tlb.FlushAll();
                model.Clear();
                break;
            default:
                tlb.WithholdWrites(new Hva(frame));
                Drop(model, (key, cached) => key.Kind == AccessKind.Write && cached.Host == frame);
                break;
        }
    }

    private static void Drop(
        Dictionary<(TlbContext Context, ulong Page, AccessKind Kind), Cached> model, Func<(TlbContext Context, ulong Page, AccessKind Kind), Cached, bool> drops)
    {
        foreach (var entry in model.Where(entry => drops(entry.Key, entry.Value)).ToArray())
        {
            model.Remove(entry.Key);
        }
    }

    /// <summary>A few pages, some of which share a place and some a large page.</summary>
    private static ulong RandomPage(OperandSource source) =>
        (source.NextIndex(4) == 0 ? Page + Stride : Page) + ((ulong)source.NextIndex(6) * (source.NextIndex(2) == 0 ? 0x1000ul : 0x10_0000ul));

    private void Fill(TlbContext context, ulong gva, params AccessKind[] kinds) => Fill(context, gva, Frame, kinds);

    private void Fill(TlbContext context, ulong gva, AccessKind kind, ulong frame) => Fill(context, gva, frame, [kind]);

    private void Fill(TlbContext context, ulong gva, ulong frame, AccessKind[] kinds) => tlb.Fill(
        context, new Gva(gva), new Hva(frame), Walk(12, global: false), kinds.Contains(AccessKind.Read), kinds.Contains(AccessKind.Write), kinds.Contains(AccessKind.Execute));

    private static WalkResult Walk(int shift, bool global) => new() { PageShift = shift, Rights = global ? PageRights.Global : PageRights.None };

    /// <summary>The host address that an access hits, by the comparison that the fast path makes.</summary>
    private ulong? Look(TlbContext context, ulong gva, int size, AccessKind kind)
    {
        TlbEntry entry = tlb.EntryFor(context, new Gva(gva));
        ulong tag = kind switch
        {
            AccessKind.Read => entry.ReadTag,
            AccessKind.Write => entry.WriteTag,
            _ => entry.FetchTag,
        };
        return tag == ((gva + (ulong)(size - 1)) & ~PageSize.Mask4K) ? gva + (ulong)entry.Addend : null;
    }

    private readonly record struct Cached(ulong Host, int Shift, bool Global);
}
