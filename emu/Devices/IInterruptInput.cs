namespace Quadwalk.Emulation;

/// <summary>Something with numbered interrupt inputs: an interrupt controller, or the wiring before several.</summary>
public interface IInterruptInput
{
    /// <summary>Sets the level of an input; true is asserted, whatever the polarity. Unknown numbers are ignored.</summary>
    void SetLine(int line, bool level);
}
