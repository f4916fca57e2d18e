namespace Quadwalk.Emulation;

/// <summary>After how much two engines are compared.</summary>
public enum ComparisonStep
{
    /// <summary>Each instruction.</summary>
    Instruction,

    /// <summary>Each block of the second engine.</summary>
    Block,

    /// <summary>Each stretch after which the second engine comes back of itself: for a fault, a device, a system instruction or what it leaves to the interpreter.</summary>
    Exit,
}
