namespace Quadwalk.Mmu;

/// <summary>What an access does to the bytes it translates (SDM Vol. 3A, section 5.6: data reads, data writes, instruction fetches).</summary>
public enum AccessKind : byte
{
    /// <summary>A data read.</summary>
    Read,

    /// <summary>A data write, or the read half of a read-modify-write.</summary>
    Write,

    /// <summary>An instruction fetch.</summary>
    Execute,
}
