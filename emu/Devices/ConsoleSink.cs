namespace Quadwalk.Emulation;

/// <summary>Where the guest's console output goes: a stream behind a buffer, so that printing a byte costs a store.</summary>
/// <remarks>
/// The devices that share a sink keep their order. The buffer is written out when it is full, at each <see cref="Flush"/>,
/// and, on request, after each line. What the stream throws passes through the guest's store to the caller of the engine.
/// </remarks>
public sealed class ConsoleSink
{
    private readonly Stream stream;
    private readonly byte[] buffer;
    private readonly bool flushLines;
    private int used;

    /// <summary>Makes a sink over <paramref name="stream"/>, which the caller goes on owning.</summary>
    /// <param name="stream">The destination.</param>
    /// <param name="flushLines">Whether to flush after each newline, for a person who watches.</param>
    /// <param name="capacity">The size of the buffer in bytes, at least 1.</param>
    public ConsoleSink(Stream stream, bool flushLines = false, int capacity = 4096)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        this.stream = stream;
        this.flushLines = flushLines;
        buffer = new byte[capacity];
    }

    /// <summary>How many bytes the guest has printed.</summary>
    public ulong BytesWritten { get; private set; }

    /// <summary>Prints one byte.</summary>
    public void Write(byte value)
    {
        buffer[used++] = value;
        BytesWritten++;
        if (used == buffer.Length || (flushLines && value == '\n'))
        {
            Flush();
        }
    }

    /// <summary>Prints <paramref name="values"/> in order.</summary>
    public void Write(ReadOnlySpan<byte> values)
    {
        foreach (byte value in values)
        {
            Write(value);
        }
    }

    /// <summary>Hands all that was printed to the stream, and flushes the stream.</summary>
    public void Flush()
    {
        int count = used;
        used = 0;
        if (count != 0)
        {
            stream.Write(buffer, 0, count);
        }

        stream.Flush();
    }
}
