using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A modelled host with a VMM and a virtual machine whose guest frames from 0 show the range at <see cref="HostCase.Base"/>.</summary>
internal sealed class VmCase : IDisposable
{
    public const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    public VmCase(
        KernelBehavior behavior = KernelBehavior.V6_13, VmFlags flags = Rw, Func<HostKernel, VmBacking>? backing = null, ulong pages = 8,
        InjectedFaults faults = InjectedFaults.None, MemslotFlags slotFlags = MemslotFlags.None, ulong frames = 4096, ulong movable = 0)
    {
        Host = new HostCase(behavior, faults, frames, movable);
        Host.Process.MapAt(HostCase.Base, pages, flags, backing?.Invoke(Host.Kernel));
        Vm = new Kvm(Host.Process);
        Vm.Slots.Add(new Gpa(0), pages << 12, new Hva(HostCase.Base), slotFlags);
    }

    public HostCase Host { get; }

    public Kvm Vm { get; }

    public HostKernel Kernel => Host.Kernel;

    public PageFrames Frames => Host.Frames;

    public static Gpa Gpa(int page) => new((ulong)page << 12);

    public StageTwoOutcome Fault(int page, bool write = true) => new StageTwoFault(Vm, Gpa(page), write).Run();

    public Pfn? Installed(int page) => Vm.StageTwo.TryFind(Gpa(page).Frame, out _, out Pfn frame) ? frame : null;

    public uint? GuestRead(int page)
    {
        Span<byte> bytes = stackalloc byte[4];
        return Vm.TryGuestRead(Gpa(page), bytes) ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : null;
    }

    public bool GuestWrite(int page, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return Vm.TryGuestWrite(Gpa(page), bytes);
    }

    public PfnResolver Resolve(int page, FollowPfn request)
    {
        PfnResolver resolver = new(Host.Process, HostCase.Page(page), request);
        resolver.Run();
        return resolver;
    }

    public void Dispose() => Host.Dispose();
}
