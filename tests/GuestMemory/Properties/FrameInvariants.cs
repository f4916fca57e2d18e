using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>P4.</summary>
internal sealed class CountsAddUp() : Invariant(4, "after any quiescent history, refcount == baseline and pincount == 0")
{
    public override string? AfterStep(RandomWorld world) =>
        world.Kernel.Log.Events.FirstOrDefault(found => found.Kind is KernelEventKind.DoubleFree or KernelEventKind.FreedInUse or KernelEventKind.RefCountUnderflow) is { Text: not null } found
            ? found.ToString() : null;

    public override string? AtRest(RandomWorld world) => FrameCensus.Problem(world);
}

/// <summary>P5.</summary>
internal sealed class NeverCounted() : Invariant(5, "a non-refcounted page never sees get, put, pin or set-dirty")
{
    private int next;

    public override string? AfterStep(RandomWorld world)
    {
        Pfn frame = world.DriverFrames[next++ % world.DriverFrames.Count];
        PageFrame now = world.Kernel.Frames[frame];
        return now is { PinCount: 0, MapCount: 0, Flags: FrameFlags.Driver } && now.RefCount == (frame == world.DriverFrames[0] ? 1 : 0)
            ? null : $"a driver's frame {frame} has refcount {now.RefCount}, mapcount {now.MapCount}, pincount {now.PinCount} and {now.Flags}";
    }

    public override string? AtRest(RandomWorld world)
    {
        for (ulong pfn = 0; pfn < world.Kernel.Options.ReservedFrames; pfn++)
        {
            if (world.Kernel.Frames[new Pfn(pfn)] is not { RefCount: 1, PinCount: 0, MapCount: 0, Flags: FrameFlags.Reserved })
            {
                return $"reserved frame {pfn:x} was counted";
            }
        }

        return world.Kernel.Log.Has(KernelEventKind.FreedForeignFrame) ? "a driver's frame was freed by somebody else" : null;
    }
}

/// <summary>P6; a migration that succeeds is held against the pins by the world.</summary>
internal sealed class PinnedStays() : Invariant(6, "pinned means never migrated, converted or freed")
{
    private int next;

    public override string? AfterStep(RandomWorld world)
    {
        if (world.Held.Count == 0 || world.Held[next++ % world.Held.Count] is not { Pin: true } hold)
        {
            return null;
        }

        PageFrame folio = world.Kernel.Frames.FolioOf(hold.Frame);
        return folio.PinCount > 0 && folio.RefCount >= folio.PinCount && folio.Mapping == hold.Mapping && folio.Index == hold.Index && !folio.Has(FrameFlags.Private)
            ? null : $"frame {hold.Frame}, pinned as page {hold.Index:x} of {hold.Mapping}, is page {folio.Index:x} of {folio.Mapping} with pincount {folio.PinCount}, refcount {folio.RefCount} and {folio.Flags}";
    }
}

/// <summary>P7.</summary>
internal sealed class PrivateIsAlone() : Invariant(7, "private means mapcount = pincount = 0, no host entry, no bounce")
{
    private int next;

    public override string? AfterStep(RandomWorld world) => Problem(world, next++);

    public override string? AtRest(RandomWorld world) =>
        Enumerable.Range(0, 32).Select(at => Problem(world, at)).FirstOrDefault(problem => problem is not null);

    private static string? Problem(RandomWorld world, int at)
    {
        foreach (MemoryFile each in world.Files)
        {
            if (each is not GuestMemfd file)
            {
                continue;
            }

            if (at >= (int)file.Size)
            {
                at -= (int)file.Size;
                continue;
            }

            if (!file.IsPrivate((ulong)at) || file.Cached((ulong)at) is not Pfn frame)
            {
                return null;
            }

            PageFrame folio = world.Kernel.Frames.FolioOf(frame);
            bool shown = world.Regions.First(region => region.Backing == file) is var region
                && HostTables.TryFrame(world.Kernel, world.Vmm, region.Page(at).Value, out Pfn host, out _, out _) && host == frame;
            return folio.MapCount == 0 && folio.PinCount == 0 && !shown && folio.Has(FrameFlags.Private)
                ? null : $"private page {at} of the {file.Name} has mapcount {folio.MapCount}, pincount {folio.PinCount}, {folio.Flags}{(shown ? " and a host entry" : "")}";
        }

        return null;
    }
}

/// <summary>P9.</summary>
internal sealed class FastAsSlow() : Invariant(9, "GUP-fast succeeds only where slow GUP would")
{
    private WorldRandom random = new(0x9a57);

    public override string? AfterStep(RandomWorld world)
    {
        AddressSpace process = world.Children.Count > 0 && random.OneIn(4) ? world.Children[0] : world.Vmm;
        WorldRegion region = world.Regions[random.Below(world.Regions.Count)];
        Hva hva = region.Page(random.Below(region.Pages));
        bool write = random.OneIn(2);
        if (!HostTables.TryFrame(world.Kernel, process, hva.Value, out _, out _, out bool writable))
        {
            return null;
        }

        GupOperation fast = new(process, hva, 1, FollFlags.Get | FollFlags.FastOnly | (write ? FollFlags.Write : 0));
        if (fast.Run().Pages == 0)
        {
            return null;
        }

        world.Kernel.Folios.Put(fast.Frames[0]);
        VirtualMemoryArea? area = process.Areas.FirstOrDefault(area => area.Contains(hva));
        VmFlags needed = write ? VmFlags.Write : VmFlags.Read;
        bool slow = area is not null && (area.Flags & (VmFlags.Io | VmFlags.PfnMap | VmFlags.NoGup)) == 0 && (area.Flags & needed) != 0
            && area.Backing is not { NoDirectMap: true } && (writable || !write);
        return slow ? null : $"GUP-fast takes {hva} of {process} for {(write ? "writing" : "reading")}, which slow GUP refuses in {area?.ToString() ?? "no range"}";
    }
}

/// <summary>P12; the world holds each outcome against the list when it comes.</summary>
internal sealed class ListedOutcomes() : Invariant(12, "every error is a listed code, and a failure leaves every counter unchanged")
{
    private static readonly WorldOp[] Tried =
        [WorldOp.HostFault, WorldOp.GuestFault, WorldOp.Gup, WorldOp.Fork, WorldOp.Migrate, WorldOp.CacheActivate, WorldOp.CacheRefresh];

    private const int TriesAtRest = 20;
    private WorldRandom random = new(0x12);

    public override string? AtRest(RandomWorld world) => Enumerable.Range(0, TriesAtRest)
        .Select(_ => Problem(world, Tried[random.Below(Tried.Length)], random.Below(3))).FirstOrDefault(problem => problem is not null);

    /// <summary>Does something while allocations fail; says what changed although it failed, or null.</summary>
    public static string? Problem(RandomWorld world, WorldOp op, int failAfter)
    {
        HostKernel kernel = world.Kernel;
        PageFrame[] before = [.. Enumerable.Range(0, (int)kernel.Frames.Count).Select(pfn => kernel.Frames[new Pfn((ulong)pfn)])];
        if (world.Solo(op, failAfter) is not { Failed: Func<bool> failed } task || !failed())
        {
            return null;
        }

        for (int pfn = 0; pfn < before.Length; pfn++)
        {
            PageFrame was = before[pfn];
            PageFrame now = kernel.Frames[new Pfn((ulong)pfn)];

            // Tables above the missing one, and pages of files, are no failure's to take back.
            bool kept = was.RefCount == 0 && (now.Flags & (FrameFlags.Kernel | FrameFlags.PageCache)) != 0;

            // Nor is a large page whole again that was split on the way.
            bool split = was.Order > 0 && now.RefCount - was.RefCount == 511 && now.MapCount - was.MapCount == 511;

            // Nor does a page go to swap again that was read from there.
            bool read = now.Has(FrameFlags.Anon) && (was.RefCount == 0 || was.Has(FrameFlags.SwapCache)) && now.MapCount >= was.MapCount
                && now.PinCount == was.PinCount && Others(now) == Others(was);
            if (!kept && !split && !read && (was.RefCount, was.MapCount, was.PinCount) != (now.RefCount, now.MapCount, now.PinCount))
            {
                return $"{task.Operation.Name} failed after {failAfter} allocations, and frame {pfn:x} has refcount {now.RefCount}, mapcount {now.MapCount} and pincount {now.PinCount} after {was.RefCount}, {was.MapCount} and {was.PinCount}";
            }
        }

        return null;
    }

    // References that are not those of entries or of the swap cache.
    private static int Others(PageFrame frame) => frame.RefCount - frame.MapCount - (frame.Has(FrameFlags.SwapCache) ? 1 : 0);
}
