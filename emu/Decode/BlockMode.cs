namespace Quadwalk.Emulation;

/// <summary>What the meaning of a decoded block depends on beside its bytes and its address.</summary>
[Flags]
internal enum BlockMode : uint
{
    /// <summary>64-bit mode at CPL 0 to 2, every unit usable.</summary>
    None = 0,

    /// <summary>CPL 3: fetched with user rights.</summary>
    User = 1 << 0,

    /// <summary>CR4.OSFXSR = 0 or CR0.EM = 1: SSE raises #UD.</summary>
    SseUndefined = 1 << 1,

    /// <summary>CR0.TS = 1: SSE, AVX, MMX and x87 raise #NM.</summary>
    SseNotAvailable = 1 << 2,

    /// <summary>One instruction a block.</summary>
    Single = 1 << 3,

    /// <summary>Memory goes through the recording port.</summary>
    Recorded = 1 << 4,

    /// <summary>CR0.EM = 1: x87 raises #NM and MMX #UD.</summary>
    X87Emulated = 1 << 5,

    /// <summary>CR0.TS = 1 and CR0.MP = 1: WAIT raises #NM.</summary>
    WaitNotAvailable = 1 << 6,

    /// <summary>CR4.OSXSAVE = 0, or XCR0 without SSE and AVX state: VEX-encoded vector instructions raise #UD.</summary>
    AvxUndefined = 1 << 7,

    /// <summary>16-bit operands and addresses by default.</summary>
    Code16 = 1 << 8,

    /// <summary>32-bit operands and addresses by default; without this and <see cref="Code16"/>, 64-bit mode.</summary>
    Code32 = 1 << 9,

    /// <summary>Real-address or virtual-8086 mode: what needs protected mode is not there.</summary>
    Real = 1 << 10,

    /// <summary>A data breakpoint is enabled: accesses are compared with DR0 to DR3.</summary>
    Watched = 1 << 11,

    /// <summary>CR0.AM = 1 and RFLAGS.AC = 1 at CPL 3: misaligned accesses raise #AC.</summary>
    AlignmentChecked = 1 << 12,

    /// <summary>Memory goes through the checked port.</summary>
    Checked = Watched | AlignmentChecked,

    /// <summary>The first bit of a number that stands for the base and limit of CS outside 64-bit mode.</summary>
    CodeSegment = 1 << 16,
}
