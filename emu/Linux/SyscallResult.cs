namespace Quadwalk.Emulation;

/// <summary>What becomes of a task after its system call was looked at.</summary>
internal enum SyscallEnd
{
    /// <summary>It goes on with the value in RAX.</summary>
    Return,

    /// <summary>It waits: the same call is tried again later.</summary>
    Block,

    /// <summary>Its registers, or its end, were seen to by the call itself.</summary>
    Done,
}

/// <summary>The outcome of one attempt at a system call: a value, an error, or neither yet.</summary>
internal readonly record struct SyscallResult(long Value, SyscallEnd End)
{
    /// <summary>The call cannot be completed now.</summary>
    public static SyscallResult Block => new(0, SyscallEnd.Block);

    /// <summary>The registers stand as the call left them.</summary>
    public static SyscallResult Done => new(0, SyscallEnd.Done);

    /// <summary>Whether it is an error number.</summary>
    public bool Failed => End == SyscallEnd.Return && Value is < 0 and >= -4095;

    /// <summary>Success with a value.</summary>
    public static implicit operator SyscallResult(long value) => new(value, SyscallEnd.Return);

    /// <summary>Failure.</summary>
    public static implicit operator SyscallResult(LinuxErrno error) => new(-(long)error, SyscallEnd.Return);
}
