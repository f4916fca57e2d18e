using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <content>What is done: an operation that is drawn begins, or is done at once if it has no steps.</content>
internal sealed partial class RandomWorld
{
    private const int MostHeld = 8;
    private const int MostChildren = 1;
    private const ulong CacheBytes = 8;

    /// <summary>Begins an operation; null where it is done already, or there is nothing to do it with.</summary>
    private WorldTask? Next(WorldOp op) => op switch
    {
        WorldOp.HostFault => HostFault(),
        WorldOp.HostRead => HostAccess(write: false),
        WorldOp.HostWrite => HostAccess(write: true),
        WorldOp.GuestFault => GuestFault(),
        WorldOp.GuestRead => GuestTouch(write: false),
        WorldOp.GuestWrite => GuestTouch(write: true),
        WorldOp.Unmap => Unmap(remove: true),
        WorldOp.Discard => Unmap(remove: false),
        WorldOp.Map => Map(),
        WorldOp.Protect => Protect(),
        WorldOp.Fork => Fork(),
        WorldOp.Spawn => Spawn(),
        WorldOp.Exit => Exit(),
        WorldOp.Migrate => Migrate(),
        WorldOp.Punch => Punch(),
        WorldOp.Convert => Convert(),
        WorldOp.Attributes => Attributes(),
        WorldOp.CacheActivate => CacheActivate(),
        WorldOp.CacheRefresh => CacheRefresh(),
        WorldOp.CacheDeactivate => CacheDeactivate(),
        WorldOp.CacheUse => CacheUse(),
        WorldOp.Gup => Gup(),
        WorldOp.Put => Put(),
        WorldOp.DirectMapAccess => DirectMapAccess(),
        WorldOp.DirectMapUse => DirectMapUse(),
        WorldOp.FailAllocation => FailAllocation(),
        WorldOp.GuestRun => GuestRun(),
        WorldOp.SlotChange => SlotChange(),
        WorldOp.PathRead => PathRead(),
        WorldOp.PathWrite => PathWrite(),
        WorldOp.Reclaim => Reclaim(),
        WorldOp.Shrink => Shrink(),
        WorldOp.Writeback => Writeback(),
        WorldOp.NumaHint => NumaHint(),
        WorldOp.Offline => Offline(),
        WorldOp.SoftOffline => SoftOffline(),
        WorldOp.Collapse => Collapse(),
        WorldOp.Split => Split(),
        WorldOp.MapForever => MapForever(),
        WorldOp.DirtyLog => DirtyLog(),
        _ => throw new InvalidOperationException($"{op} is not known"),
    };

    private AddressSpace AnyProcess() => Children.Count > 0 && random.OneIn(3) ? Children[random.Below(Children.Count)] : Vmm;

    private WorldRegion AnyRegion() => Regions[random.Below(Regions.Count)];

    private WorldRegion AnyRegion(out int first, out int count)
    {
        WorldRegion region = AnyRegion();
        first = random.Below(region.Pages);
        count = 1 + random.Below(Math.Min(region.Pages - first, 1 + random.Below(region.Pages)));
        return region;
    }

    private List<ShadowPage> Pages(AddressSpace process, WorldRegion region, int first, int count) =>
        [.. Enumerable.Range(first, count).Select(page => PageOf(process, region, page))];

    private WorldTask HostFault()
    {
        AddressSpace process = AnyProcess();
        WorldRegion region = AnyRegion();
        FaultOperation fault = process.Fault(region.Page(random.Below(region.Pages)), random.OneIn(2));
        return new WorldTask { Kind = WorldOp.HostFault, Operation = fault, Process = process, Failed = () => fault.Result == VmFault.OutOfMemory, Ended = _ => Expect(Outcomes.Allows(fault.Result), $"a page fault ends with {fault.Result}") };
    }

    private WorldTask? HostAccess(bool write)
    {
        AddressSpace process = AnyProcess();
        WorldRegion region = AnyRegion();
        int page = random.Below(region.Pages);
        if (HostTables.TryFrame(Kernel, process, region.Page(page).Value, out Pfn frame, out _, out bool writable) && Kernel.Frames.IsValid(frame))
        {
            if (!write)
            {
                Observe("the host's mapping", process, region, page, Word(frame));
            }
            else if (writable)
            {
                Write(process, region, page, frame);
            }
        }

        return null;
    }

    private WorldMachine AnyMachine() => Machines[random.OneIn(4) ? 1 : 0];

    private WorldTask GuestFault()
    {
        WorldMachine machine = AnyMachine();
        Gfn gfn = new((ulong)random.Below(machine.Frames + 1));
        bool isPrivate = machine.Vm.Attributes.IsPrivate(gfn) != random.OneIn(16);
        StageTwoFault fault = new(machine.Vm, gfn.Address, random.OneIn(2), isPrivate);
        return new WorldTask
        {
            Kind = WorldOp.GuestFault,
            Operation = fault,
            Process = Vmm,
            Machine = machine,
            Gfn = gfn,
            Failed = () => fault.Result != StageTwoOutcome.Fixed,
            Ended = _ => Expect(Outcomes.Allows(fault.Result), $"a stage-2 fault ends with {fault.Result}"),
        };
    }

    private WorldTask? GuestTouch(bool write)
    {
        WorldMachine machine = AnyMachine();
        Gfn gfn = new((ulong)random.Below(machine.Frames + 1));
        Span<byte> bytes = stackalloc byte[8];
        if (!machine.Vm.TryGuestRead(gfn.Address, bytes))
        {
            return null;
        }

        if (machine.RegionOf(gfn, out int page) is not WorldRegion region)
        {
            Report(1, $"the guest reads {gfn}, which is no memory");
            return null;
        }

        Observe("the guest's mapping", Vmm, region, page, BitConverter.ToUInt64(bytes));
        if (write)
        {
            ShadowPage shadow = PageOf(Vmm, region, page);
            ulong stamp = shadow.Stamp(Serial + 1);
            if (machine.Vm.TryGuestWrite(gfn.Address, BitConverter.GetBytes(stamp)))
            {
                Serial++;
                shadow.Wrote(stamp, Serial);
            }
        }

        return null;
    }

    private WorldTask Unmap(bool remove)
    {
        AddressSpace process = AnyProcess();
        WorldRegion region = AnyRegion(out int first, out int count);
        HostOperation operation = remove ? process.Unmap(region.Page(first), (ulong)count) : process.Discard(region.Page(first), (ulong)count);
        return new WorldTask
        {
            Kind = remove ? WorldOp.Unmap : WorldOp.Discard,
            Operation = operation,
            Process = process,
            Drops = region.IsAnonymous ? Pages(process, region, first, count) : null,
            Ended = task => EndDrops(task, ((HostOperation<Errno>)operation).Result, Errno.ENOMEM),
        };
    }

    private WorldTask? Map()
    {
        AddressSpace process = AnyProcess();
        WorldRegion region = AnyRegion(out int first, out int count);
        return region.Flags == VmFlags.None || (process != Vmm && (region.Flags & VmFlags.DontCopy) != 0) ? null : new WorldTask
        {
            Kind = WorldOp.Map,
            Operation = new MapOperation(process, region, first, count),
            Process = process,
        };
    }

    private WorldTask Protect()
    {
        AddressSpace process = AnyProcess();
        WorldRegion region = AnyRegion(out int first, out int count);
        VmFlags rights = random.Below(4) switch { 0 => VmFlags.None, 1 => VmFlags.Read, _ => Rw };
        HostOperation<Errno> operation = (HostOperation<Errno>)process.Protect(region.Page(first), (ulong)count, rights);
        return new WorldTask
        {
            Kind = WorldOp.Protect,
            Operation = operation,
            Process = process,
            Ended = _ => Expect(operation.Result is Errno.None or Errno.ENOMEM, $"mprotect ends with {operation.Result}"),
        };
    }

    private WorldTask? Fork()
    {
        if (Children.Count >= MostChildren || GoingOn.Any(task => task.Kind is WorldOp.Fork or WorldOp.Exit))
        {
            return null;
        }

        HostOperation<AddressSpace> fork = Vmm.Fork("child");
        ulong[] before = [.. ofProcess[Vmm].SelectMany(pages => pages).Select(page => page.Value)];
        return new WorldTask
        {
            Kind = WorldOp.Fork,
            Operation = fork,
            Process = Vmm,
            Before = before,
            Failed = () => fork.Result is null,
            Ended = task =>
            {
                if (fork.Result is AddressSpace child)
                {
                    int at = 0;
                    ofProcess[child] = [.. ofProcess[Vmm].Select(pages => pages.Select(page => ShadowPage.CopyOf(page, task.Before![at++])).ToArray())];
                    Children.Add(child);
                }
            },
        };
    }

    // A process with the same ranges that shares no page of its own with anybody, and has no tables yet.
    private WorldTask? Spawn()
    {
        if (Children.Count >= MostChildren || Kernel.Allocator.FailAfter is not null || GoingOn.Any(task => task.Kind is WorldOp.Fork or WorldOp.Exit))
        {
            return null;
        }

        AddressSpace process = new(Kernel, "other");
        foreach (WorldRegion region in Regions.Where(region => region.Flags != VmFlags.None && (region.Flags & VmFlags.DontCopy) == 0))
        {
            process.MapAt(region.Start, (ulong)region.Pages, region.Flags, region.Backing);
        }

        ofProcess[process] = NewPages();
        Children.Add(process);
        return null;
    }

    private WorldTask? Exit()
    {
        if (Children.Count == 0 || IsInUse(Children[0]))
        {
            return null;
        }

        AddressSpace child = Children[0];
        Children.RemoveAt(0);
        return new WorldTask { Kind = WorldOp.Exit, Operation = child.Exit(), Process = child, Ended = _ => ofProcess.Remove(child) };
    }

    private WorldTask Migrate()
    {
        Pfn frame = AnyFrame();
        MigrateOperation operation = new(Kernel, frame);
        return new WorldTask
        {
            Kind = WorldOp.Migrate,
            Operation = operation,
            Failed = () => operation.Result != Errno.None,
            Ended = _ =>
            {
                Expect(operation.Result is Errno.None or Errno.EAGAIN or Errno.EBUSY or Errno.ENOMEM or Errno.EINVAL, $"migration ends with {operation.Result}");
                if (operation.Result == Errno.None && Held.Exists(hold => hold.Pin && hold.Frame == frame))
                {
                    Report(6, $"frame {frame} was migrated to {operation.To} while somebody has pinned it");
                }
            },
        };
    }

    private WorldTask Punch()
    {
        MemoryFile file = Files[random.Below(Files.Count)];
        ulong first = (ulong)random.Below((int)file.Size);
        ulong count = 1 + (ulong)random.Below((int)(file.Size - first));
        HostOperation? operation = file.Punch(first, count);
        if (file is GuestMemfd gmem)
        {
            _ = gmem.PunchHole(first << 12, count << 12, keepSize: true, out operation);
        }

        // Of larger folios only whole ones are dropped; what else is zapped stays in the file.
        ulong size = 1UL << file.Order;
        ulong from = (first + size - 1) / size * size;
        ulong to = (first + count) / size * size;
        return new WorldTask
        {
            Kind = WorldOp.Punch,
            Operation = operation!,
            Drops = [.. from < to ? ofFile[file].Take((int)to).Skip((int)from) : []],
            Ended = task => EndDrops(task, ((HostOperation<Errno>)operation!).Result, Errno.ENOMEM),
        };
    }

    private WorldTask Convert()
    {
        GuestMemfd[] files = [.. Files.OfType<GuestMemfd>()];
        GuestMemfd file = files[random.Below(files.Length)];
        ulong first = (ulong)random.Below((int)file.Size);
        GuestMemfd.ConvertOperation operation = file.Convert(first, 1 + (ulong)random.Below((int)(file.Size - first)), random.OneIn(2));
        return new WorldTask
        {
            Kind = WorldOp.Convert,
            Operation = operation,
            Ended = _ => Expect(operation.Result is Errno.None or Errno.EAGAIN or Errno.ENOMEM, $"a conversion ends with {operation.Result}"),
        };
    }

    private WorldTask Attributes()
    {
        WorldMachine machine = AnyMachine();
        int first = random.Below(machine.Frames);
        int count = 1 + random.Below(Math.Min(8, machine.Frames - first));
        return new WorldTask { Kind = WorldOp.Attributes, Operation = machine.Vm.SetAttributes(new Gfn((ulong)first), (ulong)count, random.OneIn(2)) };
    }

    private GfnToPfnCache AnyCache(out WorldMachine machine)
    {
        machine = AnyMachine();
        return machine.Caches[random.Below(machine.Caches.Count)];
    }

    private WorldTask? CacheActivate()
    {
        GfnToPfnCache cache = AnyCache(out WorldMachine machine);
        if (cache.IsActive || GoingOn.Any(task => task.Cache == cache))
        {
            return null;
        }

        WorldRegion region = AnyRegion();
        Gfn gfn = new((ulong)random.Below(machine.Frames + 1));
        HostOperation<Errno> operation = random.OneIn(3)
            ? cache.Activate(region.Page(random.Below(region.Pages)), CacheBytes)
            : cache.Activate(gfn.Address, CacheBytes);
        return CacheTask(WorldOp.CacheActivate, cache, machine, operation);
    }

    private WorldTask? CacheRefresh()
    {
        GfnToPfnCache cache = AnyCache(out WorldMachine machine);
        return cache.IsActive ? CacheTask(WorldOp.CacheRefresh, cache, machine, cache.Refresh(CacheBytes)) : null;
    }

    private WorldTask CacheTask(WorldOp kind, GfnToPfnCache cache, WorldMachine machine, HostOperation<Errno> operation) => new()
    {
        Kind = kind,
        Operation = operation,
        Process = Vmm,
        Machine = machine,
        Cache = cache,
        Failed = () => operation.Result != Errno.None,
        Ended = _ => Expect(operation.Result is Errno.None or Errno.EFAULT or Errno.EINVAL, $"a pfn cache ends with {operation.Result}"),
    };

    private WorldTask? CacheDeactivate()
    {
        GfnToPfnCache cache = AnyCache(out WorldMachine machine);
        return cache.IsActive ? new WorldTask { Kind = WorldOp.CacheDeactivate, Operation = cache.Deactivate(), Machine = machine, Cache = cache } : null;
    }

    private WorldTask? CacheUse()
    {
        GfnToPfnCache cache = AnyCache(out _);
        if (cache.Lock.IsFree(shared: false) && cache.Check(CacheBytes) && RegionAt(cache.Hva.Value, out int page) is WorldRegion region && Kernel.Frames.IsValid(cache.Frame))
        {
            Observe("a pfn cache", Vmm, region, page, Word(cache.Frame));
            if (random.OneIn(2))
            {
                Write(Vmm, region, page, cache.Frame);
            }
        }

        return null;
    }

    private WorldTask? Gup()
    {
        if (Held.Count >= MostHeld + MostMappedForGood)
        {
            return Put();
        }

        AddressSpace process = AnyProcess();
        WorldRegion region = AnyRegion(out int first, out int count);
        bool pin = random.OneIn(2);
        FollFlags flags = (pin ? FollFlags.Pin : FollFlags.Get) | (random.OneIn(2) ? FollFlags.Write : 0)
            | (random.OneIn(3) ? FollFlags.FastOnly : 0) | (random.OneIn(4) ? FollFlags.NoWait : 0);
        GupOperation gup = new(process, region.Page(first), Math.Min(count, 3), flags);
        return new WorldTask
        {
            Kind = WorldOp.Gup,
            Operation = gup,
            Process = process,
            Failed = () => !gup.Result.Succeeded,
            Ended = _ =>
            {
                Expect(Outcomes.AllowsGup(gup.Result, flags), $"get_user_pages with {flags} ends with {gup.Result.Error}");
                foreach (Pfn frame in gup.Frames)
                {
                    Hold(frame, pin);
                }
            },
        };
    }

    private WorldTask? Put()
    {
        int[] loose = [.. Enumerable.Range(0, Held.Count).Where(at => !Held[at].Kept)];
        if (loose.Length > 0)
        {
            int at = loose[random.Below(loose.Length)];
            WorldHold hold = Held[at];
            Held.RemoveAt(at);
            if (hold.Pin)
            {
                Kernel.Folios.Unpin(hold.Frame);
            }
            else
            {
                Kernel.Folios.Put(hold.Frame);
            }
        }

        return null;
    }

    private WorldTask? DirectMapAccess()
    {
        Pfn frame = new((ulong)random.Below((int)Kernel.Frames.Count));
        _ = Kernel.DirectMap.TryAccess(frame, random.Below(Kernel.Options.Processors));
        return null;
    }

    private WorldTask? DirectMapUse()
    {
        if (DirectUses.Count > 0 && random.OneIn(2))
        {
            int at = random.Below(DirectUses.Count);
            Kernel.DirectMap.EndUse(DirectUses[at]);
            Kernel.Folios.Put(DirectUses[at]);
            DirectUses.RemoveAt(at);
            return null;
        }

        // Whoever shows a page holds it, so that it is not freed meanwhile.
        MemoryFile file = Files[random.Below(Files.Count)];
        if (DirectUses.Count < 4 && file.NoDirectMap && file.Cached((ulong)random.Below((int)file.Size)) is Pfn frame && Kernel.Folios.TryGet(frame))
        {
            DirectUses.Add(frame);
            Kernel.DirectMap.BeginUse(frame);
        }

        return null;
    }

    private WorldTask? FailAllocation()
    {
        Kernel.Allocator.FailAfter = random.OneIn(4) ? random.Below(4) : null;
        return null;
    }

    private WorldHold Hold(Pfn frame, bool pin, bool kept = false)
    {
        ref PageFrame folio = ref Kernel.Frames.FolioOf(frame);
        WorldHold hold = new(frame, pin, folio.Mapping, folio.Index, kept);
        Held.Add(hold);
        return hold;
    }

    private void EndDrops(WorldTask task, Errno result, params ReadOnlySpan<Errno> errors)
    {
        Expect(result == Errno.None || errors.Contains(result), $"{task.Operation.Name} ends with {result}");
        foreach (ShadowPage page in task.Drops ?? [])
        {
            page.EndDrop(task.Begun, result == Errno.None);
        }
    }

    private void Expect(bool listed, string text)
    {
        if (!listed)
        {
            Report(12, $"{text}, which is no listed outcome");
        }
    }

    private sealed class MapOperation(AddressSpace process, WorldRegion region, int first, int count) : HostOperation
    {
        public override string Name => "mmap";

        protected override IEnumerable<Step> Steps()
        {
            yield return Step.Acquire("mmap: mmap_lock", process.MmapLock);
            for (int page = first; page < first + count; page++)
            {
                _ = process.Map(region.Page(page), 1, region.Flags, region.Backing, (ulong)page, out _);
            }

            yield return Step.Do("mmap: drop mmap_lock", 0, process.MmapLock.Bit);
            process.MmapLock.Release();
        }
    }
}
