using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A reference, or a pin, that somebody got and has not given back, and whose page it was then.</summary>
/// <param name="Frame">The frame.</param>
/// <param name="Pin">A pin.</param>
/// <param name="Mapping">Whose page it was.</param>
/// <param name="Index">Which page.</param>
/// <param name="Kept">It goes with what it was taken for, and not when anybody likes.</param>
internal sealed record WorldHold(Pfn Frame, bool Pin, int Mapping, ulong Index, bool Kept);
