using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>An instruction went by a translation that the tables no longer have.</summary>
/// <param name="Rip">The instruction.</param>
/// <param name="Instructions">How many the processor had retired before it.</param>
/// <param name="Translation">What it used, and what the tables say.</param>
public sealed record StaleUse(Gva Rip, ulong Instructions, StaleTranslation Translation);
