namespace Quadwalk.Emulation;

/// <summary>
/// The exit device, after QEMU's <c>isa-debug-exit</c>: a 32-bit OUT of v to its first port ends the run with status
/// <c>(v &lt;&lt; 1) | 1</c>. Any other write is ignored and counted; reads give zero.
/// </summary>
/// <param name="onExit">Called with v at each such OUT, while the instruction executes; it may stop the machine.</param>
public sealed class ExitPort(Action<uint>? onExit = null) : IPortDevice
{
    /// <summary>The usual port.</summary>
    public const ushort Port = 0xf4;

    /// <summary>The value last written, or null.</summary>
    public uint? Value { get; private set; }

    /// <summary>The exit status that <see cref="Value"/> asks for, its top bit lost, or null.</summary>
    public int? Status => Value is { } value ? StatusOf(value) : null;

    /// <summary>How many writes were ignored because of their width or port.</summary>
    public ulong IgnoredWrites { get; private set; }

    /// <inheritdoc/>
    public int PortCount => 4;

    /// <inheritdoc/>
    public int MaximumPortWidth => 4;

    /// <summary>The exit status for a value: <c>(value &lt;&lt; 1) | 1</c>.</summary>
    public static int StatusOf(uint value) => (int)((value << 1) | 1);

    /// <summary>Forgets that an exit was asked for.</summary>
    public void Reset() => Value = null;

    /// <inheritdoc/>
    public uint ReadPort(int offset, int width) => 0;

    /// <inheritdoc/>
    public void WritePort(int offset, int width, uint value)
    {
        if (offset != 0 || width != 4)
        {
            IgnoredWrites++;
            return;
        }

        Value = value;
        onExit?.Invoke(value);
    }
}
