using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>A device that is plain memory and notes each access as <c>r4@10=00112233</c>: width, offset, and the bytes in ascending order.</summary>
internal sealed class LoggedMemory(int size) : IMmioDevice
{
    private readonly List<string> log = [];

    public byte[] Bytes { get; } = new byte[size];

    public bool IsLogging { get; set; } = true;

    /// <summary>Called after each read.</summary>
    public Action? Reading { get; set; }

    /// <summary>What is said to an access by its number, counted from 0 and those that were refused with it; null: all are done.</summary>
    public Func<int, MmioOutcome>? Answer { get; set; }

    /// <summary>How many accesses were asked for, done or not.</summary>
    public int Asked { get; private set; }

    public string Log => string.Join(' ', log);

    public ulong Size => (ulong)size;

    public void Read(ulong offset, Span<byte> destination)
    {
        Bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);
        Add('r', offset, destination);
        Reading?.Invoke();
    }

    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        source.CopyTo(Bytes.AsSpan((int)offset));
        Add('w', offset, source);
    }

    public MmioOutcome TryRead(ulong offset, Span<byte> destination)
    {
        MmioOutcome outcome = Answer?.Invoke(Asked) ?? MmioOutcome.Done;
        Asked++;
        if (outcome == MmioOutcome.Done)
        {
            Read(offset, destination);
        }

        return outcome;
    }

    public MmioOutcome TryWrite(ulong offset, ReadOnlySpan<byte> source)
    {
        MmioOutcome outcome = Answer?.Invoke(Asked) ?? MmioOutcome.Done;
        Asked++;
        if (outcome == MmioOutcome.Done)
        {
            Write(offset, source);
        }

        return outcome;
    }

    /// <summary>Forgets the log.</summary>
    public void ClearLog() => log.Clear();

    /// <summary>Forgets the log and lets each byte hold the low byte of its offset.</summary>
    public void Reset()
    {
        log.Clear();
        Asked = 0;
        for (int i = 0; i < Bytes.Length; i++)
        {
            Bytes[i] = (byte)i;
        }
    }

    private void Add(char kind, ulong offset, ReadOnlySpan<byte> bytes)
    {
        if (IsLogging)
        {
            log.Add($"{kind}{bytes.Length}@{offset:x}={Convert.ToHexStringLower(bytes)}");
        }
    }
}
