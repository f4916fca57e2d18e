namespace Quadwalk.Emulation;

/// <summary>A device that answers at consecutive I/O ports.</summary>
/// <remarks>The guest chooses every offset and value: a device accepts all, and throws for none.</remarks>
public interface IPortDevice
{
    /// <summary>The number of ports; it does not change.</summary>
    int PortCount { get; }

    /// <summary>
    /// The widest access, 1, 2 or 4 bytes, that the device takes in one piece; it does not change. The bus cuts a wider one
    /// into accesses to consecutive byte ports in ascending order, as the ISA bus does for an 8-bit card.
    /// </summary>
    int MaximumPortWidth => 1;

    /// <summary>Reads <paramref name="width"/> bytes from the port at <paramref name="offset"/>; the bus ignores higher bytes.</summary>
    uint ReadPort(int offset, int width);

    /// <summary>Writes the low <paramref name="width"/> bytes of <paramref name="value"/>; the higher ones are zero.</summary>
    void WritePort(int offset, int width, uint value);
}
