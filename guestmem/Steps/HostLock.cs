namespace Quadwalk.GuestMemory;

/// <summary>
/// A lock of the modelled kernel, held from a step to its release, across other steps. It knows nothing of threads: steps are taken by
/// one at a time, and a step whose lock is not free is not taken.
/// </summary>
public sealed class HostLock
{
    private int readers;
    private bool held;

    /// <summary>Makes a free lock.</summary>
    /// <param name="name">The kernel's name for it: <c>mmap_lock</c>.</param>
    /// <param name="scope">Where its bit comes from.</param>
    public HostLock(string name, StepScope scope)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(scope);
        Name = name;
        Bit = scope.Take();
    }

    /// <summary>The kernel's name for it.</summary>
    public string Name { get; }

    /// <summary>Its bit among what steps read and change.</summary>
    public ulong Bit { get; }

    /// <summary>Held by one alone.</summary>
    public bool IsHeldAlone => held;

    /// <summary>Whether it could be taken.</summary>
    /// <param name="shared">Together with other readers.</param>
    public bool IsFree(bool shared) => !held && (shared || readers == 0);

    /// <summary>Takes it if it is free; false if not.</summary>
    /// <param name="shared">Together with other readers.</param>
    public bool TryAcquire(bool shared)
    {
        if (!IsFree(shared))
        {
            return false;
        }

        if (shared)
        {
            readers++;
        }
        else
        {
            held = true;
        }

        return true;
    }

    /// <summary>Gives it back, however it was taken.</summary>
    /// <exception cref="InvalidOperationException">Nobody holds it.</exception>
    public void Release()
    {
        if (held)
        {
            held = false;
        }
        else if (readers > 0)
        {
            readers--;
        }
        else
        {
            throw new InvalidOperationException($"{Name} was released and nobody held it");
        }
    }

    /// <inheritdoc/>
    public override string ToString() => held ? $"{Name} (held)" : readers > 0 ? $"{Name} ({readers} readers)" : Name;
}
