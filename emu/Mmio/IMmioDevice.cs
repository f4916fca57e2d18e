namespace Quadwalk.Emulation;

/// <summary>A device that answers in a range of guest-physical addresses.</summary>
/// <remarks>
/// The guest chooses every offset and width: a device accepts all that lie within <see cref="Size"/>, and throws for none.
/// </remarks>
public interface IMmioDevice
{
    /// <summary>The length of the range in bytes; it does not change.</summary>
    ulong Size { get; }

    /// <summary>
    /// The widest access, 1 to 64 bytes, that the device takes in one piece; it does not change. The bus cuts a wider one,
    /// whatever its alignment, into pieces of this width and a rest, in ascending order.
    /// </summary>
    int MaximumAccessWidth => MmioBus.WidestAccess;

    /// <summary>Reads as many bytes as <paramref name="destination"/> holds, all of which lie in the range.</summary>
    void Read(ulong offset, Span<byte> destination);

    /// <summary>Writes the bytes of <paramref name="source"/>, all of which lie in the range.</summary>
    void Write(ulong offset, ReadOnlySpan<byte> source);

    /// <summary>
    /// Reads as <see cref="Read"/> does, or says why not yet or not at all; then the instruction has not happened. A device that is always ready
    /// leaves this alone.
    /// </summary>
    MmioOutcome TryRead(ulong offset, Span<byte> destination)
    {
        Read(offset, destination);
        return MmioOutcome.Done;
    }

    /// <summary>Writes as <see cref="Write"/> does, or says why not yet or not at all; then nothing was written.</summary>
    MmioOutcome TryWrite(ulong offset, ReadOnlySpan<byte> source)
    {
        Write(offset, source);
        return MmioOutcome.Done;
    }
}
