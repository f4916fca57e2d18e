using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>The first difference between two engines.</summary>
/// <param name="Before">How many instructions both had retired when they were last the same.</param>
/// <param name="After">How many the second engine had retired when they were compared.</param>
/// <param name="Begin">Where both stood when they were last the same.</param>
/// <param name="Instruction">The instruction there.</param>
/// <param name="Differences">In what they differ; never empty.</param>
/// <param name="ReferenceWalks">The last walks of the reference, the oldest first.</param>
/// <param name="SubjectWalks">The last walks of the other engine.</param>
public sealed record EngineDifference(
    ulong Before, ulong After, Gva Begin, string Instruction, IReadOnlyList<ComparedValue> Differences,
    IReadOnlyList<ComparedWalk> ReferenceWalks, IReadOnlyList<ComparedWalk> SubjectWalks)
{
    /// <summary>Whether the guest read status flags that the SDM leaves undefined, so that both may be right.</summary>
    public bool UsesUndefinedFlags { get; init; }
}
