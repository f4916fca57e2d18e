using System.Globalization;
using Quadwalk.GuestMemory;

namespace Quadwalk.Benchmarks;

/// <summary>What the modelled host costs, and the real memory behind it: by <see cref="BestOfTurns"/>, each row with the call of a delegate.</summary>
internal static class HostMemoryTable
{
    private const int Turns = 100;
    private const double NanosecondsPerMinute = 60e9;

    /// <summary>Prints the table.</summary>
    public static int Print(TextWriter output)
    {
        if (!HostCapabilities.Probe().Memfd)
        {
            output.WriteLine("the table needs a memfd, which this host has not");
            return 1;
        }

        using HostMemoryWork modelled = new(mirrored: false);
        using HostMemoryWork mirrored = new(mirrored: true);
        using HostMemoryWork history = new(mirrored: false);
        using AccessPathWork paths = new();
        BestOfTurns.Row random = new("random operation", history.RandomOperations, HostMemoryWork.RandomAtATime);
        BestOfTurns.Row[] rows =
        [
            new("LookupPfn", modelled.LookupPfn, 1),
            new("hva to pfn, fast, with reference and release", modelled.FastResolve, 1),
            new("hva to pfn as an operation, at once", modelled.ResolveAtOnce, 1),
            new("hva to pfn, step by step", modelled.ResolveBySteps, 1),
            new("hva to pfn after madvise(DONTNEED), with both", modelled.ResolveAbsent, 1),
            new("get_user_pages, fast only", modelled.Gup, 1),
            new("stage-2 fault, mapped already", modelled.StageTwoAtOnce, 1),
            new("stage-2 fault, step by step", modelled.StageTwoBySteps, 1),
            new("stage-2 fault after a zap, with both", modelled.StageTwoAfterZap, 1),
            new("direct map: out, flush, in; modelled", modelled.DirectMapOutAndIn, 1),
            new("direct map: out, flush, in; real (2 mprotect)", mirrored.DirectMapOutAndIn, 1),
            .. paths.Rows(),
            new("nofault read of 8 bytes", modelled.ReadGood8, 1),
            new("nofault read of 8 bytes that are gone", modelled.ReadBad8, 1),
            new("nofault read of 4096 bytes", modelled.ReadGood4096, 1),
            new("process_vm_readv of 8 bytes", modelled.CallGood8, 1),
            new("process_vm_readv of 8 bytes that are gone", modelled.CallBad8, 1),
            new("process_vm_readv of 4096 bytes", modelled.CallGood4096, 1),
            random,
        ];
        BestOfTurns.Print(rows, Turns, output);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{NanosecondsPerMinute / random.BestNanoseconds / 1e6:f0} million random operations a minute"));
        return 0;
    }
}
