using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The walker with one thing wrong: in what it is told, in what it answers, or in the flags it leaves.</summary>
internal readonly struct WrongWalker : ISweepWalker
{
    [ThreadStatic]
    private static Mistake mistake;

    public static void Make(Mistake made) => mistake = made;

    public static WalkResult Walk(ref SweepTables tables, in PagingState state, Gva gva, WalkAccess access)
    {
        Span<ulong> before = stackalloc ulong[tables.Words.Length];
        tables.Words.CopyTo(before);
        WalkResult result = RealWalker.Walk(
            ref tables, mistake.State?.Invoke(state) ?? state, gva, mistake.Access?.Invoke(access) ?? access);
        for (int i = 0; i < before.Length; i++)
        {
            tables.Words[i] &= before[i] | ~mistake.FlagsNotSet;
        }

        return mistake.Result?.Invoke(result) ?? result;
    }

    /// <summary>What is wrong.</summary>
    internal readonly record struct Mistake(
        Func<PagingState, PagingState>? State = null, Func<WalkAccess, WalkAccess>? Access = null, Func<WalkResult, WalkResult>? Result = null, ulong FlagsNotSet = 0);
}
