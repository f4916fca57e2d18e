using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>What a sweep checks: the walker, or one made wrong on purpose.</summary>
internal interface ISweepWalker
{
    static abstract WalkResult Walk(ref SweepTables tables, in PagingState state, Gva gva, WalkAccess access);
}
