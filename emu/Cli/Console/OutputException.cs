namespace Quadwalk.Cli;

/// <summary>Standard output cannot be written.</summary>
internal sealed class OutputException(Exception cause)
    : Exception($"the output cannot be written: {cause.Message}", cause)
{
    private const int BrokenPipe = 32;

    /// <summary>Whether its reader has gone away, as <c>head</c> does: nothing to tell a person about.</summary>
    public bool IsClosedPipe { get; } = cause.HResult == BrokenPipe || (cause.InnerException?.HResult ?? 0) == BrokenPipe;
}
