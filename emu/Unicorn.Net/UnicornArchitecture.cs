namespace Unicorn.Net;

/// <summary>The architectures of libunicorn; <see cref="UnicornLibrary.Supports"/> says which a build has.</summary>
public enum UnicornArchitecture
{
    /// <summary>Arm with Thumb.</summary>
    Arm = 1,

    /// <summary>AArch64.</summary>
    Arm64 = 2,

    /// <summary>MIPS.</summary>
    Mips = 3,

    /// <summary>x86 and x86-64.</summary>
    X86 = 4,

    /// <summary>PowerPC.</summary>
    PowerPc = 5,

    /// <summary>SPARC.</summary>
    Sparc = 6,

    /// <summary>Motorola 68000.</summary>
    M68k = 7,

    /// <summary>RISC-V.</summary>
    RiscV = 8,

    /// <summary>z/Architecture.</summary>
    S390x = 9,

    /// <summary>TriCore.</summary>
    TriCore = 10,
}
