namespace Quadwalk.GuestMemory;

/// <summary>
/// A named point in an operation of the host's: what comes next is done in one piece, and before it anything else may run.
/// </summary>
/// <remarks>
/// What the piece reads and changes is told as a set of bits, one for each thing that operations share, so that a search over
/// interleavings need not try both orders of pieces that have nothing to do with each other. <see cref="StepScope"/> hands the bits out.
/// </remarks>
public readonly struct Step
{
    // A lock, a condition or an operation: in one reference, since steps are copied often.
    private readonly object? gate;

    private Step(string name, ulong reads, ulong changes, object? gate = null, bool shared = false)
    {
        Name = name;
        Reads = reads;
        Changes = changes;
        Shared = shared;
        this.gate = gate;
    }

    /// <summary>What is about to be done, in the words of the kernel where it has some: <c>read the PTE</c>.</summary>
    public string Name { get; }

    /// <summary>What the piece reads, as bits of a <see cref="StepScope"/>.</summary>
    public ulong Reads { get; }

    /// <summary>What the piece changes.</summary>
    public ulong Changes { get; }

    /// <summary>The lock that must be free for the piece to begin, and which it then holds; null where none is taken.</summary>
    public HostLock? Lock => gate as HostLock;

    /// <summary>Whether <see cref="Lock"/> is taken together with other readers.</summary>
    public bool Shared { get; }

    /// <summary>What must hold for the piece to begin; null: nothing. It must not change anything.</summary>
    public Func<bool>? Until => gate as Func<bool>;

    /// <summary>An operation that is to be done, step by step, in place of a piece.</summary>
    internal HostOperation? Call => gate as HostOperation;

    /// <summary>Whether the piece could begin now.</summary>
    public bool IsEnabled => gate is null || (gate is HostLock @lock ? @lock.IsFree(Shared) : gate is not Func<bool> until || until());

    /// <summary>A piece of work.</summary>
    /// <param name="name">What it does.</param>
    /// <param name="reads">What it reads.</param>
    /// <param name="changes">What it changes.</param>
    public static Step Do(string name, ulong reads, ulong changes = 0) => new(name, reads, changes);

    /// <summary>A piece of work that begins by taking a lock, alone.</summary>
    /// <param name="name">What it does.</param>
    /// <param name="lock">The lock; the operation gives it back with <see cref="HostLock.Release"/>.</param>
    /// <param name="reads">What it reads beside.</param>
    /// <param name="changes">What it changes beside.</param>
    public static Step Acquire(string name, HostLock @lock, ulong reads = 0, ulong changes = 0)
    {
        ArgumentNullException.ThrowIfNull(@lock);
        return new(name, reads, changes | @lock.Bit, @lock);
    }

    /// <summary>A piece of work that begins by taking a lock together with other readers.</summary>
    /// <param name="name">What it does.</param>
    /// <param name="lock">The lock; the operation gives it back with <see cref="HostLock.Release"/>.</param>
    /// <param name="reads">What it reads beside.</param>
    /// <param name="changes">What it changes beside.</param>
    public static Step AcquireShared(string name, HostLock @lock, ulong reads = 0, ulong changes = 0)
    {
        ArgumentNullException.ThrowIfNull(@lock);
        return new(name, reads | @lock.Bit, changes, @lock, shared: true);
    }

    /// <summary>A piece of work that waits for something.</summary>
    /// <param name="name">What it does then.</param>
    /// <param name="until">What must hold.</param>
    /// <param name="reads">What <paramref name="until"/> and the piece read.</param>
    /// <param name="changes">What the piece changes.</param>
    public static Step Wait(string name, Func<bool> until, ulong reads, ulong changes = 0)
    {
        ArgumentNullException.ThrowIfNull(until);
        return new(name, reads, changes, until);
    }

    /// <summary>All of another operation, step by step.</summary>
    public static Step Through(HostOperation operation)
    {
        ArgumentNullException.ThrowIfNull(operation);
        return new(operation.Name, 0, 0, operation);
    }

    /// <summary>Whether the order of two pieces can make no difference.</summary>
    public static bool Independent(in Step one, in Step other) =>
        (one.Changes & (other.Reads | other.Changes)) == 0 && (other.Changes & one.Reads) == 0;

    /// <inheritdoc/>
    public override string ToString() => Name;
}
