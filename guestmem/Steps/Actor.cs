namespace Quadwalk.GuestMemory;

/// <summary>One party of a scenario and where it stands: before a step of an operation, or at its end.</summary>
public sealed class Actor
{
    private readonly Stack<IEnumerator<Step>> callers = new();
    private IEnumerator<Step> steps;
    private Step next;

    /// <summary>Stands before the first step of an operation.</summary>
    /// <param name="name">Who it is: <c>vcpu0</c>.</param>
    /// <param name="operation">What it does.</param>
    public Actor(string name, HostOperation operation)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(operation);
        Name = name;
        Operation = operation;
        steps = operation.Steps().GetEnumerator();
        Advance();
    }

    /// <summary>Who it is.</summary>
    public string Name { get; }

    /// <summary>What it does.</summary>
    public HostOperation Operation { get; }

    /// <summary>Nothing is left to do.</summary>
    public bool IsDone { get; private set; }

    /// <summary>The step it stands before.</summary>
    public ref readonly Step Next => ref next;

    /// <summary>Whether it can go on.</summary>
    public bool IsEnabled => !IsDone && next.IsEnabled;

    /// <summary>Takes one step.</summary>
    /// <exception cref="InvalidOperationException">It cannot go on.</exception>
    public void Go()
    {
        if (!IsEnabled)
        {
            throw new InvalidOperationException($"{Name} cannot go on{(IsDone ? ": it is done" : $" with '{next.Name}'")}");
        }

        next.Lock?.TryAcquire(next.Shared);
        Advance();
    }

    // Runs the piece that follows the current step, up to the next step.
    private void Advance()
    {
        while (true)
        {
            if (!steps.MoveNext())
            {
                steps.Dispose();
                if (!callers.TryPop(out IEnumerator<Step>? caller))
                {
                    IsDone = true;
                    next = default;
                    return;
                }

                steps = caller;
                continue;
            }

            next = steps.Current;
            if (next.Call is null)
            {
                return;
            }

            callers.Push(steps);
            steps = next.Call.Steps().GetEnumerator();
        }
    }
}
