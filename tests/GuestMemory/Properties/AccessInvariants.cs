using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>P13; the world reads by way of a small window, and a slot that is used again too early shows another page's word.</summary>
internal sealed class WindowIsFlushed() : Invariant(13, "a window slot is reused only after a flush that follows its last put");

/// <summary>P17.</summary>
internal sealed class NoSlotNoEntry() : Invariant(17, "deleting a slot waits for active users; an INVALID slot -> retry")
{
    private WorldRandom random = new(0x1707);

    public override string? AfterStep(RandomWorld world)
    {
        WorldMachine machine = world.Machines[random.Below(world.Machines.Count)];
        WorldRegion region = world.Regions[random.Below(world.Regions.Count)];
        return world.IsChanging(machine, region) ? null : Problem(machine, region, random.Below(region.Pages));
    }

    public override string? AtRest(RandomWorld world) => world.Machines
        .SelectMany(machine => world.Regions.SelectMany(region => Enumerable.Range(0, region.Pages).Select(page => Problem(machine, region, page))))
        .FirstOrDefault(problem => problem is not null);

    private static string? Problem(WorldMachine machine, WorldRegion region, int page)
    {
        if (!machine.SlotIds.TryGetValue(region, out int id) || id >= 0)
        {
            return null;
        }

        Gfn gfn = new(machine.FirstOf(region).Value + (ulong)page);
        return machine.Vm.StageTwo.TryFind(gfn, out _, out Pfn frame) ? $"guest frame {gfn} shows {frame}, and its slot was deleted" : null;
    }
}

/// <summary>P18; each read by a path in the world is held against what was written, and at rest all paths against each other.</summary>
internal sealed class PathsAgree() : Invariant(18, "the four access paths agree on bytes and errors for one state, but for the documented differences of policy")
{
    private const int TriesAtRest = 10;
    private WorldRandom random = new(0x18);

    public override string? AtRest(RandomWorld world) =>
        Enumerable.Range(0, TriesAtRest).Select(_ => Problem(world, world.Regions[random.Below(world.Regions.Count)])).FirstOrDefault(problem => problem is not null);

    private string? Problem(RandomWorld world, WorldRegion region)
    {
        int page = random.Below(region.Pages);
        WorldMachine machine = world.Machines[0];
        if (machine.SlotIds[region] < 0)
        {
            return null;
        }

        world.Kernel.Allocator.FailAfter = null;
        Gfn gfn = new(machine.FirstOf(region).Value + (ulong)page);
        ulong? word = null;
        GuestAccessStatus? status = null;
        foreach (GuestAccessPath path in world.Paths)
        {
            // Memory that GUP refuses, and private memory, are where policies differ: there, what succeeds has the same bytes.
            bool alike = region.Backing is null or MemoryFile { NoDirectMap: false } && !machine.Vm.Attributes.IsPrivate(gfn) && region.Backing is not GuestMemfd;
            GuestAccessStatus ended = path.ReadUInt64(gfn.Address, out ulong read);
            if (alike && status is not null && ended != status)
            {
                return $"{path.Name} ends with {ended} at {region} page {page}, and a path before it with {status}";
            }

            status = ended;
            if (ended == GuestAccessStatus.Success && word is not null && word != read)
            {
                return $"{path.Name} reads {read:x} at {region} page {page}, and a path before it {word:x}";
            }

            word = ended == GuestAccessStatus.Success ? read : word;
        }

        return null;
    }
}
