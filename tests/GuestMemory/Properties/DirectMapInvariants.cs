using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>P8.</summary>
internal sealed class OutOfTheDirectMap() : Invariant(8, "not in the direct map exactly when its folio is in a NoDirectMap mapping; at free, present again, and cleared before its next owner")
{
    private ulong next;

    public override string? AfterStep(RandomWorld world)
    {
        if (world.Kernel.Log.Has(KernelEventKind.Oops))
        {
            return world.Kernel.Log.Events.First(found => found.Kind == KernelEventKind.Oops).ToString();
        }

        return Problem(world, new Pfn(next++ % world.Kernel.Frames.Count));
    }

    public override string? AtRest(RandomWorld world)
    {
        for (ulong pfn = 0; pfn < world.Kernel.Frames.Count; pfn++)
        {
            if (Problem(world, new Pfn(pfn)) is string problem)
            {
                return problem;
            }
        }

        return null;
    }

    private static string? Problem(RandomWorld world, Pfn frame)
    {
        PageFrame folio = world.Kernel.Frames.FolioOf(frame);
        bool hidden = false;
        foreach (MemoryFile file in world.Files)
        {
            hidden |= file.NoDirectMap && folio.RefCount > 0 && folio.Mapping == file.Id;
        }

        return world.Kernel.DirectMap.IsAbsent(frame) == hidden ? null
            : $"frame {frame} of mapping {folio.Mapping} with refcount {folio.RefCount} is {(hidden ? "" : "not ")}to be kept out of the direct map, and is {(hidden ? "in it" : "out")}";
    }
}

/// <summary>P14.</summary>
internal sealed class FlushedWhenRemoved() : Invariant(14, "every modelled TLB is flushed before \"removed\" is reported; a no-flush mode reports its residual exposure")
{
    private ulong next;

    public override string? AfterStep(RandomWorld world)
    {
        Pfn frame = new(next++ % world.Kernel.Frames.Count);
        DirectMap map = world.Kernel.DirectMap;
        if (!map.IsAbsent(frame) || map.UseDepth(frame) > 0)
        {
            return null;
        }

        for (int processor = 0; processor < world.Kernel.Options.Processors; processor++)
        {
            if (map.TryAccess(frame, processor))
            {
                return $"processor {processor} reaches frame {frame}, which was removed from the direct map";
            }
        }

        return null;
    }
}

/// <summary>P15.</summary>
internal sealed class DepthIsExposure() : Invariant(15, "restore depth >= 0; exposed pages = those with depth > 0")
{
    private const int StepsOfACount = 64;

    public override string? AfterStep(RandomWorld world)
    {
        // Paths use frames beside those that the world uses: their depth is at least the world's own.
        DirectMap map = world.Kernel.DirectMap;
        foreach (Pfn frame in world.DirectUses)
        {
            int depth = 0;
            foreach (Pfn other in world.DirectUses)
            {
                depth += other == frame ? 1 : 0;
            }

            if (map.UseDepth(frame) < depth || !map.Shows(frame))
            {
                return $"frame {frame} is used {depth} times by way of the direct map, which counts {map.UseDepth(frame)} and {(map.Shows(frame) ? "shows" : "hides")} it";
            }
        }

        return world.Steps % StepsOfACount == 0 ? Exposed(world) : null;
    }

    public override string? AtRest(RandomWorld world)
    {
        int own = world.DirectUses.Distinct().Count();
        return world.Kernel.DirectMap.ExposedFrames == own ? Exposed(world) : $"{own} frames are in use, and the direct map counts {world.Kernel.DirectMap.ExposedFrames}";
    }

    private static string? Exposed(RandomWorld world)
    {
        DirectMap map = world.Kernel.DirectMap;
        int deep = 0;
        for (ulong pfn = 0; pfn < world.Kernel.Frames.Count; pfn++)
        {
            int depth = map.UseDepth(new Pfn(pfn));
            if (depth < 0)
            {
                return $"frame {pfn:x} is used {depth} times";
            }

            deep += depth > 0 ? 1 : 0;
        }

        return deep == map.ExposedFrames ? null : $"{deep} frames have a use, and the direct map counts {map.ExposedFrames}";
    }
}
