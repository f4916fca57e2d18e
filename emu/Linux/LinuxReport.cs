namespace Quadwalk.Emulation;

/// <summary>Why a Linux process came back.</summary>
public enum LinuxEnd
{
    /// <summary>It called exit.</summary>
    Exited,

    /// <summary>A signal killed it.</summary>
    Killed,

    /// <summary>The instructions asked for have been retired.</summary>
    Limit,

    /// <summary><see cref="Machine.RequestStop"/>, or <see cref="LinuxOptions.Interrupt"/>.</summary>
    Requested,

    /// <summary>Every process waits for another.</summary>
    Deadlock,

    /// <summary>The processor did what this version cannot do.</summary>
    Unsupported,
}

/// <summary>How a run ended.</summary>
/// <param name="End">Why.</param>
/// <param name="Status">The exit status of the first process, 128 + n after signal n; 0 where it did not end.</param>
/// <param name="Message">What a person should know; null where the reason says all.</param>
public sealed record LinuxReport(LinuxEnd End, int Status = 0, string? Message = null);

/// <summary>A system call that processes made and that is not there.</summary>
/// <param name="Name">Its name, or its number.</param>
/// <param name="Count">How often.</param>
public sealed record UnknownCall(string Name, ulong Count);
