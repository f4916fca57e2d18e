using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A small modelled host with one process, for one test.</summary>
internal sealed class HostCase : IDisposable
{
    public const ulong Base = 0x10_0000_0000;

    public HostCase(KernelBehavior behavior = KernelBehavior.V6_13, InjectedFaults faults = InjectedFaults.None, ulong frames = 4096, ulong movable = 0)
    {
        Kernel = new HostKernel(new HostKernelOptions { Frames = frames, Behavior = behavior, Faults = faults, Memory = HostMemoryKind.Anonymous, MovableFrames = movable });
        Process = new AddressSpace(Kernel);
    }

    public HostKernel Kernel { get; }

    public AddressSpace Process { get; }

    public PageFrames Frames => Kernel.Frames;

    /// <summary>The address of a page of the range at <see cref="Base"/>.</summary>
    public static Hva Page(int index) => new(Base + ((ulong)index << 12));

    public VmFault Touch(Hva hva, bool write = true) => Process.Fault(hva, write).Run();

    public Pfn FrameAt(Hva hva) => Process.Tables.LookupPfn(hva, out Pfn frame, out _, out _) ? frame : throw new InvalidOperationException($"nothing at {hva}");

    public GupOperation Gup(Hva hva, FollFlags flags, int count = 1)
    {
        GupOperation operation = new(Process, hva, count, flags);
        operation.Run();
        return operation;
    }

    /// <summary>Ends all processes and says how many frames the allocator has then; at the start it had as many.</summary>
    public ulong FreeAfterExit()
    {
        foreach (AddressSpace process in Kernel.Processes.ToArray())
        {
            process.Exit().Run();
        }

        return Kernel.Allocator.FreeFrames;
    }

    public void Dispose() => Kernel.Dispose();
}
