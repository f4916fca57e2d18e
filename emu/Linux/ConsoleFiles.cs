using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Standard input. Reading waits for the host, and with it every process.</summary>
internal sealed class ConsoleReader(Stream? source, CancellationToken interrupt) : OpenFile(OpenFlags.ReadOnly)
{
    private const int ChunkSize = 1 << 16;

    private readonly byte[] chunk = new byte[ChunkSize];
    private Task<int>? pending;
    private int start;
    private int length;

    /// <inheritdoc/>
    public override HostFileStatus Status => StatusOf(FileType.Pipe | 0x180);

    /// <inheritdoc/>
    public override SyscallResult Read(Span<byte> destination)
    {
        if (source is null || destination.IsEmpty)
        {
            return 0;
        }

        if (length == 0 && !TryFill())
        {
            return LinuxErrno.EAGAIN;
        }

        int count = Math.Min(length, destination.Length);
        chunk.AsSpan(start, count).CopyTo(destination);
        start += count;
        length -= count;
        return count;
    }

    /// <inheritdoc/>
    public override PollEvents Poll() => PollEvents.In;

    /// <summary>Waits for input or its end; false when interrupted, with the read still under way.</summary>
    private bool TryFill()
    {
        start = 0;
        if (source!.CanSeek)
        {
            length = ReadSome();
            return true;
        }

        pending ??= Task.Run(ReadSome, CancellationToken.None);
        try
        {
            pending.Wait(interrupt);
        }
        catch (OperationCanceledException)
        {
            return false;
        }

        length = pending.Result;
        pending = null;
        return true;
    }

    // A terminal that has gone away and a directory as standard input are an end of input like any other.
    private int ReadSome()
    {
        try
        {
            return source!.Read(chunk);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }
}

/// <summary>Standard output or standard error.</summary>
internal sealed class ConsoleWriter(Stream target) : OpenFile(OpenFlags.WriteOnly)
{
    /// <inheritdoc/>
    public override HostFileStatus Status => StatusOf(FileType.Pipe | 0x180);

    /// <inheritdoc/>
    public override SyscallResult Write(ReadOnlySpan<byte> source)
    {
        target.Write(source);
        return source.Length;
    }

    /// <inheritdoc/>
    public override PollEvents Poll() => PollEvents.Out;
}
