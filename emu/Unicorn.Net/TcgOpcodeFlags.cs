namespace Unicorn.Net;

/// <summary>Which uses of an operation are hooked.</summary>
[Flags]
public enum TcgOpcodeFlags
{
    /// <summary>All.</summary>
    None = 0,

    /// <summary>Those of comparisons.</summary>
    Compare = 1 << 0,

    /// <summary>Those that compute what the instruction is for, not a flag or an address.</summary>
    Direct = 1 << 1,
}
