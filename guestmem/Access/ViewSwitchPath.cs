namespace Quadwalk.GuestMemory;

/// <summary>What a view switch does about interrupts that come while the temporary view is loaded.</summary>
public enum ViewInterrupts
{
    /// <summary>They wait until the default view is back, as text poking has it.</summary>
    Disabled,

    /// <summary>They are taken, and the entry code has to see to the view.</summary>
    Enabled,
}

/// <summary>
/// Reaches a modelled guest by page tables of its own that are loaded for the access only (a temporary CR3, as text poking uses a temporary mm):
/// no process has the page in view, and no other processor has to be flushed.
/// </summary>
public sealed class ViewSwitchPath : FramePath, IDisposable
{
    /// <summary>The address in the temporary view at which pages are shown.</summary>
    public const ulong Address = 0x7000_0000_0000;

    private const int Slots = 16;
    private readonly HostPageTable tables;
    private readonly KernelWindow window;
    private readonly ViewInterrupts interrupts;
    private ushort used;

    /// <summary>Makes the path and its page tables.</summary>
    /// <param name="vm">The guest.</param>
    /// <param name="processor">The processor that accesses.</param>
    /// <param name="interrupts">What is done about interrupts.</param>
    /// <exception cref="HostOutOfFramesException">There is no frame for a table.</exception>
    public ViewSwitchPath(Kvm vm, HostProcessor processor, ViewInterrupts interrupts = ViewInterrupts.Disabled)
        : base(vm, processor)
    {
        ArgumentNullException.ThrowIfNull(vm);
        tables = new HostPageTable(vm.Kernel);
        window = new KernelWindow(vm.Kernel, tables, new Hva(Address), Slots);
        this.interrupts = interrupts;
    }

    /// <inheritdoc/>
    public override string Name => "view-switch";

    internal override ulong ShowBits => Processor.Bit;

    internal override bool MayShow => Processor.Depth == 0;

    /// <summary>Makes the path with a processor of its own: processor 0, running the VMM.</summary>
    /// <param name="vm">The guest.</param>
    /// <param name="interrupts">What is done about interrupts.</param>
    public static ViewSwitchPath For(Kvm vm, ViewInterrupts interrupts = ViewInterrupts.Disabled)
    {
        ArgumentNullException.ThrowIfNull(vm);
        HostProcessor processor = new(vm.Kernel, 0);
        processor.Run(vm.Process);
        return new ViewSwitchPath(vm, processor, interrupts);
    }

    /// <summary>Whether a processor reaches a page that the view shows now: it does while it has the view loaded.</summary>
    /// <param name="processor">The processor.</param>
    /// <param name="page">The page of the view: 0 for that of an access to one page.</param>
    public bool Reaches(HostProcessor processor, int page = 0) => window.TryTranslate(processor, page, out _);

    /// <summary>Gives the page tables back.</summary>
    public void Dispose() => tables.Free();

    internal override Errno Show(ref GuestHold hold)
    {
        int slot = System.Numerics.BitOperations.TrailingZeroCount(~(uint)used);
        if (slot >= Slots)
        {
            return Errno.EBUSY;
        }

        if (!window.TryMap(slot, hold.Frame))
        {
            return Errno.ENOMEM;
        }

        used |= (ushort)(1 << slot);
        hold.WindowPage = slot;
        costs.WindowMaps++;
        if (interrupts == ViewInterrupts.Disabled)
        {
            Processor.DisableInterrupts();
        }

        Processor.Enter(tables);
        costs.ViewSwitches++;
        return Errno.None;
    }

    internal override void Hide(ref GuestHold hold)
    {
        Processor.Leave();
        window.Unmap(hold.WindowPage);
        window.FlushPage(Processor.Number, hold.WindowPage);
        costs.Flushes++;
        used &= (ushort)~(1 << hold.WindowPage);
        if (interrupts == ViewInterrupts.Disabled)
        {
            Processor.EnableInterrupts();
        }
    }

    internal override bool TryReach(in GuestHold hold, out Pfn frame) => window.TryTranslate(Processor, hold.WindowPage, out frame);
}
