using System.Diagnostics;
using System.Globalization;
using Quadwalk.Emulation;

namespace Quadwalk.Benchmarks;

/// <summary>
/// Runs the sample guests, each several times in turn, and prints the best of each: instructions a second with paging on, and
/// nanoseconds for what the storm guests do a million times. Turns are interleaved, so that a busy host slows all alike.
/// </summary>
internal static class GuestTable
{
    private const int Turns = 5;
    private const double StormEvents = 1_000_000;

    private static readonly string[] Guests = ["primes", "sha256", "quicksort", "nbody", "blend", "matmul", "mandel80", "fault_storm", "mmio_storm"];

    /// <summary>Prints the table; the arguments name guests, none for all.</summary>
    public static int Print(string[] names, TextWriter output)
    {
        string[] guests = names.Length == 0 ? Guests : names;
        Dictionary<string, Result> best = [];
        for (int turn = 0; turn < Turns; turn++)
        {
            foreach (string guest in guests)
            {
                Result result = Run(guest);
                if (!best.TryGetValue(guest, out Result known) || result.Seconds < known.Seconds)
                {
                    best[guest] = result;
                }
            }
        }

        output.WriteLine("guest          instructions   seconds      MIPS   ns an event   bytes allocated");
        foreach (string guest in guests)
        {
            Result result = best[guest];
            string perEvent = guest.EndsWith("storm", StringComparison.Ordinal)
                ? (result.Seconds * 1e9 / StormEvents).ToString("f0", CultureInfo.InvariantCulture)
                : "";
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{guest,-12}  {result.Instructions,13}  {result.Seconds,8:f3}  {result.Instructions / result.Seconds / 1e6,8:f0}  {perEvent,12}  {result.Allocated,16}"));
        }

        return 0;
    }

    private static Result Run(string guest)
    {
        using Machine machine = new(new MachineOptions());
        byte[] file = File.ReadAllBytes(Path.Combine(SamplesFolder(), guest + ".elf"));
        ImageLoader.Load(machine, ElfImage.Parse(file, machine.Options.RamBytes));
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        Stopwatch clock = Stopwatch.StartNew();
        StopReport report = machine.Run();
        clock.Stop();
        if (report.Reason != StopReason.Halted)
        {
            throw new InvalidOperationException($"{guest}: {report}");
        }

        return new Result(machine.Cpu.Counters.Instructions, clock.Elapsed.TotalSeconds, GC.GetAllocatedBytesForCurrentThread() - allocated);
    }

    private static string SamplesFolder()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Quadwalk.slnx")))
            {
                return Path.Combine(folder.FullName, "samples", "guests");
            }
        }

        throw new DirectoryNotFoundException("no Quadwalk.slnx above the benchmarks: run them from a checkout");
    }

    private readonly record struct Result(ulong Instructions, double Seconds, long Allocated);
}
