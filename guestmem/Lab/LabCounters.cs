namespace Quadwalk.GuestMemory;

/// <summary>The counters of a modelled host and its guests, by the names under which a run shows them.</summary>
internal static class LabCounters
{
    /// <summary>Reads them all, in the order in which they are shown.</summary>
    public static IReadOnlyList<(string Name, long Value)> Read(HostKernel kernel, IReadOnlyList<Kvm> guests) =>
    [
        ("free frames", (long)kernel.Allocator.FreeFrames),
        ("references taken", kernel.Folios.Gets),
        ("references dropped", kernel.Folios.Puts),
        ("direct map: frames removed", kernel.DirectMap.Removals),
        ("direct map: frames restored", kernel.DirectMap.Restores),
        ("direct map: splits", kernel.DirectMap.Splits),
        ("direct map: flushes", kernel.DirectMap.Flushes),
        ("direct map: processors interrupted", kernel.DirectMap.Interrupts),
        ("direct map: ticks shown for a while", (long)kernel.DirectMap.ExposedTicks),
        ("direct map: ticks from removal to flush", (long)kernel.DirectMap.ResidualTicks),
        ("process TLB flushes", kernel.Processes.Sum(process => process.Flushes)),
        ("stage-2 installs", guests.Sum(guest => guest.StageTwo.Installs)),
        ("stage-2 zaps", guests.Sum(guest => guest.StageTwo.Zaps)),
        ("guest TLB flushes", guests.Sum(guest => guest.Flushes)),
        ("complaints", kernel.Log.Count),
    ];
}
