using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>One thing made wrong on purpose in a nested walk: in what it is told, in what it answers, or in the flags it leaves.</summary>
internal sealed record NestedMistake(
    Func<EptState, EptState>? Ept = null,
    Func<NptState, NptState>? Npt = null,
    Func<PagingState, PagingState>? Guest = null,
    Func<WalkAccess, WalkAccess>? Access = null,
    Func<NestedWalkResult, NestedWalkResult>? Result = null,
    ulong GuestFlagsNotSet = 0,
    ulong SecondFlagsNotSet = 0);
