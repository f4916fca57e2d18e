namespace Quadwalk.Emulation;

/// <summary>What the meaning of a decoded block depends on beside its bytes and its address.</summary>
[Flags]
internal enum BlockMode : uint
{
    /// <summary>64-bit mode at CPL 0 to 2, SSE usable.</summary>
    None = 0,

    /// <summary>CPL 3: fetched with user rights.</summary>
    User = 1 << 0,

    /// <summary>CR4.OSFXSR = 0 or CR0.EM = 1: SSE raises #UD.</summary>
    SseUndefined = 1 << 1,

    /// <summary>CR0.TS = 1: SSE raises #NM.</summary>
    SseNotAvailable = 1 << 2,

    /// <summary>One instruction a block.</summary>
    Single = 1 << 3,

    /// <summary>Memory goes through the recording port.</summary>
    Recorded = 1 << 4,
}
