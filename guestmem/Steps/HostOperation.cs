namespace Quadwalk.GuestMemory;

/// <summary>
/// Something that the modelled host does, written as a sequence of named steps: run in one go by whoever wants its result, or step by
/// step beside others by a <see cref="StepScheduler"/>.
/// </summary>
/// <remarks>
/// An operation is made for one run. The code between two steps of <see cref="Steps"/> is one piece; the step before it names it. A lock that
/// a step names is taken when its piece begins, and the operation releases it.
/// </remarks>
public abstract class HostOperation
{
    /// <summary>What it is, in the words of the kernel: <c>munmap</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Its steps.</summary>
    protected internal abstract IEnumerable<Step> Steps();

    /// <summary>Runs it to its end.</summary>
    /// <exception cref="InvalidOperationException">It needs a lock that somebody holds, or waits for something that cannot come.</exception>
    public void Run()
    {
        if (TryAtOnce())
        {
            return;
        }

        foreach (Step step in Steps())
        {
            if (step.Call is HostOperation inner)
            {
                inner.Run();
                continue;
            }

            if (!step.IsEnabled)
            {
                throw new InvalidOperationException($"{Name}: '{step.Name}' cannot go on{(step.Lock is null ? "" : $": {step.Lock} is not free")}");
            }

            step.Lock?.TryAcquire(step.Shared);
        }
    }

    /// <summary>
    /// Does all of it in one piece, for an operation that is run by itself and needs none of its steps: with the outcome and the effects of
    /// these, and without allocating anything. False: nothing was done.
    /// </summary>
    private protected virtual bool TryAtOnce() => false;

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>An operation with an outcome.</summary>
/// <typeparam name="TResult">The outcome's type.</typeparam>
public abstract class HostOperation<TResult> : HostOperation
{
    /// <summary>The outcome, once the operation has come to its end.</summary>
    public TResult? Result { get; protected set; }

    /// <summary>Runs it to its end.</summary>
    /// <returns>The outcome.</returns>
    /// <exception cref="InvalidOperationException">It needs a lock that somebody holds, or waits for something that cannot come.</exception>
    public new TResult Run()
    {
        base.Run();
        return Result!;
    }
}
