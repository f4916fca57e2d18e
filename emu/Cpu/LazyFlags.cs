using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>
/// The six status flags, kept as the words they follow from and computed only when something reads them.
/// </summary>
/// <remarks>
/// <code>
/// Result  the last result, sign-extended:  ZF = (Result == 0)   SF = bit 63 ^ Delta bit 8   PF = parity of the low byte ^ Delta's
/// Carry   carries out of each bit position, bit 63 being the operand's top one:  CF = bit 63   OF = bit 63 ^ bit 62   AF = bit 3
/// Delta   0 after arithmetic; after POPF and the like it carries what no result could (ZF and SF both set, say)
/// </code>
/// An operand narrower than 64 bits leaves the low part of Carry free, and there AF's carry stands at bit 3 as well.
/// </remarks>
[SuppressMessage("Design", "CA1051:Do not declare visible instance fields", Justification = "A record of machine words.")]
public struct LazyFlags
{
    /// <summary>The last result, sign-extended to 64 bits.</summary>
    public ulong Result;

    /// <summary>The carry out of each bit, left-justified; bit 3 the carry out of bit 3.</summary>
    public ulong Carry;

    /// <summary>Corrections: bit 0 to parity, bit 8 to SF.</summary>
    public ulong Delta;

    private const ulong SignDelta = 1 << 8;
    private const ulong ParityDelta = 1;

    /// <summary>CF.</summary>
    public readonly bool CF
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (long)Carry < 0;
    }

    /// <summary>ZF.</summary>
    public readonly bool ZF
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Result == 0;
    }

    /// <summary>SF.</summary>
    public readonly bool SF
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (long)(Result ^ (Delta << 55)) < 0;
    }

    /// <summary>OF.</summary>
    public readonly bool OF
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (long)(Carry ^ (Carry << 1)) < 0;
    }

    /// <summary>PF: even parity of the result's low byte.</summary>
    public readonly bool PF
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (BitOperations.PopCount((Result & 0xFF) ^ ((Delta & ParityDelta) << 8)) & 1) == 0;
    }

    /// <summary>AF.</summary>
    public readonly bool AF
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (Carry & 8) != 0;
    }

    /// <summary>The flags as they stand in RFLAGS.</summary>
    public ulong Word
    {
        readonly get => (CF ? Rflags.CF : 0) | (PF ? Rflags.PF : 0) | (AF ? Rflags.AF : 0) | (ZF ? Rflags.ZF : 0)
            | (SF ? Rflags.SF : 0) | (OF ? Rflags.OF : 0);
        set
        {
            bool zf = (value & Rflags.ZF) != 0;
            bool cf = (value & Rflags.CF) != 0;
            bool of = (value & Rflags.OF) != 0;
            Result = zf ? 0UL : 1UL;
            Carry = (cf ? 1UL << 63 : 0) | (cf ^ of ? 1UL << 62 : 0) | ((value & Rflags.AF) != 0 ? 8UL : 0);
            Delta = 0;
            Delta = ((value & Rflags.SF) != 0 ? SignDelta : 0) | ((value & Rflags.PF) != 0 != PF ? ParityDelta : 0);
        }
    }

    /// <summary>Sets CF and leaves the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetCF(bool value)
    {
        ulong overflow = (Carry ^ (Carry << 1)) & (1UL << 63);
        ulong carry = value ? 1UL << 63 : 0;
        Carry = carry | ((carry ^ overflow) >> 1) | (Carry & 8);
    }

    /// <summary>After <c>result = a + b + carry</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetAdd<T>(T a, T b, T result)
        where T : unmanaged, IBinaryInteger<T> =>
        Set(result, (a & b) | ((a | b) & ~result));

    /// <summary>After <c>result = a - b - borrow</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetSub<T>(T a, T b, T result)
        where T : unmanaged, IBinaryInteger<T> =>
        Set(result, (~a & b) | ((~a | b) & result));

    /// <summary>After a bitwise operation: CF = OF = AF = 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetLogic<T>(T result)
        where T : unmanaged, IBinaryInteger<T>
    {
        Result = SignExtend(result);
        Carry = 0;
        Delta = 0;
    }

    /// <summary>After an operation that says CF and OF itself (shifts, rotates through the result, multiplication); AF = 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetResult<T>(T result, bool cf, bool of)
        where T : unmanaged, IBinaryInteger<T>
    {
        Result = SignExtend(result);
        Carry = Carries(cf, of);
        Delta = 0;
    }

    /// <summary>Sets CF and OF and leaves the others: rotates.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetCFOF(bool cf, bool of) => Carry = Carries(cf, of) | (Carry & 8);

    /// <summary>Even parity of a value's low byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool ParityOf<T>(T value)
        where T : unmanaged, IBinaryInteger<T> => (BitOperations.PopCount((uint)byte.CreateTruncating(value)) & 1) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Carries(bool cf, bool of) => (cf ? 1UL << 63 : 0) | (cf != of ? 1UL << 62 : 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private unsafe void Set<T>(T result, T carries)
        where T : unmanaged, IBinaryInteger<T>
    {
        Result = SignExtend(result);
        ulong wide = ulong.CreateTruncating(carries);
        Carry = sizeof(T) == sizeof(ulong) ? wide : (wide << (64 - (8 * sizeof(T)))) | (wide & 8);
        Delta = 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe ulong SignExtend<T>(T value)
        where T : unmanaged, IBinaryInteger<T> =>
        sizeof(T) switch
        {
            1 => (ulong)(sbyte)byte.CreateTruncating(value),
            2 => (ulong)(short)ushort.CreateTruncating(value),
            4 => (ulong)(int)uint.CreateTruncating(value),
            _ => ulong.CreateTruncating(value),
        };
}
