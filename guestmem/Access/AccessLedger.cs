using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>What an access path has cost so far, in exact counts. Counters only grow.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct AccessLedger
{
    /// <summary>Accesses, those among them that failed included.</summary>
    public long Accesses;

    /// <summary>Accesses that failed.</summary>
    public long Failures;

    /// <summary>Bytes read.</summary>
    public long BytesRead;

    /// <summary>Bytes written.</summary>
    public long BytesWritten;

    /// <summary>Look-ups in page tables of the VMM's process.</summary>
    public long Walks;

    /// <summary>Faults that were taken so that a look-up could succeed.</summary>
    public long Faults;

    /// <summary>References taken; each is given back.</summary>
    public long References;

    /// <summary>Frames that the direct map was made to show again.</summary>
    public long Restores;

    /// <summary>Frames that were taken out of the direct map again.</summary>
    public long Removals;

    /// <summary>Ticks for which frames were to be seen that the direct map does not show: on purpose, until they were taken out again.</summary>
    public long ExposedTicks;

    /// <summary>Ticks for which frames that had been taken out again were still to be seen, for want of a flush, until it came.</summary>
    public long ResidualTicks;

    /// <summary>Entries made in a window or a temporary view.</summary>
    public long WindowMaps;

    /// <summary>Switches to a temporary view; each is followed by one back.</summary>
    public long ViewSwitches;

    /// <summary>Flushes of translations, of one processor or of all.</summary>
    public long Flushes;

    /// <summary>Processors that these flushes interrupted: none for one that concerns the own processor alone.</summary>
    public long InterruptedProcessors;

    /// <summary>Pages of the direct map that were split.</summary>
    public long Splits;

    /// <summary>Bytes copied to or from a bounce window.</summary>
    public long BytesBounced;
}
