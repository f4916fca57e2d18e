namespace Quadwalk.GuestMemory;

/// <summary>
/// A named experiment with the modelled host: a short piece of C# that reads as a selftest of the kernel's does, and that a person can run
/// by its name.
/// </summary>
/// <param name="Name">Its name, by which it is run: <c>pfnmap-without-references</c>. Lower case, words joined by hyphens.</param>
/// <param name="Row">The row of the host-memory table that it shows: 1 to 47.</param>
/// <param name="Title">What it shows, in a sentence.</param>
/// <param name="Body">What is done and expected.</param>
public sealed record LabScenario(string Name, int Row, string Title, Action<LabBench> Body)
{
    /// <summary>The kernels whose rules it is run under; one that only a posted series has is run under that one alone.</summary>
    public IReadOnlyList<KernelBehavior> Behaviors { get; init; } = [KernelBehavior.V6_13];

    /// <summary>Runs it once.</summary>
    /// <param name="behavior">Whose rules are followed.</param>
    /// <param name="memory">What holds the frames' content.</param>
    /// <returns>What was done, and whether all that was expected came true. Nothing that the body does makes this throw.</returns>
    public LabRun Run(KernelBehavior behavior, HostMemoryKind memory = HostMemoryKind.Auto) =>
        Run(new LabOptions { Behavior = behavior, Memory = memory });

    /// <summary>Runs it once.</summary>
    /// <param name="options">How.</param>
    /// <returns>What was done, and whether all that was expected came true. Nothing that the body does makes this throw.</returns>
    /// <exception cref="OperationCanceledException"><see cref="LabOptions.Cancellation"/> ended it.</exception>
    public LabRun Run(LabOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        using LabBench bench = new(options);
        string? error = null;
        try
        {
            Body(bench);
        }
        catch (OperationCanceledException) when (options.Cancellation.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception e)
        {
            error = $"{e.GetType().Name}: {e.Message}";
        }

        return bench.Finish(this, error);
    }
}
