using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>P1. Each read in the world is held against what was written; here the translations themselves are held against the host's tables.</summary>
internal sealed class NoOldPage() : Invariant(1, "no path returns a byte of the old page after invalidate_end (conversion, punch, unmap, migration)")
{
    private WorldRandom random = new(0x501d);

    public override string? AfterStep(RandomWorld world)
    {
        WorldMachine machine = world.Machines[random.Below(world.Machines.Count)];
        return Problem(world, machine, new Gfn((ulong)random.Below(machine.Frames))) ?? Cached(machine.Vm);
    }

    // What a vCPU in the guest has cached is what the second stage has, unless it is being kicked out for a flush.
    private static string? Cached(Kvm vm)
    {
        foreach (KvmVcpu vcpu in vm.Vcpus)
        {
            if (!vcpu.InGuest || vcpu.IsKicked || vcpu.Requests != VcpuRequests.None)
            {
                continue;
            }

            foreach ((Gfn gfn, Pfn frame, bool _) in vcpu.Translations)
            {
                if (!vm.StageTwo.TryFind(gfn, out _, out Pfn now) || now != frame)
                {
                    return $"vCPU {vcpu.Id} in the guest has {gfn} cached as {frame}, which the second stage has not";
                }
            }
        }

        return null;
    }

    public override string? AtRest(RandomWorld world) => world.Machines
        .SelectMany(machine => Enumerable.Range(0, machine.Frames).Select(gfn => Problem(world, machine, new Gfn((ulong)gfn)))).FirstOrDefault(problem => problem is not null);

    private static string? Problem(RandomWorld world, WorldMachine machine, Gfn gfn)
    {
        if (!machine.Vm.StageTwo.TryFind(gfn, out _, out Pfn frame))
        {
            return null;
        }

        if (machine.RegionOf(gfn, out int page) is not WorldRegion region)
        {
            return $"guest frame {gfn} has a translation and is no memory";
        }

        if (machine.Vm.Attributes.IsPrivate(gfn) || region.Backing is GuestMemfd { NoDirectMap: true })
        {
            Pfn? cached = region.File?.Cached((ulong)page);
            return cached == frame ? null : $"guest frame {gfn} shows {frame}, and page {page} of the {region} is {cached?.ToString() ?? "a hole"}";
        }

        bool mapped = HostTables.TryFrame(world.Kernel, world.Vmm, region.Page(page).Value, out Pfn host, out _, out _);
        return mapped && host == frame ? null : $"guest frame {gfn} shows {frame}, and the host has {(mapped ? host.ToString() : "nothing")} at {region} page {page}";
    }
}

/// <summary>P2.</summary>
internal sealed class NothingBecomesValid() : Invariant(2, "between start and end, no stage-2 entry or pfn cache in the range becomes valid")
{
    private readonly long[] installs = new long[2];
    private readonly HashSet<GfnToPfnCache> valid = [];

    public override string? AfterStep(RandomWorld world)
    {
        if (IsNew(world, installs, out WorldMachine machine, out _, out Pfn frame))
        {
            Gfn gfn = world.LastTask!.Gfn;
            if (IsCovered(machine.Vm, gfn))
            {
                return $"guest frame {gfn} got {frame} during an invalidation of it";
            }

            if (machine.RegionOf(gfn, out int page) is WorldRegion region && region.Backing is not GuestMemfd && IsActive(world, region.Page(page)))
            {
                return $"guest frame {gfn} got {frame} between start and end for {region} page {page}";
            }
        }

        if (world.LastTask is { Cache: GfnToPfnCache cache })
        {
            bool became = cache.IsValid ? valid.Add(cache) : valid.Remove(cache) && false;
            if (became && IsActive(world, cache.Hva))
            {
                return $"a pfn cache of {cache.Hva} became valid between start and end";
            }
        }

        return null;
    }

    private static bool IsCovered(Kvm vm, Gfn gfn) =>
        vm.InvalidationsInProgress > 0 && gfn.Value >= vm.InvalidateRange.First.Value && gfn.Value < vm.InvalidateRange.End.Value;

    private static bool IsActive(RandomWorld world, Hva hva)
    {
        foreach (NotifierRange range in world.ActiveRanges)
        {
            if (hva.Value >= range.Start.Value && hva.Value < range.End.Value)
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>P3: as often as the count has fallen, the sequence must have grown by then.</summary>
internal sealed class SequenceFirst() : Invariant(3, "seq++ is visible before in-progress--")
{
    private readonly int[] inProgress = new int[2];
    private readonly ulong[] ended = new ulong[2];

    public override string? AfterStep(RandomWorld world)
    {
        for (int i = 0; i < world.Machines.Count; i++)
        {
            Kvm vm = world.Machines[i].Vm;
            ended[i] += (ulong)Math.Max(0, inProgress[i] - vm.InvalidationsInProgress);
            inProgress[i] = vm.InvalidationsInProgress;
            if (vm.InvalidateSequence < ended[i])
            {
                return $"machine {i} has seen {ended[i]} invalidations end, and the sequence is still {vm.InvalidateSequence}";
            }
        }

        return null;
    }
}

/// <summary>P10.</summary>
internal sealed class LevelIsBounded() : Invariant(10, "stage-2 level <= min(host leaf, slot alignment, attribute uniformity, gmem order)")
{
    private readonly long[] installs = new long[2];

    public override string? AfterStep(RandomWorld world)
    {
        if (!IsNew(world, installs, out WorldMachine machine, out StageTwoEntry entry, out _) || entry.Level == 1)
        {
            return null;
        }

        ulong frames = 1UL << (9 * (entry.Level - 1));
        ulong first = world.LastTask!.Gfn.Value / frames * frames;
        bool isPrivate = machine.Vm.Attributes.IsPrivate(world.LastTask.Gfn);
        bool fromFile = isPrivate || machine.RegionOf(world.LastTask.Gfn, out _) is { Backing: GuestMemfd { NoDirectMap: true } };
        if (machine.RegionOf(new Gfn(first), out int page) is not WorldRegion region || machine.RegionOf(new Gfn(first + frames - 1), out _) != region)
        {
            return $"a translation of level {entry.Level} at guest frame {first:x} reaches beyond its slot";
        }

        for (ulong gfn = first; gfn < first + frames; gfn++)
        {
            if (machine.Vm.Attributes.IsPrivate(new Gfn(gfn)) != isPrivate)
            {
                return $"a translation of level {entry.Level} at guest frame {first:x} holds private frames and shared ones";
            }
        }

        if (fromFile)
        {
            int order = region.File?.Order ?? 0;
            return order >= 9 * (entry.Level - 1) && ((ulong)page & (frames - 1)) == 0 ? null : $"a private translation of level {entry.Level} at guest frame {first:x}, of folios of order {order}";
        }

        _ = HostTables.Leaf(world.Kernel, world.Vmm, region.Page(page).Value, out int level);
        return level >= entry.Level && (region.Page(page).Value & ((frames << 12) - 1)) == 0
            ? null : $"a translation of level {entry.Level} at guest frame {first:x}, which the host maps at level {level}";
    }
}

/// <summary>P11.</summary>
internal sealed class WritableIsAllowed() : Invariant(11, "stage-2 writable means the host entry was writable at install and the slot not read-only")
{
    private readonly long[] installs = new long[2];

    public override string? AfterStep(RandomWorld world)
    {
        if (!IsNew(world, installs, out WorldMachine machine, out StageTwoEntry entry, out Pfn frame) || !entry.Writable)
        {
            return null;
        }

        Gfn gfn = world.LastTask!.Gfn;
        if (machine.Vm.Slots.TryFind(gfn.Address, out Memslot? slot) && !slot.IsWritable)
        {
            return $"guest frame {gfn} is writable, and its slot read-only";
        }

        if (machine.RegionOf(gfn, out int page) is not WorldRegion region || machine.Vm.Attributes.IsPrivate(gfn) || region.Backing is GuestMemfd { NoDirectMap: true })
        {
            return null;
        }

        bool mapped = HostTables.TryFrame(world.Kernel, world.Vmm, region.Page(page).Value, out _, out _, out bool writable);
        return mapped && writable ? null : $"guest frame {gfn} shows {frame} writable, and the host's entry of {region} page {page} is {(mapped ? "read-only" : "absent")}";
    }
}

/// <summary>P16.</summary>
internal sealed class CacheIsCurrent() : Invariant(16, "a pfn cache's check is true only when generation, hva and frame are all current")
{
    private int next;

    public override string? AfterStep(RandomWorld world)
    {
        next++;
        WorldMachine machine = world.Machines[next % world.Machines.Count];
        GfnToPfnCache cache = machine.Caches[next / world.Machines.Count % machine.Caches.Count];
        return Problem(world, machine, cache);
    }

    public override string? AtRest(RandomWorld world) => world.Machines
        .SelectMany(machine => machine.Caches.Select(cache => Problem(world, machine, cache))).FirstOrDefault(problem => problem is not null);

    private static string? Problem(RandomWorld world, WorldMachine machine, GfnToPfnCache cache)
    {
        if (!cache.Lock.IsFree(shared: false) || !cache.Check(8) || world.RegionAt(cache.Hva.Value, out int page) is not WorldRegion region)
        {
            return null;
        }

        bool mapped = HostTables.TryFrame(world.Kernel, world.Vmm, cache.Hva.Value, out Pfn frame, out _, out bool writable);
        bool byPage = region.File is GuestMemfd file && file.Cached((ulong)page) == cache.Frame;
        return (mapped && frame == cache.Frame && writable) || byPage
            ? null : $"a pfn cache says that {cache.Hva} is frame {cache.Frame}, and the host has {(mapped ? $"{frame}{(writable ? "" : " read-only")}" : "nothing")} there";
    }
}
