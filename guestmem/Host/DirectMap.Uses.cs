namespace Quadwalk.GuestMemory;

/// <content>Frames that are shown for a while, and flushes.</content>
public sealed partial class DirectMap
{
    /// <summary>How many uses of a frame are going on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    public int UseDepth(Pfn pfn)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(pfn.Value, count, nameof(pfn));
        return states[pfn.Value >> ShiftTo2M] is FrameState[] block ? block[pfn.Value & (FramesPer2M - 1)].Depth : 0;
    }

    /// <summary>Shows a frame for a while if it is out; a use within a use changes nothing. Called under the folio's lock.</summary>
    /// <param name="pfn">The frame.</param>
    public void BeginUse(Pfn pfn)
    {
        if (!IsAbsent(pfn))
        {
            return;
        }

        ref FrameState state = ref StateOf(pfn.Value);
        if (state.Depth++ != 0)
        {
            return;
        }

        Settle(ref state, counted: false);
        state.Since = clock.Now;
        ExposedFrames++;
        Restores++;
        ShowsChanged?.Invoke(pfn);
    }

    /// <summary>Ends a use; the outermost takes the frame out again.</summary>
    /// <param name="pfn">The frame.</param>
    /// <param name="flush">Flush all processors.</param>
    public void EndUse(Pfn pfn, bool flush = true)
    {
        if (!IsAbsent(pfn))
        {
            return;
        }

        ref FrameState state = ref StateOf(pfn.Value);
        if (state.Depth == 0)
        {
            kernel.Log.Report(KernelEventKind.RefCountUnderflow, pfn, "a use of the direct map ended that had not begun");
            return;
        }

        if (state.Depth > 1 && !kernel.Injects(InjectedFaults.MiscountDirectMapUses))
        {
            state.Depth--;
            return;
        }

        EndExposure(ref state);
        TakenOut(pfn.Value);
        if (flush)
        {
            Flush(pfn, 1);
        }
    }

    /// <summary>Flushes a range on all processors.</summary>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    public void Flush(Pfn first, ulong count)
    {
        Flushes++;
        Interrupts += tlbs.Length - 1;
        foreach (DirectMapTlb tlb in tlbs)
        {
            tlb.Flush(first.Value, count);
        }

        if (count > HostTlb.SingleFlushCeiling)
        {
            foreach (ulong pfn in unflushed)
            {
                Settle(ref StateOf(pfn), counted: true);
            }
        }

        for (ulong pfn = first.Value; pfn < first.Value + count && UnflushedFrames != 0; pfn++)
        {
            Settle(ref StateOf(pfn), counted: true);
        }

        if (UnflushedFrames == 0)
        {
            unflushed.Clear();
        }
    }

    /// <summary>Flushes all that was taken out and not flushed yet, on all processors at once.</summary>
    public void FlushPending()
    {
        if (UnflushedFrames == 1)
        {
            ulong last = unflushed.FindLast(pfn => StateOf(pfn).UnflushedSince != 0);
            Flush(new Pfn(last), 1);
        }
        else if (UnflushedFrames != 0)
        {
            // Scattered pages cost an entry each to name, so the processors drop everything, as lazy vunmap has them do.
            Flush(default, HostTlb.SingleFlushCeiling + 1);
        }
    }

    private void Settle(ref FrameState state, bool counted)
    {
        if (state.UnflushedSince != 0)
        {
            ResidualTicks += counted ? clock.Now + 1 - state.UnflushedSince : 0;
            state.UnflushedSince = 0;
            UnflushedFrames--;
        }
    }

    private void EndExposure(ref FrameState state)
    {
        state.Depth = 0;
        ExposedFrames--;
        ExposedTicks += clock.Now - state.Since;
    }
}
