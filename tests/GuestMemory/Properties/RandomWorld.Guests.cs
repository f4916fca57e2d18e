using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <content>vCPUs that run guest code, slots that come and go, and the hypervisor's own ways to guest memory.</content>
internal sealed partial class RandomWorld
{
    private const int VcpusOfAMachine = 2;
    private const int MostAccesses = 3;
    private const int WindowSlots = 3;
    private const int MostMappedForGood = 2;

    private readonly HashSet<KvmVcpu> running = [];
    private readonly HashSet<(WorldMachine, WorldRegion)> changingSlots = [];

    private readonly Queue<(MapForever Map, WorldHold Hold)> mappedForGood = new();

    /// <summary>The first machine's access paths.</summary>
    public List<GuestAccessPath> Paths { get; } = [];

    /// <summary>Frames of the kernel's tables that are no process's.</summary>
    public List<Pfn> KernelFrames { get; } = [];

    /// <summary>Whether the slot of a range is being made, changed or deleted.</summary>
    public bool IsChanging(WorldMachine machine, WorldRegion region) => changingSlots.Contains((machine, region));

    private void MakePaths()
    {
        foreach (WorldMachine machine in Machines)
        {
            for (int i = 0; i < VcpusOfAMachine; i++)
            {
                machine.Vm.AddVcpu();
            }
        }

        Kvm vm = Machines[0].Vm;
        Paths.AddRange([new UserspacePath(vm), new DirectMapPath(vm, DirectMapMode.Restore), MmLocalPath.For(vm, WindowSlots), ViewSwitchPath.For(vm)]);
        foreach (GuestAccessPath path in Paths)
        {
            // The first access makes the tables of a window or a view.
            _ = path.ReadUInt64(Machines[0].FirstOf(Regions[0]).Address, out _);
        }

        HashSet<Pfn> known = [];
        HostTables.Visit(Kernel, Vmm, table => known.Add(table), (_, _) => { });
        for (ulong pfn = 0; pfn < Kernel.Frames.Count; pfn++)
        {
            if (Kernel.Frames[new Pfn(pfn)].Has(FrameFlags.Kernel) && !known.Contains(new Pfn(pfn)))
            {
                KernelFrames.Add(new Pfn(pfn));
            }
        }
    }

    private WorldTask? GuestRun()
    {
        WorldMachine machine = AnyMachine();
        KvmVcpu vcpu = machine.Vm.Vcpus[random.Below(VcpusOfAMachine)];
        if (!running.Add(vcpu))
        {
            return null;
        }

        GuestAccess[] accesses = new GuestAccess[1 + random.Below(MostAccesses)];
        for (int i = 0; i < accesses.Length; i++)
        {
            Gfn gfn = new((ulong)random.Below(machine.Frames + 1));
            bool isPrivate = machine.Vm.Attributes.IsPrivate(gfn);
            ulong stamp = machine.RegionOf(gfn, out int page) is WorldRegion region ? PageOf(Vmm, region, page).Stamp(++Serial) : 0;
            accesses[i] = random.OneIn(2) ? new GuestAccess(gfn.Address, true, stamp, isPrivate) : new GuestAccess(gfn.Address, false, 0, isPrivate);
        }

        VcpuRun run = vcpu.Run(accesses);
        int seen = 0;
        int read = 0;
        return new WorldTask
        {
            Kind = WorldOp.GuestRun,
            Operation = run,
            Process = Vmm,
            Machine = machine,
            Gfn = accesses[0].Gpa.Frame,
            Stepped = task =>
            {
                for (; seen < run.Completed; seen++)
                {
                    Completed(machine, accesses[seen], accesses[seen].IsWrite ? 0 : run.Values[read++]);
                }

                task.Gfn = accesses[Math.Min(seen, accesses.Length - 1)].Gpa.Frame;
            },
            Ended = _ =>
            {
                running.Remove(vcpu);
                Expect(run.Result is { Error: Errno.None or Errno.EFAULT or Errno.ENOMEM or Errno.EIO or Errno.EHWPOISON }, $"KVM_RUN ends with {run.Result}");
            },
        };
    }

    // An access of guest code has been made, in the step just taken.
    private void Completed(WorldMachine machine, GuestAccess access, ulong word)
    {
        if (machine.RegionOf(access.Gpa.Frame, out int page) is not WorldRegion region)
        {
            Report(1, $"guest code reaches {access.Gpa}, which is no memory");
        }
        else if (region.Backing is not DriverMemory || page < DevicePage)
        {
            if (access.IsWrite)
            {
                PageOf(Vmm, region, page).Wrote(access.Value, Serial);
            }
            else
            {
                Observe("guest code", Vmm, region, page, word);
            }
        }
    }

    private WorldTask? SlotChange()
    {
        WorldMachine machine = AnyMachine();
        WorldRegion region = AnyRegion();
        if (!machine.SlotIds.TryGetValue(region, out int id) || !changingSlots.Add((machine, region)))
        {
            return null;
        }

        Memslot? slot = machine.Vm.Slots.All.FirstOrDefault(other => other.Id == id);
        MemslotFlags flags = (slot?.Flags ?? MemslotFlags.None) & (MemslotFlags.ReadOnly | MemslotFlags.LogDirtyPages);
        bool deletes = id >= 0 && random.OneIn(2);
        MemslotOperation operation = id < 0
            ? machine.Vm.CreateSlot(machine.FirstOf(region).Address, (ulong)region.Pages << 12, region.Page(0), MemslotFlags.None, region.Backing as GuestMemfd)
            : deletes ? machine.Vm.DeleteSlot(id) : machine.Vm.SetSlotFlags(id, flags ^ MemslotFlags.LogDirtyPages);
        return new WorldTask
        {
            Kind = WorldOp.SlotChange,
            Operation = operation,
            Machine = machine,
            Ended = _ =>
            {
                changingSlots.Remove((machine, region));
                Expect(operation.Result is Errno.None or Errno.EINVAL, $"a change of the memslots ends with {operation.Result}");
                if (operation.Result == Errno.None && (deletes || id < 0))
                {
                    machine.SlotIds[region] = operation.Slot?.Id ?? -1;
                }
            },
        };
    }

    private WorldTask PathRead()
    {
        WorldMachine machine = Machines[0];
        GuestAccessPath path = Paths[random.Below(Paths.Count)];
        Gfn gfn = new((ulong)random.Below(machine.Frames));
        WorldRegion? region = machine.RegionOf(gfn, out int page);
        ulong before = region is null ? 0 : PageOf(Vmm, region, page).Value;
        byte[] bytes = [.. Enumerable.Repeat((byte)0xff, sizeof(ulong))];
        bool seen = false;
        return new WorldTask
        {
            Kind = WorldOp.PathRead,
            Operation = path.ReadSteps(gfn.Address, bytes),
            Process = Vmm,
            Stepped = _ =>
            {
                ulong word = BitConverter.ToUInt64(bytes);
                if (seen || word == ulong.MaxValue || region is null || region.Backing is DriverMemory)
                {
                    return;
                }

                // A reference that was taken before the page was dropped shows it as it was.
                seen = true;
                int identity = ShadowPage.IdentityOf(word);
                bool own = word == 0 || word == before || identity == PageOf(Vmm, region, page).Identity
                    || (region.IsPrivateFile && identity == ofFile[region.File!][page].Identity);
                if (!own)
                {
                    Report(path is MmLocalPath ? 13 : 18, $"{path.Name} reads a word of page {identity >> IdentityShift}:{identity & 0xfff} at {region} page {page}");
                }
            },
        };
    }

    // To pages of files alone: a reference does not keep a fork from copying a page of the process's own away from under the path.
    private WorldTask? PathWrite()
    {
        WorldMachine machine = Machines[0];
        GuestAccessPath path = Paths[random.Below(Paths.Count)];
        Gfn gfn = new((ulong)random.Below(machine.Frames));
        if (machine.RegionOf(gfn, out int page) is not { File: MemoryFile file, IsPrivateFile: false } region)
        {
            return null;
        }

        ShadowPage shadow = PageOf(Vmm, region, page);
        ulong stamp = shadow.Stamp(++Serial);
        bool seen = false;
        return new WorldTask
        {
            Kind = WorldOp.PathWrite,
            Operation = path.WriteSteps(gfn.Address, BitConverter.GetBytes(stamp)),
            Process = Vmm,
            Stepped = _ =>
            {
                if (!seen && file.Cached((ulong)page) is Pfn frame && Word(frame) == stamp)
                {
                    seen = true;
                    shadow.Wrote(stamp, Serial);
                }
            },
        };
    }

    // What a nested hypervisor names in its VMCS is pinned, and is unmapped some time later.
    private WorldTask MapForever()
    {
        if (mappedForGood.Count >= MostMappedForGood)
        {
            (MapForever old, WorldHold hold) = mappedForGood.Dequeue();
            return new WorldTask { Kind = WorldOp.MapForever, Operation = old.Unmap(), Ended = _ => Held.Remove(hold) };
        }

        WorldMachine machine = AnyMachine();
        MapForever map = new(machine.Vm, new Gfn((ulong)random.Below(machine.Frames + 1)), random.OneIn(2));
        return new WorldTask
        {
            Kind = WorldOp.MapForever,
            Operation = map,
            Process = Vmm,
            Machine = machine,
            Failed = () => map.Result != Errno.None,
            Ended = _ =>
            {
                Expect(map.Result is Errno.None or Errno.EINVAL, $"a mapping for good ends with {map.Result}");
                if (map.Frame is Pfn frame)
                {
                    mappedForGood.Enqueue((map, Hold(frame, pin: Options.Behavior != KernelBehavior.V6_12, kept: true)));
                }
            },
        };
    }

    private WorldTask? DirtyLog()
    {
        WorldMachine machine = AnyMachine();
        WorldRegion region = AnyRegion();
        if (machine.Vm.DirtyRingEntries > 0 && random.OneIn(2))
        {
            foreach (KvmVcpu vcpu in machine.Vm.Vcpus)
            {
                vcpu.Ring!.Harvest();
            }

            return new WorldTask { Kind = WorldOp.DirtyLog, Operation = machine.Vm.ResetDirtyRings(), Machine = machine };
        }

        if (!machine.SlotIds.TryGetValue(region, out int id) || id < 0)
        {
            return null;
        }

        ulong[] all = [.. Enumerable.Repeat(ulong.MaxValue, (region.Pages + 63) / 64)];
        DirtyLogOperation operation = random.OneIn(2) ? machine.Vm.GetDirtyLog(id) : machine.Vm.ClearDirtyLog(id, 0, (ulong)region.Pages, all);
        return new WorldTask
        {
            Kind = WorldOp.DirtyLog,
            Operation = operation,
            Machine = machine,
            Ended = _ => Expect(operation.Result is Errno.None or Errno.ENOENT, $"{operation.Name} ends with {operation.Result}"),
        };
    }
}
