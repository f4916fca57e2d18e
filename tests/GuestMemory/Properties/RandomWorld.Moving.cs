using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <content>What the host does with pages on its own account: to swap and back, to the disk, away from frames that go, apart and together.</content>
internal sealed partial class RandomWorld
{
    private const int MostShrunk = 4;
    private const int MostOffline = 16;
    private const int MostWornFrames = 4;

    private readonly Queue<(Pfn First, ulong Count)> offline = new();
    private int wornFrames;

    // Mostly a page that somebody maps; now and then any frame.
    private Pfn AnyFrame()
    {
        Pfn frame = new((ulong)random.Below((int)Kernel.Frames.Count));
        WorldRegion region = AnyRegion();
        return !random.OneIn(4) && HostTables.TryFrame(Kernel, AnyProcess(), region.Page(random.Below(region.Pages)).Value, out Pfn mapped, out _, out _) && Kernel.Frames.IsValid(mapped)
            ? mapped : frame;
    }

    private WorldTask Reclaim()
    {
        Pfn frame = AnyFrame();
        ReclaimOperation operation = new(Kernel, frame);
        return new WorldTask
        {
            Kind = WorldOp.Reclaim,
            Operation = operation,
            Ended = _ =>
            {
                Expect(operation.Result is Errno.None or Errno.EAGAIN or Errno.ENOMEM or Errno.EINVAL, $"reclaim ends with {operation.Result}");
                Stayed(operation.Result, frame, "went to swap");
            },
        };
    }

    private WorldTask Shrink() => new() { Kind = WorldOp.Shrink, Operation = new ShrinkOperation(Kernel, 1 + random.Below(MostShrunk)) };

    private WorldTask Writeback()
    {
        DiskFile[] files = [.. Files.OfType<DiskFile>()];
        DiskFile file = files[random.Below(files.Length)];
        return new WorldTask { Kind = WorldOp.Writeback, Operation = file.Writeback((ulong)random.Below((int)file.Size)) };
    }

    private WorldTask NumaHint()
    {
        AddressSpace process = AnyProcess();
        WorldRegion region = AnyRegion(out int first, out int count);
        return new WorldTask { Kind = WorldOp.NumaHint, Operation = process.HintNuma(region.Page(first), (ulong)count), Process = process };
    }

    private WorldTask Offline()
    {
        if (offline.Count > 1 || (offline.Count > 0 && random.OneIn(2)))
        {
            (Pfn back, ulong frames) = offline.Dequeue();
            return new WorldTask { Kind = WorldOp.Offline, Operation = OfflineOperation.Online(Kernel, back, frames) };
        }

        Pfn first = new((ulong)random.Below((int)Kernel.Frames.Count));
        ulong count = 1 + (ulong)random.Below(MostOffline);
        OfflineOperation operation = new(Kernel, first, count);
        return new WorldTask
        {
            Kind = WorldOp.Offline,
            Operation = operation,
            Ended = _ =>
            {
                Expect(operation.Result is Errno.None or Errno.EBUSY or Errno.EINVAL, $"taking a range offline ends with {operation.Result}");
                if (operation.Result == Errno.None)
                {
                    offline.Enqueue((first, count));
                    Stayed(Errno.None, first, "was taken offline", count);
                }
            },
        };
    }

    // Frames that wear out do not come back: a world has few of them.
    private WorldTask? SoftOffline()
    {
        if (wornFrames == MostWornFrames)
        {
            return null;
        }

        wornFrames++;
        Pfn frame = AnyFrame();
        SoftOfflineOperation operation = new(Kernel, frame);
        return new WorldTask
        {
            Kind = WorldOp.SoftOffline,
            Operation = operation,
            Ended = _ =>
            {
                Expect(operation.Result is Errno.None or Errno.EBUSY, $"soft offline ends with {operation.Result}");
                Stayed(operation.Result, frame, "was taken out of use");
            },
        };
    }

    private WorldTask? Collapse()
    {
        AddressSpace process = AnyProcess();
        WorldRegion[] large = [.. Regions.Where(region => region.IsAnonymous && region.Pages > MostSmallPages)];
        if (large.Length == 0)
        {
            return null;
        }

        CollapseOperation operation = new(process, large[0].Page(random.Below(large[0].Pages)));
        return new WorldTask
        {
            Kind = WorldOp.Collapse,
            Operation = operation,
            Process = process,
            Ended = _ => Expect(operation.Result is Errno.None or Errno.EINVAL or Errno.EAGAIN or Errno.ENOMEM, $"putting pages together ends with {operation.Result}"),
        };
    }

    private WorldTask? Split()
    {
        Pfn head = Kernel.Frames.HeadOf(AnyFrame());
        ulong count = 1UL << Kernel.Frames[head].Order;
        if (count == 1)
        {
            return null;
        }

        SplitFolioOperation operation = new(Kernel, head);
        return new WorldTask
        {
            Kind = WorldOp.Split,
            Operation = operation,
            Ended = _ =>
            {
                Expect(operation.Result is Errno.None or Errno.EINVAL or Errno.EAGAIN, $"taking a large page apart ends with {operation.Result}");
                Stayed(operation.Result, head, "was taken apart", count);
            },
        };
    }

    // Whoever has pinned a page finds it where it was.
    private void Stayed(Errno result, Pfn first, string what, ulong count = 1)
    {
        if (result == Errno.None && Held.Exists(hold => hold.Pin && hold.Frame.Value - first.Value < count))
        {
            Report(6, $"frame {first} {what} while somebody has pinned it or one of the {count} from there");
        }
    }
}
