using System.Runtime.ExceptionServices;

namespace Quadwalk.Tests;

/// <summary>Shares parts of work out to as many threads as there are processors.</summary>
/// <remarks>Its own threads: the pool's are added to while all are busy for long, and each of them would bring tables of its own.</remarks>
internal static class SweepWorkers
{
    /// <summary>Does each part once.</summary>
    /// <param name="parts">How many parts there are.</param>
    /// <param name="newWorker">Makes what a thread works with.</param>
    /// <param name="work">Does a part, by its number.</param>
    /// <returns>What the threads worked with.</returns>
    public static IReadOnlyList<TWorker> Run<TWorker>(int parts, Func<TWorker> newWorker, Action<TWorker, int> work)
    {
        TWorker[] workers = [.. Enumerable.Range(0, Math.Min(parts, Environment.ProcessorCount)).Select(_ => newWorker())];
        ExceptionDispatchInfo? failure = null;
        int next = -1;
        Thread[] threads = [.. workers.Select(worker => new Thread(() =>
        {
            try
            {
                for (int part = Interlocked.Increment(ref next); part < parts && failure == null; part = Interlocked.Increment(ref next))
                {
                    work(worker, part);
                }
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(exception), null);
            }
        }))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        failure?.Throw();
        return workers;
    }
}
