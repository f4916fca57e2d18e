namespace Quadwalk.GuestMemory;

/// <summary>
/// The kernel's mapping of all frames: which it shows, what taking frames out of it has cost in split pages and flushes, and for how long
/// frames were to be seen that should not be (<c>arch/x86/mm/pat/set_memory.c</c>).
/// </summary>
/// <remarks>
/// It begins with 1 GiB pages. Taking out a part splits what holds it, and nothing joins the pieces again, as in Linux. A frame that was taken
/// out can be shown for a while: <see cref="BeginUse"/> and <see cref="EndUse"/> nest, and only the outermost pair changes anything.
/// </remarks>
public sealed class DirectMap
{
    private const int FramesPer2M = 512;
    private const int FramesPer1G = FramesPer2M * 512;

    private readonly PageFrames frames;
    private readonly HostClock clock;
    private readonly KernelLog log;
    private readonly HostTlb[] tlbs;
    private readonly ulong[] absent;
    private readonly HashSet<ulong> split1G = [];
    private readonly HashSet<ulong> split2M = [];
    private readonly Dictionary<ulong, Use> uses = [];
    private readonly Dictionary<ulong, ulong> unflushed = [];

    internal DirectMap(PageFrames frames, HostClock clock, KernelLog log, int processors)
    {
        this.frames = frames;
        this.clock = clock;
        this.log = log;
        absent = new ulong[(frames.Count + 63) / 64];
        tlbs = new HostTlb[processors];
        for (int i = 0; i < processors; i++)
        {
            tlbs[i] = new HostTlb();
        }
    }

    /// <summary>Pages of 1 GiB and of 2 MiB that were split.</summary>
    public long Splits { get; private set; }

    /// <summary>Flushes, each of all processors.</summary>
    public long Flushes { get; private set; }

    /// <summary>Frames taken out, counting each time.</summary>
    public long Removals { get; private set; }

    /// <summary>Frames put back, counting each time.</summary>
    public long Restores { get; private set; }

    /// <summary>Frames that are out now, those shown for a while not counted.</summary>
    public long AbsentFrames { get; private set; }

    /// <summary>Frames that are out and shown for a while now.</summary>
    public int ExposedFrames => uses.Count;

    /// <summary>Ticks for which frames that are out were shown on purpose, summed over frames that are not shown any more.</summary>
    public ulong ExposedTicks { get; private set; }

    /// <summary>Ticks between taking a frame out and the flush that made it true, summed over frames flushed since.</summary>
    public ulong ResidualTicks { get; private set; }

    /// <summary>Frames taken out whose flush has not come yet.</summary>
    public int UnflushedFrames => unflushed.Count;

    /// <summary>Whether the page tables show a frame; a processor may see it for longer.</summary>
    public bool Shows(Pfn pfn) => !IsAbsent(pfn) || uses.ContainsKey(pfn.Value);

    /// <summary>Whether a frame is taken out, be it shown for a while or not.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    public bool IsAbsent(Pfn pfn)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(pfn.Value, frames.Count, nameof(pfn));
        return (absent[pfn.Value / 64] >> (int)(pfn.Value % 64) & 1) != 0;
    }

    /// <summary>Whether an access by the direct map succeeds on a processor, which then has the translation cached.</summary>
    /// <param name="pfn">The frame.</param>
    /// <param name="processor">The processor's number.</param>
    public bool TryAccess(Pfn pfn, int processor = 0)
    {
        if (!Shows(pfn))
        {
            return tlbs[processor].Holds(pfn.Value);
        }

        if (split2M.Count != 0)
        {
            tlbs[processor].Fill(pfn.Value);
        }

        return true;
    }

    /// <summary>Takes frames out (set_direct_map_invalid_noflush), and flushes unless told not to.</summary>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    /// <param name="flush">Flush all processors; without it they may see the frames until a later <see cref="Flush"/>.</param>
    public void Remove(Pfn first, ulong count, bool flush = true)
    {
        Split(first.Value, count);
        for (ulong i = 0; i < count; i++)
        {
            Pfn pfn = new(first.Value + i);
            if (IsAbsent(pfn))
            {
                continue;
            }

            absent[pfn.Value / 64] |= 1UL << (int)(pfn.Value % 64);
            AbsentFrames++;
            Removals++;
            unflushed[pfn.Value] = clock.Now;
        }

        if (flush)
        {
            Flush(first, count);
        }
    }

    /// <summary>Puts frames back (set_direct_map_default_noflush); what becomes visible needs no flush.</summary>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    public void Restore(Pfn first, ulong count)
    {
        if (AbsentFrames == 0)
        {
            return;
        }

        for (ulong i = 0; i < count; i++)
        {
            Pfn pfn = new(first.Value + i);
            if (!IsAbsent(pfn))
            {
                continue;
            }

            absent[pfn.Value / 64] &= ~(1UL << (int)(pfn.Value % 64));
            unflushed.Remove(pfn.Value);
            if (uses.Remove(pfn.Value, out Use use))
            {
                ExposedTicks += clock.Now - use.Since;
            }

            AbsentFrames--;
            Restores++;
        }
    }

    /// <summary>Shows a frame for a while if it is out; a use within a use changes nothing. Called under the folio's lock.</summary>
    /// <param name="pfn">The frame.</param>
    public void BeginUse(Pfn pfn)
    {
        if (!IsAbsent(pfn))
        {
            return;
        }

        bool within = uses.TryGetValue(pfn.Value, out Use use);
        uses[pfn.Value] = within ? use with { Depth = use.Depth + 1 } : new Use(1, clock.Now);
        if (!within)
        {
            unflushed.Remove(pfn.Value);
            Restores++;
        }
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

        if (!uses.TryGetValue(pfn.Value, out Use use))
        {
            log.Report(KernelEventKind.RefCountUnderflow, pfn, "a use of the direct map ended that had not begun");
            return;
        }

        if (use.Depth > 1)
        {
            uses[pfn.Value] = use with { Depth = use.Depth - 1 };
            return;
        }

        uses.Remove(pfn.Value);
        ExposedTicks += clock.Now - use.Since;
        Removals++;
        unflushed[pfn.Value] = clock.Now;
        if (flush)
        {
            Flush(pfn, 1);
        }
    }

    /// <summary>How many uses of a frame are going on.</summary>
    public int UseDepth(Pfn pfn) => uses.GetValueOrDefault(pfn.Value).Depth;

    /// <summary>Flushes a range on all processors.</summary>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    public void Flush(Pfn first, ulong count)
    {
        Flushes++;
        foreach (HostTlb tlb in tlbs)
        {
            tlb.Flush(first.Value, count);
        }

        if (count > HostTlb.SingleFlushCeiling)
        {
            foreach (ulong since in unflushed.Values)
            {
                ResidualTicks += clock.Now - since;
            }

            unflushed.Clear();
            return;
        }

        for (ulong i = 0; i < count; i++)
        {
            if (unflushed.Remove(first.Value + i, out ulong since))
            {
                ResidualTicks += clock.Now - since;
            }
        }
    }

    private void Split(ulong first, ulong count)
    {
        for (ulong block = first / FramesPer2M; block <= (first + count - 1) / FramesPer2M; block++)
        {
            ulong giant = block * FramesPer2M / FramesPer1G;
            bool wholeGiant = first <= giant * FramesPer1G && first + count >= (giant + 1) * FramesPer1G;
            if (!wholeGiant && split1G.Add(giant))
            {
                Splits++;
            }

            bool whole = first <= block * FramesPer2M && first + count >= (block + 1) * FramesPer2M;
            if (!whole && split2M.Add(block))
            {
                Splits++;
            }
        }
    }

    private readonly record struct Use(int Depth, ulong Since);
}
