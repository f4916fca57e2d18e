namespace Quadwalk.GuestMemory;

/// <summary>
/// Reaches a modelled guest by a window in the VMM's own part of the kernel's addresses: each page is mapped there for the access, where other
/// processes cannot see it, and the direct map is not touched. Flushes are deferred and concern one processor.
/// </summary>
public sealed class MmLocalPath : FramePath
{
    /// <summary>Makes the path.</summary>
    /// <param name="vm">The guest.</param>
    /// <param name="region">The VMM's part of the kernel's addresses.</param>
    /// <param name="processor">The processor that accesses, which runs the VMM.</param>
    /// <exception cref="ArgumentException">The region is another process's.</exception>
    public MmLocalPath(Kvm vm, MmLocalRegion region, HostProcessor processor)
        : base(vm, processor)
    {
        ArgumentNullException.ThrowIfNull(vm);
        ArgumentNullException.ThrowIfNull(region);
        if (region.Process != vm.Process)
        {
            throw new ArgumentException("the region is another process's", nameof(region));
        }

        Region = region;
    }

    /// <inheritdoc/>
    public override string Name => "mm-local";

    /// <summary>The VMM's part of the kernel's addresses.</summary>
    public MmLocalRegion Region { get; }

    internal override ulong ShowBits => Processor.Bit;

    /// <summary>Makes the path with a region and a processor of its own: processor 0, running the VMM.</summary>
    /// <param name="vm">The guest.</param>
    /// <param name="slots">How many page slots the window has.</param>
    public static MmLocalPath For(Kvm vm, int slots = 64)
    {
        ArgumentNullException.ThrowIfNull(vm);
        HostProcessor processor = new(vm.Kernel, 0);
        processor.Run(vm.Process);
        return new MmLocalPath(vm, new MmLocalRegion(vm.Process, slots), processor);
    }

    internal override Errno Show(ref GuestHold hold)
    {
        long wraps = Region.WrapsOf(Processor.Number);
        Errno error = Region.TryTake(Processor.Number, hold.Frame, out hold.WindowPage);
        costs.Flushes += Region.WrapsOf(Processor.Number) - wraps;
        costs.WindowMaps += error == Errno.None ? 1 : 0;
        return error;
    }

    internal override void Hide(ref GuestHold hold) => Region.Put(Processor.Number, hold.WindowPage);

    internal override bool TryReach(in GuestHold hold, out Pfn frame) =>
        Region.WindowOf(Processor.Number).TryTranslate(Processor, hold.WindowPage, out frame);
}
