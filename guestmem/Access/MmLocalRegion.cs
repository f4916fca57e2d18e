namespace Quadwalk.GuestMemory;

/// <summary>
/// The part of the kernel's addresses that belongs to one process (mm-local): only processors that run it reach what is mapped there. It has a
/// window of page slots for each processor, and memory of the kernel's that lives no longer than the process.
/// </summary>
/// <remarks>
/// Slots are handed out one after the other, and clearing an entry flushes nothing. At the end of a window the processor flushes it, for itself
/// alone, and begins again with what has been put since; so a slot has another page only after a flush that follows its last put.
/// </remarks>
public sealed class MmLocalRegion
{
    /// <summary>Where the region begins; its entry in the top table is the process's own.</summary>
    public const ulong Base = 0xffff_e000_0000_0000;

    private const ulong WindowSpacing = PageSize.Size2M;
    private const ulong MemoryOffset = PageSize.Size1G;

    private readonly SlotWindow[] windows;
    private readonly List<ProcLocalMemory> memory = [];
    private ulong next = Base + MemoryOffset;

    /// <summary>Gives a process its region.</summary>
    /// <param name="process">The process.</param>
    /// <param name="slots">How many page slots each processor's window has: 1 to 512.</param>
    public MmLocalRegion(AddressSpace process, int slots = 64)
    {
        ArgumentNullException.ThrowIfNull(process);
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(slots, 512);
        Process = process;
        windows = new SlotWindow[process.Kernel.Options.Processors];
        for (int i = 0; i < windows.Length; i++)
        {
            windows[i] = new SlotWindow(new KernelWindow(process.Kernel, process.Tables, new Hva(Base + ((ulong)i * WindowSpacing)), slots));
        }

        process.Released += ReleaseMemory;
    }

    /// <summary>The process.</summary>
    public AddressSpace Process { get; }

    /// <summary>The window of a processor.</summary>
    public KernelWindow WindowOf(int processor) => windows[processor].Window;

    /// <summary>How often a processor's window has come to its end and was flushed.</summary>
    public long WrapsOf(int processor) => windows[processor].Wraps;

    /// <summary>Takes the next slot of a processor's window for a frame.</summary>
    /// <returns>EBUSY where all slots are in use; ENOMEM where there is no frame for a table. Nothing is taken then.</returns>
    internal Errno TryTake(int processor, Pfn frame, out int slot) => windows[processor].TryTake(Process.Kernel, processor, frame, out slot);

    /// <summary>Gives a slot back: its entry is cleared, and what the processor has cached stays until the flush.</summary>
    internal void Put(int processor, int slot) => windows[processor].Put(slot);

    /// <summary>Addresses for memory of the kernel's that is the process's own.</summary>
    internal Hva Reserve(ProcLocalMemory added, int pages)
    {
        memory.Add(added);
        Hva start = new(next);
        next += (ulong)pages << PageSize.Shift4K;
        return start;
    }

    internal void Forget(ProcLocalMemory removed) => memory.Remove(removed);

    private void ReleaseMemory()
    {
        foreach (ProcLocalMemory one in memory.ToArray())
        {
            one.Dispose();
        }
    }

    private sealed class SlotWindow(KernelWindow window)
    {
        private readonly SlotState[] states = new SlotState[window.Pages];
        private int next;

        public KernelWindow Window => window;

        public long Wraps { get; private set; }

        public Errno TryTake(HostKernel kernel, int processor, Pfn frame, out int slot)
        {
            for (bool wrapped = false; ; wrapped = true)
            {
                for (; next < states.Length; next++)
                {
                    if (states[next] == SlotState.Free)
                    {
                        slot = next;
                        if (!window.TryMap(slot, frame))
                        {
                            return Errno.ENOMEM;
                        }

                        states[next++] = SlotState.Used;
                        return Errno.None;
                    }
                }

                if (wrapped)
                {
                    slot = -1;
                    return Errno.EBUSY;
                }

                Wrap(kernel, processor);
            }
        }

        public void Put(int slot)
        {
            window.Unmap(slot);
            states[slot] = SlotState.Stale;
        }

        private void Wrap(HostKernel kernel, int processor)
        {
            Wraps++;
            next = 0;
            if (!kernel.Injects(InjectedFaults.ReuseWindowBeforeFlush))
            {
                window.Flush(processor);
            }

            for (int i = 0; i < states.Length; i++)
            {
                states[i] = states[i] == SlotState.Stale ? SlotState.Free : states[i];
            }
        }
    }

    private enum SlotState : byte
    {
        Free,
        Used,
        Stale,
    }
}
