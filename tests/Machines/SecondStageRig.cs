using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>A machine's second stage over memslots whose memory need not exist, and the caches of some processors.</summary>
internal sealed unsafe class SecondStageRig : IDisposable
{
    private static readonly PageRights AnyPage = PageRights.User | PageRights.Write;

    public SecondStageRig(byte addressBits = 46, int processors = 2, int tableFrames = 1 << 12)
    {
        Stage = new MachineSecondStage(Slots, addressBits, null, tableFrames);
        Caches = [.. Enumerable.Range(0, processors).Select(_ => new GuestPhysicalCache(Stage))];
    }

    public Memslots Slots { get; } = new();

    public MachineSecondStage Stage { get; }

    public GuestPhysicalCache[] Caches { get; }

    public static SecondStageAccess Access(AccessKind kind) => SecondStageAccess.Final(new WalkAccess(kind, User: true), AnyPage);

    /// <summary>Where a processor finds an address, and whether it may write; null where the access leaves the guest.</summary>
    public (ulong Host, bool Writable)? Ask(int processor, ulong gpa, AccessKind kind) =>
        Caches[processor].TryTranslate(new Gpa(gpa), Access(kind), out byte* host, out bool writable) ? ((ulong)host, writable) : null;

    /// <summary>The same by the memslots alone.</summary>
    public (ulong Host, bool Writable)? Expect(ulong gpa, AccessKind kind) =>
        Slots.TryTranslate(new Gpa(gpa), out Hva hva, out bool writable) && (writable || kind != AccessKind.Write) ? (hva.Value, writable) : null;

    /// <summary>The pages that the tables map, found by reading them.</summary>
    public List<(ulong Gpa, ulong Size, EptEntry Entry)> Pages()
    {
        List<(ulong, ulong, EptEntry)> pages = [];
        Collect(Stage.Eptp.Root, Stage.Eptp.Levels, 0, pages);
        return pages;
    }

    public void Dispose()
    {
        foreach (GuestPhysicalCache cache in Caches)
        {
            cache.Dispose();
        }

        Stage.Dispose();
    }

    private void Collect(Hpa table, int level, ulong from, List<(ulong Gpa, ulong Size, EptEntry Entry)> pages)
    {
        ulong size = 1UL << (12 + (9 * (level - 1)));
        for (ulong i = 0; i < 512; i++)
        {
            if (!Stage.Frames.TryRead(table + (i * 8), out ulong raw))
            {
                throw new InvalidOperationException($"no memory at {table}");
            }

            if ((raw & 7) == 0)
            {
                continue;
            }

            if (level == 1 || (raw & EptEntry.PSBit) != 0)
            {
                pages.Add((from + (i * size), size, new EptEntry(raw)));
            }
            else
            {
                Collect(new Hpa(raw & EptEntry.AddressMask), level - 1, from + (i * size), pages);
            }
        }
    }
}
