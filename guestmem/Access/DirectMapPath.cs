namespace Quadwalk.GuestMemory;

/// <summary>
/// Reaches a modelled guest by the kernel's direct map: from the guest frame to the host frame, with a reference for the access, and there by
/// the frame's own place. Memory that is kept out of the direct map is refused, or shown for a while.
/// </summary>
/// <remarks>
/// A frame is shown under its folio's lock, by <see cref="DirectMap.BeginUse"/>, so that of nested users the outermost alone changes the map. A
/// batch keeps its frames shown, each with a reference, which holds up a conversion or migration of them until <see cref="Flush"/>.
/// </remarks>
public sealed class DirectMapPath : GuestAccessPath
{
    private readonly DirectMapMode mode;
    private readonly int processor;
    private readonly Pfn[] batch;
    private int batched;

    /// <summary>Makes the path.</summary>
    /// <param name="vm">The guest.</param>
    /// <param name="mode">What is done with a frame that the direct map does not show.</param>
    /// <param name="batchSize">How many frames a batch keeps shown before it ends by itself: 1 or more.</param>
    /// <param name="processor">The processor that accesses.</param>
    public DirectMapPath(Kvm vm, DirectMapMode mode, int batchSize = 16, int processor = 0)
        : base(vm)
    {
        ArgumentNullException.ThrowIfNull(vm);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(processor);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(processor, vm.Kernel.Options.Processors);
        this.mode = mode;
        this.processor = processor;
        batch = new Pfn[mode == DirectMapMode.RestoreInBatches ? batchSize : 0];
    }

    /// <inheritdoc/>
    public override string Name => mode switch
    {
        DirectMapMode.Refuse => "direct-map",
        DirectMapMode.Restore => "direct-map-restore",
        DirectMapMode.RestoreWithoutFlush => "direct-map-restore-noflush",
        _ => "direct-map-restore-batch",
    };

    /// <summary>Frames that the current batch keeps shown.</summary>
    public int BatchedFrames => batched;

    internal override bool GoesByFrame => true;

    internal override ulong ShowBits => Map.Bit;

    internal override HostUse Use => HostUse.DirectMap;

    private DirectMap Map => Kernel.DirectMap;

    /// <summary>
    /// Ends the batch: takes its frames out of the direct map again, and gives their references back. What was taken out without a flush, by
    /// whomever, is flushed, once for all.
    /// </summary>
    public void Flush()
    {
        Costs before = Costs.Of(Map);
        for (int i = 0; i < batched; i++)
        {
            Map.EndUse(batch[i], flush: false);
        }

        if (!Kernel.Injects(InjectedFaults.SkipFlush))
        {
            Map.FlushPending();
        }

        for (int i = 0; i < batched; i++)
        {
            Kernel.Folios.Put(batch[i]);
        }

        batched = 0;
        before.Charge(Map, ref costs);
    }

    internal override Errno OpenPage(ref GuestHold hold, bool write)
    {
        Errno error = GuestFrames.Get(Vm, ref hold, write, ref costs);
        if (error != Errno.None)
        {
            return error;
        }

        error = Kernel.Frames.FolioOf(hold.Frame).Has(FrameFlags.Locked) ? Errno.EAGAIN : Show(hold.Frame);
        if (error != Errno.None)
        {
            GuestFrames.Put(Vm, ref hold, write: false);
        }

        return error;
    }

    internal override void ClosePage(ref GuestHold hold, bool write)
    {
        Hide(hold.Frame);
        GuestFrames.Put(Vm, ref hold, write);
    }

    internal override IEnumerable<Step> OpenSteps(GuestAccessOperation access)
    {
        foreach (Step step in GuestFrames.GetSteps(
            Vm, access, resolver => GuestFrames.Resolved(Vm, resolver, ref access.Hold, ref costs), (file, page) => GuestFrames.GetFromFile(Vm, file, page, ref access.Hold, ref costs)))
        {
            yield return step;
        }

        if (access.Error != Errno.None)
        {
            yield break;
        }

        foreach (Step step in LockFolio(access.Hold.Frame, "show the frame"))
        {
            yield return step;
        }

        access.Error = Show(access.Hold.Frame);
        Unlock(access.Hold.Frame);
        if (access.Error != Errno.None)
        {
            GuestFrames.Put(Vm, ref access.Hold, write: false);
        }
    }

    internal override IEnumerable<Step> CloseSteps(GuestAccessOperation access)
    {
        foreach (Step step in LockFolio(access.Hold.Frame, "take the frame out"))
        {
            yield return step;
        }

        Hide(access.Hold.Frame);
        Unlock(access.Hold.Frame);
        GuestFrames.Put(Vm, ref access.Hold, access.Wrote);
    }

    internal override Span<byte> Bytes(in GuestHold hold)
    {
        Reach(hold.Frame);
        return base.Bytes(hold);
    }

    private IEnumerable<Step> LockFolio(Pfn frame, string purpose)
    {
        yield return Step.Wait($"{Name}: folio lock, {purpose}", () => !Kernel.Frames.FolioOf(frame).Has(FrameFlags.Locked), Map.Bit | Vm.Process.TableBit, Map.Bit | Vm.Process.TableBit);
        Kernel.Frames.FolioOf(frame).Flags |= FrameFlags.Locked;
    }

    private void Unlock(Pfn frame) => Kernel.Frames.FolioOf(frame).Flags &= ~FrameFlags.Locked;

    private Errno Show(Pfn frame)
    {
        if (!Map.IsAbsent(frame))
        {
            return Errno.None;
        }

        if (mode == DirectMapMode.Refuse)
        {
            return Errno.EFAULT;
        }

        Costs before = Costs.Of(Map);
        Map.BeginUse(frame);
        before.Charge(Map, ref costs);
        return Errno.None;
    }

    private void Hide(Pfn frame)
    {
        if (!Map.IsAbsent(frame))
        {
            return;
        }

        if (mode != DirectMapMode.RestoreInBatches)
        {
            Costs before = Costs.Of(Map);
            Map.EndUse(frame, flush: mode == DirectMapMode.Restore && !Kernel.Injects(InjectedFaults.SkipFlush));
            before.Charge(Map, ref costs);
            return;
        }

        if (!batch.AsSpan(0, batched).Contains(frame) && Kernel.Folios.TryGet(frame))
        {
            costs.References++;
            batch[batched++] = frame;
            if (batched == batch.Length)
            {
                Flush();
            }

            return;
        }

        Map.EndUse(frame);
    }

    // What the direct map does not show, the kernel cannot touch: with the checks above this is a mistake of the kernel's own.
    private void Reach(Pfn frame)
    {
        if (!Map.TryAccess(frame, processor))
        {
            Kernel.Log.Report(KernelEventKind.Oops, frame, $"{Name}: the direct map does not show the frame of an access");
        }
    }

    // The direct map's counters before a change, for charging what the change costs.
    private readonly record struct Costs(long Restores, long Removals, long Flushes, long Interrupts, long Splits, ulong Exposed, ulong Residual)
    {
        public static Costs Of(DirectMap map) =>
            new(map.Restores, map.Removals, map.Flushes, map.Interrupts, map.Splits, map.ExposedTicks, map.ResidualTicks);

        public void Charge(DirectMap map, ref AccessLedger ledger)
        {
            ledger.Restores += map.Restores - Restores;
            ledger.Removals += map.Removals - Removals;
            ledger.Flushes += map.Flushes - Flushes;
            ledger.InterruptedProcessors += map.Interrupts - Interrupts;
            ledger.Splits += map.Splits - Splits;
            ledger.ExposedTicks += (long)(map.ExposedTicks - Exposed);
            ledger.ResidualTicks += (long)(map.ResidualTicks - Residual);
        }
    }
}
