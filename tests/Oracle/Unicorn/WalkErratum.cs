using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>A known difference of Unicorn from the SDM.</summary>
/// <param name="What">What it does.</param>
/// <param name="Section">The section of SDM Vol. 3A that says otherwise.</param>
/// <param name="Modes">The paging modes in which it shows.</param>
/// <param name="Applies">Whether it shows in a case with this result.</param>
/// <param name="Change">What it makes of the outcome.</param>
internal sealed record WalkErratum(
    string What, string Section, PagingMode[] Modes, Func<WalkCase, WalkResult, bool> Applies, Func<WalkOutcome, WalkOutcome> Change);
