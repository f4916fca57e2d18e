namespace Quadwalk.Emulation;

/// <summary>MXCSR (SDM Vol. 1, 10.2.3).</summary>
public static class SseState
{
    /// <summary>The value after reset: all exceptions masked, round to nearest.</summary>
    public const uint MxcsrDefault = 0x1F80;

    /// <summary>The bits that may be set; another raises #GP in LDMXCSR and FXRSTOR.</summary>
    public const uint MxcsrMask = 0xFFFF;
}
