namespace Quadwalk.Emulation;

/// <summary>A part of the host's file system that a process sees.</summary>
/// <param name="Path">A file, or a folder with all below it.</param>
/// <param name="Writable">Whether it may be changed.</param>
public sealed record LinuxPath(string Path, bool Writable = false);

/// <summary>What a Linux process starts with.</summary>
public sealed record LinuxOptions
{
    /// <summary>The program: a path on the host.</summary>
    public required string Program { get; init; }

    /// <summary>The arguments, argv[0] included.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    /// <summary>The environment, as NAME=VALUE.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary>What of the host's file system exists for the process, beside the program itself; nothing else does.</summary>
    public IReadOnlyList<LinuxPath> Allowed { get; init; } = [];

    /// <summary>The working directory.</summary>
    public string WorkingDirectory { get; init; } = "/";

    /// <summary>Determines getrandom(2), AT_RANDOM and /dev/urandom.</summary>
    public ulong Seed { get; init; }

    /// <summary>Standard input; null is at its end.</summary>
    public Stream? Input { get; init; }

    /// <summary>Standard output.</summary>
    public Stream Output { get; init; } = Stream.Null;

    /// <summary>Standard error.</summary>
    public Stream Error { get; init; } = Stream.Null;

    /// <summary>Told, a line each, of processes that died of a fault.</summary>
    public Action<string>? Complain { get; init; }

    /// <summary>Ends a wait for standard input; <see cref="Machine.RequestStop"/> ends everything else.</summary>
    public CancellationToken Interrupt { get; init; }
}
