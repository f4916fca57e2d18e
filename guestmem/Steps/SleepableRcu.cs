namespace Quadwalk.GuestMemory;

/// <summary>
/// Sleepable read-copy-update (<c>kernel/rcu/srcutree.c</c>): readers mark where they use what was published, and whoever has published
/// something else waits until none of those is left that may have seen the old.
/// </summary>
/// <remarks>
/// Readers count under one of two numbers. A writer makes the other number the current one and waits for the count under the old to reach 0;
/// writers come one at a time. A step of a reader says that it reads <see cref="Bit"/>, since readers do not mind each other, and one of a
/// writer that it changes it.
/// </remarks>
public sealed class SleepableRcu
{
    private readonly int[] readers = new int[2];
    private int current;

    /// <summary>Makes one without readers.</summary>
    /// <param name="scope">Where its bit comes from.</param>
    public SleepableRcu(StepScope scope)
    {
        ArgumentNullException.ThrowIfNull(scope);
        Bit = scope.Take();
    }

    /// <summary>Its bit among what steps read and change.</summary>
    public ulong Bit { get; }

    /// <summary>How many read sections have begun and not ended.</summary>
    public int Readers => readers[0] + readers[1];

    /// <summary>srcu_read_lock: begins a read section.</summary>
    /// <returns>What <see cref="ReadUnlock"/> wants.</returns>
    public int ReadLock()
    {
        readers[current]++;
        return current;
    }

    /// <summary>srcu_read_unlock: ends a read section.</summary>
    /// <param name="index">What <see cref="ReadLock"/> has given.</param>
    /// <exception cref="InvalidOperationException">No section has begun there.</exception>
    public void ReadUnlock(int index)
    {
        if (readers[index] == 0)
        {
            throw new InvalidOperationException("a read section ended that had not begun");
        }

        readers[index]--;
    }

    /// <summary>Begins to wait: what <see cref="IsQuiet"/> is to be asked with.</summary>
    public int Flip()
    {
        int old = current;
        current ^= 1;
        return old;
    }

    /// <summary>Whether every read section that had begun before <see cref="Flip"/> has ended.</summary>
    /// <param name="index">What <see cref="Flip"/> has given.</param>
    public bool IsQuiet(int index) => readers[index] == 0;
}
