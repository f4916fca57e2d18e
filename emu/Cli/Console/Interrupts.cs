using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Quadwalk.Cli;

/// <summary>Turns the first SIGINT or SIGTERM into a cancellation; a later one ends the process as if nobody listened.</summary>
/// <remarks>A second one at once is the same wish: <c>timeout</c> signals its child, and then the group that the child is in.</remarks>
internal sealed class Interrupts : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    private readonly Lock once = new();
    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration interrupt;
    private readonly PosixSignalRegistration terminate;
    private long first;

    public Interrupts()
    {
        interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle);
        terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle);
    }

    public CancellationToken Token => source.Token;

    public void Dispose()
    {
        interrupt.Dispose();
        terminate.Dispose();
        source.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        lock (once)
        {
            if (first == 0)
            {
                first = Stopwatch.GetTimestamp();
            }

            context.Cancel = Stopwatch.GetElapsedTime(first) < Patience;
        }

        source.Cancel();
    }
}
