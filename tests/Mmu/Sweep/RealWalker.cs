using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The walker itself.</summary>
internal readonly struct RealWalker : ISweepWalker
{
    public static WalkResult Walk(ref SweepTables tables, in PagingState state, Gva gva, WalkAccess access)
    {
        NoWalkObserver nobody = default;
        return PageWalker.Walk(ref tables, state, gva, access, ref nobody);
    }
}
