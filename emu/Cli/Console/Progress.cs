using System.Diagnostics;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>Shows on a status line, from its own thread, how far a run has come.</summary>
internal sealed class Progress : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(250);

    private readonly StatusLine line;
    private readonly CpuCounters counters;
    private readonly long start = Stopwatch.GetTimestamp();
    private readonly Timer timer;
    private bool ended;

    public Progress(StatusLine line, CpuCounters counters, TimeSpan delay)
    {
        this.line = line;
        this.counters = counters;
        timer = new Timer(_ => Show(), null, delay, Period);
    }

    public void Dispose()
    {
        timer.Dispose();
        lock (line)
        {
            ended = true;
            line.Erase();
        }
    }

    private void Show()
    {
        lock (line)
        {
            if (!ended)
            {
                line.Draw(RunStatistics.Summarize(counters.Instructions, Stopwatch.GetElapsedTime(start)));
            }
        }
    }
}
