namespace Unicorn.Net;

/// <summary>A device in the engine's physical memory; see <see cref="UnicornEngine.MapMmio"/>.</summary>
/// <remarks>An exception thrown here ends the emulation and comes out of <see cref="UnicornEngine.Start"/>.</remarks>
public abstract class MmioHandler
{
    /// <summary>Reads the device.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="offset">From the beginning of the mapping.</param>
    /// <param name="size">In bytes; the engine splits 8 into twice 4.</param>
    public abstract ulong Read(UnicornEngine engine, ulong offset, uint size);

    /// <summary>Writes the device.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="offset">From the beginning of the mapping.</param>
    /// <param name="size">In bytes; the engine splits 8 into twice 4.</param>
    /// <param name="value">The value, zero-extended.</param>
    public abstract void Write(UnicornEngine engine, ulong offset, uint size, ulong value);
}
