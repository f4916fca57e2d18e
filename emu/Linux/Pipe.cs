using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A pipe of 64 KiB: a write of up to 4 KiB is whole or not at all (PIPE_BUF).</summary>
internal sealed class Pipe
{
    private const int Capacity = 1 << 16, Atomic = 4096;

    private readonly Action closed;
    private byte[] ring = [];
    private int start;
    private int length;
    private int ends = 2;
    private bool hasReader = true;
    private bool hasWriter = true;

    private Pipe(Action closed)
    {
        this.closed = closed;
    }

    /// <summary>Makes a pipe.</summary>
    /// <param name="flags">O_NONBLOCK or 0.</param>
    /// <param name="closed">Called when both ends are closed.</param>
    public static (OpenFile Reader, OpenFile Writer) Create(int flags, Action closed)
    {
        Pipe pipe = new(closed);
        return (new Reader(pipe, flags), new Writer(pipe, flags));
    }

    private SyscallResult Take(Span<byte> destination)
    {
        if (length == 0)
        {
            return hasWriter && !destination.IsEmpty ? LinuxErrno.EAGAIN : 0;
        }

        int count = Math.Min(length, destination.Length);
        int first = Math.Min(count, Capacity - start);
        ring.AsSpan(start, first).CopyTo(destination);
        ring.AsSpan(0, count - first).CopyTo(destination[first..]);
        start = (start + count) % Capacity;
        length -= count;
        return count;
    }

    private SyscallResult Put(ReadOnlySpan<byte> source)
    {
        if (!hasReader)
        {
            return LinuxErrno.EPIPE;
        }

        int room = Capacity - length;
        if (!source.IsEmpty && (room == 0 || (source.Length <= Atomic && room < source.Length)))
        {
            return LinuxErrno.EAGAIN;
        }

        if (ring.Length == 0)
        {
            ring = new byte[Capacity];
        }

        int count = Math.Min(room, source.Length);
        int end = (start + length) % Capacity;
        int first = Math.Min(count, Capacity - end);
        source[..first].CopyTo(ring.AsSpan(end));
        source[first..count].CopyTo(ring);
        length += count;
        return count;
    }

    private void CloseEnd()
    {
        if (--ends == 0)
        {
            ring = [];
            closed();
        }
    }

    private sealed class Reader(Pipe pipe, int flags) : OpenFile(OpenFlags.ReadOnly | flags)
    {
        public override HostFileStatus Status => StatusOf(FileType.Pipe | 0x180);

        public override SyscallResult Read(Span<byte> destination) => pipe.Take(destination);

        public override PollEvents Poll() =>
            (pipe.length != 0 ? PollEvents.In : 0) | (pipe.hasWriter ? 0 : PollEvents.HangUp);

        protected override void Close()
        {
            pipe.hasReader = false;
            pipe.CloseEnd();
        }
    }

    private sealed class Writer(Pipe pipe, int flags) : OpenFile(OpenFlags.WriteOnly | flags)
    {
        public override HostFileStatus Status => StatusOf(FileType.Pipe | 0x180);

        public override SyscallResult Write(ReadOnlySpan<byte> source) => pipe.Put(source);

        public override PollEvents Poll() =>
            (Capacity - pipe.length >= Atomic ? PollEvents.Out : 0) | (pipe.hasReader ? 0 : PollEvents.Error);

        protected override void Close()
        {
            pipe.hasWriter = false;
            pipe.CloseEnd();
        }
    }
}
