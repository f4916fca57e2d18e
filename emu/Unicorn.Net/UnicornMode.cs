namespace Unicorn.Net;

/// <summary>How an engine begins; which values go together depends on the architecture.</summary>
[Flags]
public enum UnicornMode
{
    /// <summary>Little-endian; also Arm code of 4 bytes an instruction.</summary>
    LittleEndian = 0,

    /// <summary>Arm: Thumb code. MIPS: microMIPS. SPARC: version 9.</summary>
    Thumb = 1 << 4,

    /// <summary>Arm: the Cortex-M series. MIPS: MIPS III.</summary>
    MClass = 1 << 5,

    /// <summary>Arm: version 8 in AArch32. MIPS: MIPS32r6.</summary>
    V8 = 1 << 6,

    /// <summary>Arm: big-endian data and little-endian code.</summary>
    ArmBe8 = 1 << 10,

    /// <summary>Arm: the ARM926.</summary>
    Arm926 = 1 << 7,

    /// <summary>Arm: the ARM946.</summary>
    Arm946 = 1 << 8,

    /// <summary>Arm: the ARM1176.</summary>
    Arm1176 = 1 << 9,

    /// <summary>x86: real mode.</summary>
    Bits16 = 1 << 1,

    /// <summary>32 bits.</summary>
    Bits32 = 1 << 2,

    /// <summary>64 bits.</summary>
    Bits64 = 1 << 3,

    /// <summary>Big-endian.</summary>
    BigEndian = 1 << 30,
}
