namespace Quadwalk.Emulation;

/// <summary>What a guest may do with a segment's pages: the low bits of ELF <c>p_flags</c>.</summary>
[Flags]
public enum SegmentRights
{
    /// <summary>No right at all.</summary>
    None = 0,

    /// <summary>Instructions may be fetched (<c>PF_X</c>).</summary>
    Execute = 1,

    /// <summary>Data may be written (<c>PF_W</c>).</summary>
    Write = 2,

    /// <summary>Data may be read (<c>PF_R</c>).</summary>
    Read = 4,
}
