namespace Quadwalk.Emulation;

/// <summary>
/// The page at 0xfee00000 on a bus that all processors share, where each of them sees its own local APIC. Whoever runs a
/// processor selects it first.
/// </summary>
public sealed class LocalApicPage(ApicBus bus) : IMmioDevice
{
    /// <summary>The processor whose accesses arrive, from 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such processor.</exception>
    public int Current
    {
        get;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(value, bus.LocalApics.Count);
            field = value;
        }
    }

    /// <inheritdoc/>
    public ulong Size => LocalApic.PageBytes;

    /// <inheritdoc/>
    public int MaximumAccessWidth => LocalApic.RegisterWidth;

    /// <inheritdoc/>
    public void Read(ulong offset, Span<byte> destination) => bus.LocalApics[Current].Read(offset, destination);

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<byte> source) => bus.LocalApics[Current].Write(offset, source);
}
