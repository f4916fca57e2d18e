using System.Diagnostics;
using System.Globalization;
using Quadwalk.Emulation;
using Unicorn.Net;

namespace Quadwalk.Benchmarks;

/// <summary>
/// Runs the sample guests, each several times in turn, and prints the best of each: instructions a second with paging on, and
/// nanoseconds for what the storm guests do a million times. Turns are interleaved, so that a busy host slows all alike.
/// </summary>
internal static class GuestTable
{
    private const int Turns = 5;
    private const int EngineTurns = 3;
    private const double StormEvents = 1_000_000;

    private static readonly string[] Guests = ["primes", "sha256", "quicksort", "nbody", "blend", "matmul", "mandel80", "fault_storm", "mmio_storm"];

    /// <summary>Prints the table; the arguments name guests, none for all. Behind <c>--unicorn PATH</c> it has a column for that library.</summary>
    public static int Print(string[] names, TextWriter output)
    {
        if (names is ["--unicorn", string path, ..])
        {
            UnicornLibrary.Load(path);
            return PrintEngines(names.Length == 2 ? Guests : names[2..], output);
        }

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

    /// <summary>Both engines side by side: what Unicorn has of the instructions when it is exact, and when all its errata are tolerated.</summary>
    private static int PrintEngines(string[] guests, TextWriter output)
    {
        MachineOptions[] engines =
        [
            new(), new() { Engine = EngineKind.Unicorn }, new() { Engine = EngineKind.Unicorn, Tolerated = UnicornErrata.All },
        ];
        Dictionary<(string, int), Result> best = [];
        for (int turn = 0; turn < EngineTurns; turn++)
        {
            foreach (string guest in guests)
            {
                for (int engine = 0; engine < engines.Length; engine++)
                {
                    Result result = Run(guest, engines[engine]);
                    if (!best.TryGetValue((guest, engine), out Result known) || result.Seconds < known.Seconds)
                    {
                        best[(guest, engine)] = result;
                    }
                }
            }
        }

        output.WriteLine("MIPS           interpreter   unicorn (share it executes)   with its errata");
        foreach (string guest in guests)
        {
            Result exact = best[(guest, 1)], tolerant = best[(guest, 2)];
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{guest,-12}  {best[(guest, 0)].Mips,12:f0}  {exact.Mips,8:f0}  {exact.UnicornShare,18:p0}  {tolerant.Mips,9:f0} {tolerant.UnicornShare,8:p0}"));
        }

        return 0;
    }

    private static Result Run(string guest, MachineOptions? options = null)
    {
        using Machine machine = new(options ?? new MachineOptions());
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

        CpuCounters counters = machine.Cpu.Counters;
        return new Result(counters.Instructions, clock.Elapsed.TotalSeconds, GC.GetAllocatedBytesForCurrentThread() - allocated, counters.UnicornInstructions);
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

    private readonly record struct Result(ulong Instructions, double Seconds, long Allocated, ulong UnicornInstructions)
    {
        public double Mips => Instructions / Seconds / 1e6;

        public double UnicornShare => (double)UnicornInstructions / Instructions;
    }
}
