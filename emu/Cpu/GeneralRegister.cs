namespace Quadwalk.Emulation;

/// <summary>The general registers in encoding order (SDM Vol. 2A, table 2-2 with REX).</summary>
public static class GeneralRegister
{
    /// <summary>RAX.</summary>
    public const int Rax = 0;

    /// <summary>RCX.</summary>
    public const int Rcx = 1;

    /// <summary>RDX.</summary>
    public const int Rdx = 2;

    /// <summary>RBX.</summary>
    public const int Rbx = 3;

    /// <summary>RSP.</summary>
    public const int Rsp = 4;

    /// <summary>RBP.</summary>
    public const int Rbp = 5;

    /// <summary>RSI.</summary>
    public const int Rsi = 6;

    /// <summary>RDI.</summary>
    public const int Rdi = 7;

    /// <summary>R8.</summary>
    public const int R8 = 8;

    /// <summary>R11.</summary>
    public const int R11 = 11;

    /// <summary>How many there are.</summary>
    public const int Count = 16;

    private static readonly string[] Names64 =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    /// <summary>The 64-bit name of a register.</summary>
    public static string Name(int index) => Names64[index];
}
