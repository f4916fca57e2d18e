using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>Host-physical memory as a second-stage walk reaches it. Implemented by small structs that refer to their memory, so that walkers are specialised to each and may copy them.</summary>
/// <remarks>All addresses are 8-byte aligned and below 2^52; nothing else is promised: tables and logs may point anywhere.</remarks>
public interface IHostTableMemory
{
    /// <summary>Reads a word atomically. False means no memory is there.</summary>
    bool TryRead(Hpa address, out ulong value);

    /// <summary>Writes a word atomically. False means no memory is there.</summary>
    bool TryWrite(Hpa address, ulong value);

    /// <summary>
    /// Replaces a word if it still holds <paramref name="expected"/>, atomically; <paramref name="exchanged"/> tells whether it did.
    /// False means no memory is there.
    /// </summary>
    bool TryCompareExchange(Hpa address, ulong expected, ulong desired, out bool exchanged);
}
