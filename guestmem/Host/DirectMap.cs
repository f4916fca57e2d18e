namespace Quadwalk.GuestMemory;

/// <summary>
/// The kernel's mapping of all frames: which it shows, what taking frames out of it has cost in split pages and flushes, and for how long
/// frames were to be seen that should not be (<c>arch/x86/mm/pat/set_memory.c</c>).
/// </summary>
/// <remarks>
/// It begins with 1 GiB pages. Taking out a part splits what holds it, and nothing joins the pieces again, as in Linux. A frame that was taken
/// out can be shown for a while: <see cref="BeginUse"/> and <see cref="EndUse"/> nest, and only the outermost pair changes anything. Every
/// processor caches what it uses, by pages of the size that the map has at that time.
/// </remarks>
public sealed partial class DirectMap
{
    private const int ShiftTo2M = 9;
    private const int ShiftTo1G = 18;
    private const ulong FramesPer2M = 1UL << ShiftTo2M;

    private readonly HostKernel kernel;
    private readonly HostClock clock;
    private readonly ulong count;
    private readonly DirectMapTlb[] tlbs;
    private readonly ulong[] absent;
    private readonly ulong[] split1G;
    private readonly ulong[] split2M;
    private readonly FrameState[]?[] states;
    private readonly List<ulong> unflushed = [];

    /// <summary>Told after <see cref="Shows"/> has changed for a frame.</summary>
    internal Action<Pfn>? ShowsChanged { get; set; }

    internal DirectMap(HostKernel kernel)
    {
        this.kernel = kernel;
        clock = kernel.Clock;
        count = kernel.Frames.Count;
        Bit = kernel.Scope.Take();
        absent = new ulong[Words(count)];
        split2M = new ulong[Words((count >> ShiftTo2M) + 1)];
        split1G = new ulong[Words((count >> ShiftTo1G) + 1)];
        states = new FrameState[]?[(count >> ShiftTo2M) + 1];
        tlbs = new DirectMapTlb[kernel.Options.Processors];
        for (int i = 0; i < tlbs.Length; i++)
        {
            tlbs[i] = new DirectMapTlb();
        }
    }

    /// <summary>The bit by which steps say that they read or change it, or the lock of a folio for its sake.</summary>
    public ulong Bit { get; }

    /// <summary>Pages of 1 GiB and of 2 MiB that were split.</summary>
    public long Splits { get; private set; }

    /// <summary>Flushes, each of all processors.</summary>
    public long Flushes { get; private set; }

    /// <summary>Processors that flushes have interrupted: for each flush all but the one that asks.</summary>
    public long Interrupts { get; private set; }

    /// <summary>Frames taken out, counting each time.</summary>
    public long Removals { get; private set; }

    /// <summary>Frames put back, counting each time.</summary>
    public long Restores { get; private set; }

    /// <summary>Accesses that only a stale translation made possible.</summary>
    public long StaleAccesses { get; private set; }

    /// <summary>Frames that are out now, those shown for a while among them.</summary>
    public long AbsentFrames { get; private set; }

    /// <summary>Frames that are out and shown for a while now.</summary>
    public int ExposedFrames { get; private set; }

    /// <summary>Ticks for which frames that are out were shown on purpose, summed over frames that are not shown any more.</summary>
    public ulong ExposedTicks { get; private set; }

    /// <summary>Ticks between taking a frame out and the flush that made it true, summed over frames flushed since.</summary>
    public ulong ResidualTicks { get; private set; }

    /// <summary>Frames taken out whose flush has not come yet.</summary>
    public int UnflushedFrames { get; private set; }

    /// <summary>Whether the page tables show a frame; a processor may see it for longer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    public bool Shows(Pfn pfn) => !IsAbsent(pfn) || UseDepth(pfn) != 0;

    /// <summary>Whether a frame is taken out, be it shown for a while or not.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such frame.</exception>
    public bool IsAbsent(Pfn pfn)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(pfn.Value, count, nameof(pfn));
        return Has(absent, pfn.Value);
    }

    /// <summary>Whether a processor can reach a frame: the page tables show it, or the processor has a stale translation.</summary>
    /// <param name="pfn">The frame.</param>
    /// <param name="processor">The processor's number.</param>
    public bool Reaches(Pfn pfn, int processor) => Shows(pfn) || tlbs[processor].Holds(pfn.Value);

    /// <summary>Whether an access by the direct map succeeds on a processor, which then has the translation cached.</summary>
    /// <param name="pfn">The frame.</param>
    /// <param name="processor">The processor's number.</param>
    public bool TryAccess(Pfn pfn, int processor = 0)
    {
        if (!Shows(pfn))
        {
            bool stale = tlbs[processor].Holds(pfn.Value);
            StaleAccesses += stale ? 1 : 0;
            return stale;
        }

        tlbs[processor].Fill(pfn.Value, Has(split1G, pfn.Value >> ShiftTo1G) ? Has(split2M, pfn.Value >> ShiftTo2M) ? 1 : 2 : 3);
        return true;
    }

    /// <summary>Takes frames out (set_direct_map_invalid_noflush), and flushes unless told not to.</summary>
    /// <param name="first">The first frame.</param>
    /// <param name="count">How many.</param>
    /// <param name="flush">Flush all processors; without it they may see the frames until a later <see cref="Flush(Pfn, ulong)"/>.</param>
    public void Remove(Pfn first, ulong count, bool flush = true)
    {
        Split(first.Value, count);
        for (ulong pfn = first.Value; pfn < first.Value + count; pfn++)
        {
            if (IsAbsent(new Pfn(pfn)))
            {
                continue;
            }

            absent[pfn / 64] |= 1UL << (int)(pfn % 64);
            AbsentFrames++;
            TakenOut(pfn);
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

        for (ulong pfn = first.Value; pfn < first.Value + count; pfn++)
        {
            if (!IsAbsent(new Pfn(pfn)))
            {
                continue;
            }

            ref FrameState state = ref StateOf(pfn);
            Settle(ref state, counted: false);
            if (state.Depth != 0)
            {
                EndExposure(ref state);
            }

            absent[pfn / 64] &= ~(1UL << (int)(pfn % 64));
            AbsentFrames--;
            Restores++;
            ShowsChanged?.Invoke(new Pfn(pfn));
        }
    }

    private void TakenOut(ulong pfn)
    {
        Removals++;
        ref FrameState state = ref StateOf(pfn);
        if (state.UnflushedSince == 0)
        {
            UnflushedFrames++;
            unflushed.Add(pfn);
        }

        state.UnflushedSince = clock.Now + 1;
        ShowsChanged?.Invoke(new Pfn(pfn));
    }

    private void Split(ulong first, ulong count)
    {
        for (ulong block = first >> ShiftTo2M; block <= (first + count - 1) >> ShiftTo2M; block++)
        {
            ulong giant = block >> (ShiftTo1G - ShiftTo2M);
            bool wholeGiant = first <= giant << ShiftTo1G && first + count >= (giant + 1) << ShiftTo1G;
            Splits += !wholeGiant && Set(split1G, giant) ? 1 : 0;
            bool whole = first <= block << ShiftTo2M && first + count >= (block + 1) << ShiftTo2M;
            Splits += !whole && Set(split2M, block) ? 1 : 0;
        }
    }

    private ref FrameState StateOf(ulong pfn) =>
        ref (states[pfn >> ShiftTo2M] ??= new FrameState[FramesPer2M])[pfn & (FramesPer2M - 1)];

    private static ulong Words(ulong bits) => (bits + 63) / 64;

    private static bool Has(ulong[] bits, ulong index) => (bits[index / 64] >> (int)(index % 64) & 1) != 0;

    private static bool Set(ulong[] bits, ulong index)
    {
        bool added = !Has(bits, index);
        bits[index / 64] |= 1UL << (int)(index % 64);
        return added;
    }

    // Since: when the outermost use began. UnflushedSince: when it was taken out, plus 1; 0: it is flushed.
    private struct FrameState
    {
        public int Depth;
        public ulong Since;
        public ulong UnflushedSince;
    }
}
