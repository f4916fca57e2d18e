using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A guest whose frames from 0 on come from one kind of memory, with its slot, for tests of access paths.</summary>
internal sealed class PathCase : IDisposable
{
    public const VmFlags RwShared = VmFlags.Read | VmFlags.Write | VmFlags.Shared;

    public PathCase(KernelBehavior behavior = KernelBehavior.Proposed, InjectedFaults faults = InjectedFaults.None, ulong frames = 2048)
    {
        Host = new HostCase(behavior, faults, frames);
        Vm = new Kvm(Host.Process);
    }

    public HostCase Host { get; }

    public Kvm Vm { get; }

    public HostKernel Kernel => Host.Kernel;

    public DirectMap Map => Kernel.DirectMap;

    /// <summary>A guest of anonymous memory.</summary>
    public static PathCase Anonymous(ulong pages = 4, MemslotFlags slot = MemslotFlags.None, InjectedFaults faults = InjectedFaults.None)
    {
        PathCase made = new(faults: faults);
        made.Host.Process.MapAt(HostCase.Base, pages, VmCase.Rw);
        made.Vm.Slots.Add(new Gpa(0), pages << 12, new Hva(HostCase.Base), slot);
        return made;
    }

    /// <summary>A guest of a guest_memfd, mapped by the VMM too, with or without a direct map.</summary>
    public static PathCase File(bool directMap, InjectedFaults faults = InjectedFaults.None, ulong pages = 4, ulong frames = 2048) =>
        File(directMap, out _, faults, pages, frames);

    /// <summary>A guest of a guest_memfd, mapped by the VMM too, with or without a direct map.</summary>
    public static PathCase File(bool directMap, out GuestMemfd file, InjectedFaults faults = InjectedFaults.None, ulong pages = 4, ulong frames = 2048)
    {
        PathCase made = new(faults: faults, frames: frames);
        GuestMemfdFlags flags = GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared | (directMap ? 0 : GuestMemfdFlags.NoDirectMap);
        Errno error = GuestMemfd.Create(made.Kernel, pages << 12, flags, out GuestMemfd? opened);
        file = opened ?? throw new InvalidOperationException(error.ToString());
        file.Map(made.Host.Process, new Hva(HostCase.Base), pages, RwShared);
        made.Vm.AddGuestMemfdSlot(new Gpa(0), pages << 12, new Hva(HostCase.Base), file, 0);
        return made;
    }

    /// <summary>References and pins, mapcounts and free frames, for comparing before and after.</summary>
    public (long References, long Pins, long Maps, ulong Free) Counters()
    {
        (long references, long pins, long maps) = (0, 0, 0);
        for (ulong pfn = 0; pfn < Kernel.Frames.Count; pfn++)
        {
            PageFrame frame = Kernel.Frames[new Pfn(pfn)];
            (references, pins, maps) = (references + frame.RefCount, pins + frame.PinCount, maps + frame.MapCount);
        }

        return (references, pins, maps, Kernel.Allocator.FreeFrames);
    }

    public void Dispose() => Host.Dispose();
}
