using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>A condition of Jcc, SETcc and CMOVcc (SDM Vol. 1, appendix B).</summary>
internal interface ICondition
{
    /// <summary>Whether the flags meet it.</summary>
    static abstract bool Test(ref LazyFlags flags);

    /// <summary>Whether the flags of <c>CMP a, b</c> meet it, without computing them.</summary>
    static abstract bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T>;

    /// <summary>Whether the flags of a bitwise result meet it, without computing them.</summary>
    static abstract bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T>;
}

internal readonly struct Overflow : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => flags.OF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => ShiftCount.Top((a ^ b) & (a ^ (a - b)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => false;
}

internal readonly struct Below : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => flags.CF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => a < b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => false;
}

internal readonly struct Zero : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => flags.ZF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => a == b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => result == T.Zero;
}

internal readonly struct BelowOrEqual : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => flags.CF | flags.ZF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => a <= b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => result == T.Zero;
}

internal readonly struct Sign : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => flags.SF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => ShiftCount.Top(a - b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => ShiftCount.Top(result);
}

internal readonly struct Parity : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => flags.PF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => LazyFlags.ParityOf(a - b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => LazyFlags.ParityOf(result);
}

internal readonly struct Less : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => flags.SF != flags.OF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => ShiftCount.Signed(a) < ShiftCount.Signed(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => ShiftCount.Top(result);
}

internal readonly struct LessOrEqual : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => flags.ZF | (flags.SF != flags.OF);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => ShiftCount.Signed(a) <= ShiftCount.Signed(b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => ShiftCount.Signed(result) <= 0;
}

/// <summary>The opposite of a condition.</summary>
internal readonly struct Negated<TCondition> : ICondition
    where TCondition : struct, ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Test(ref LazyFlags flags) => !TCondition.Test(ref flags);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterCompare<T>(T a, T b)
        where T : unmanaged, IBinaryInteger<T> => !TCondition.AfterCompare(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AfterLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T> => !TCondition.AfterLogic(result);
}
