namespace Quadwalk.Emulation;

/// <summary>
/// A Linux program, statically linked, in ring 3 of a machine: its system calls are served here, on memory that its own page tables map.
/// </summary>
/// <remarks>Everything is determined by the options, the input and the files that may be seen: the same run gives the same output.</remarks>
public sealed class LinuxSession
{
    private readonly LinuxKernel kernel;

    /// <summary>Loads a program into a machine that has run nothing yet.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="options">The program, its arguments and what it may see.</param>
    /// <exception cref="ImageFormatException">The program cannot be run.</exception>
    public LinuxSession(Machine machine, LinuxOptions options)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(options);
        kernel = new LinuxKernel(machine, options);
    }

    /// <summary>The system calls that were made and are not there, by number.</summary>
    public IReadOnlyList<UnknownCall> UnknownCalls => [.. kernel.Unknown.Select(entry => new UnknownCall(SyscallNames.Of(entry.Key), entry.Value))];

    /// <summary>Runs until the first process ends, or for <paramref name="limit"/> instructions; after that it can go on.</summary>
    /// <param name="limit">The most instructions of all processes together.</param>
    public LinuxReport Run(ulong limit = ulong.MaxValue) => kernel.Run(limit);
}
