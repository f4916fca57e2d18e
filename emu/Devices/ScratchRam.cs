namespace Quadwalk.Emulation;

/// <summary>
/// Memory that is a device: every access to it is MMIO, of any width and alignment. It logs the latest accesses, so that a
/// test can ask what exactly an instruction did.
/// </summary>
public sealed class ScratchRam : IMmioDevice
{
    private readonly byte[] bytes;
    private readonly Record[] records;
    private readonly byte[] values;

    private readonly record struct Record(ulong Offset, int Width, bool IsWrite);

    /// <summary>Makes a device of <paramref name="size"/> zero bytes that remembers <paramref name="logCapacity"/> accesses.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The size is less than 1, or the capacity is negative.</exception>
    public ScratchRam(int size = 4096, int logCapacity = 1024)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(logCapacity);
        bytes = new byte[size];
        records = new Record[logCapacity];
        values = new byte[checked(logCapacity * MmioBus.WidestAccess)];
    }

    /// <inheritdoc/>
    public ulong Size => (ulong)bytes.Length;

    /// <summary>What the device holds.</summary>
    public ReadOnlySpan<byte> Contents => bytes;

    /// <summary>How many accesses there have been; the log holds the latest of them.</summary>
    public ulong AccessCount { get; private set; }

    /// <inheritdoc/>
    public void Read(ulong offset, Span<byte> destination)
    {
        bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);
        Log(offset, destination, isWrite: false);
    }

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        source.CopyTo(bytes.AsSpan((int)offset, source.Length));
        Log(offset, source, isWrite: true);
    }

    /// <summary>A copy of the log, oldest access first.</summary>
    public IReadOnlyList<ScratchAccess> CopyLog()
    {
        int count = (int)Math.Min(AccessCount, (ulong)records.Length);
        var log = new ScratchAccess[count];
        for (int i = 0; i < count; i++)
        {
            ulong sequence = AccessCount - (ulong)(count - i);
            int slot = (int)(sequence % (ulong)records.Length);
            Record record = records[slot];
            byte[] value = values.AsSpan(slot * MmioBus.WidestAccess, record.Width).ToArray();
            log[i] = new ScratchAccess(sequence, record.Offset, value, record.IsWrite);
        }

        return log;
    }

    private void Log(ulong offset, ReadOnlySpan<byte> value, bool isWrite)
    {
        if (records.Length != 0)
        {
            int slot = (int)(AccessCount % (ulong)records.Length);
            records[slot] = new Record(offset, value.Length, isWrite);
            value.CopyTo(values.AsSpan(slot * MmioBus.WidestAccess, MmioBus.WidestAccess));
        }

        AccessCount++;
    }
}
