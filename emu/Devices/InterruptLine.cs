namespace Quadwalk.Emulation;

/// <summary>A wire from a device to one input of an interrupt controller.</summary>
/// <param name="Target">The controller; null leaves the wire unconnected.</param>
/// <param name="Number">The input.</param>
public readonly record struct InterruptLine(IInterruptInput? Target, int Number)
{
    /// <summary>Sets the level; true is asserted.</summary>
    public void Set(bool level) => Target?.SetLine(Number, level);

    /// <summary>Lowers and raises the wire: one edge, after which it stays asserted.</summary>
    public void Pulse()
    {
        Set(false);
        Set(true);
    }
}
