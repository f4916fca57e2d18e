using System.Diagnostics;
using System.Globalization;

namespace Quadwalk.Benchmarks;

/// <summary>Rows of work measured side by side: in turns of a few milliseconds each, so that a busy host slows all alike, and the best turn of each counts.</summary>
internal static class BestOfTurns
{
    private const double TurnSeconds = 0.003;
    private const double WarmSeconds = 1.5;

    /// <summary>Measures the rows and prints them.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="turns">How many turns each gets.</param>
    /// <param name="output">Receives the table.</param>
    public static void Print(IReadOnlyList<Row> rows, int turns, TextWriter output)
    {
        // The JIT compiles what is called often a second time, in the background: until it has, the turns do not count.
        long warm = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(warm).TotalSeconds < WarmSeconds)
        {
            foreach (Row row in rows)
            {
                row.Calibrate();
            }
        }

        for (int turn = 0; turn < turns; turn++)
        {
            foreach (Row row in rows)
            {
                row.Run();
            }
        }

        output.WriteLine("operation                                            ns       B");
        foreach (Row row in rows)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{row.Name,-48}  {row.BestNanoseconds,6:f1}  {row.Bytes,6:f0}"));
        }
    }

    /// <summary>One kind of work.</summary>
    /// <param name="name">What it is.</param>
    /// <param name="work">Does it.</param>
    /// <param name="operations">How many operations one call is.</param>
    internal sealed class Row(string name, Func<ulong> work, int operations)
    {
        private int calls = 1;
        private long timed;
        private long allocated;

        public string Name => name;

        public double BestNanoseconds { get; private set; } = double.MaxValue;

        /// <summary>Bytes that an operation allocates, on the average of all turns.</summary>
        public double Bytes => (double)allocated / timed / operations;

        public void Calibrate()
        {
            calls = 1;
            // Whoever is interrupted once seems slow: it takes two.
            while (Math.Min(Time(), Time()) < TurnSeconds)
            {
                calls *= 2;
            }
        }

        public void Run()
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            BestNanoseconds = Math.Min(BestNanoseconds, Time() * 1e9 / calls / operations);
            allocated += GC.GetAllocatedBytesForCurrentThread() - before;
            timed += calls;
        }

        private double Time()
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < calls; i++)
            {
                work();
            }

            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
    }
}
