using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>The comparison of PCMPESTRI, PCMPISTRM and their kin (SDM Vol. 2B, 4.1), a bit for each element of the second string.</summary>
internal static class PackedStrings
{
    /// <summary>Bit 0 of the control: sixteen bytes, or eight words.</summary>
    public static bool HasWords(int control) => (control & 1) != 0;

    /// <summary>Elements in a vector.</summary>
    public static int Count(int control) => HasWords(control) ? 8 : 16;

    /// <summary>IntRes2: what is found, after the polarity.</summary>
    /// <param name="a">The first string: the set, the ranges, or the pattern.</param>
    /// <param name="b">The second string, which is searched.</param>
    /// <param name="lengthA">Elements of the first.</param>
    /// <param name="lengthB">Elements of the second.</param>
    /// <param name="control">The immediate.</param>
    public static uint Compare(Vector128<byte> a, Vector128<byte> b, int lengthA, int lengthB, int control) => (control & 3) switch
    {
        0 => Compare<byte>(a, b, lengthA, lengthB, control),
        1 => Compare<ushort>(a, b, lengthA, lengthB, control),
        2 => Compare<sbyte>(a, b, lengthA, lengthB, control),
        _ => Compare<short>(a, b, lengthA, lengthB, control),
    };

    /// <summary>Elements before the first that is 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Length(Vector128<byte> text, int control)
    {
        uint zeros = HasWords(control) ? Bits(Vector128.Equals(text.AsUInt16(), Vector128<ushort>.Zero)) : Bits(Vector128.Equals(text, Vector128<byte>.Zero));
        return zeros == 0 ? Count(control) : BitOperations.TrailingZeroCount(zeros);
    }

    /// <summary>The absolute value of an explicit length, at most all elements.</summary>
    public static int Length(long value, int control) => value < -Count(control) || value > Count(control) ? Count(control) : (int)Math.Abs(value);

    /// <summary>CF, ZF, SF and OF; AF and PF are cleared.</summary>
    public static void SetFlags(ref LazyFlags flags, uint found, int lengthA, int lengthB, int control) =>
        flags.Word = (found != 0 ? Rflags.CF : 0) | (lengthB < Count(control) ? Rflags.ZF : 0) | (lengthA < Count(control) ? Rflags.SF : 0)
            | ((found & 1) != 0 ? Rflags.OF : 0);

    private static uint Compare<T>(Vector128<byte> a, Vector128<byte> b, int lengthA, int lengthB, int control)
        where T : unmanaged
    {
        Vector128<T> first = a.As<byte, T>(), second = b.As<byte, T>();
        uint validB = Lowest(lengthB);
        uint found = (control >> 2 & 3) switch
        {
            0 => EqualAny(first, second, lengthA) & validB,
            1 => InRanges(first, second, lengthA) & validB,
            2 => EqualEach(first, second, Lowest(lengthA), validB),
            _ => EqualOrdered(first, second, lengthA, validB),
        };
        return (control >> 4 & 3) switch
        {
            1 => ~found & Lowest(Vector128<T>.Count),
            3 => found ^ validB,
            _ => found,
        };
    }

    private static uint EqualAny<T>(Vector128<T> set, Vector128<T> text, int length)
        where T : unmanaged
    {
        uint found = 0;
        for (int i = 0; i < length; i++)
        {
            found |= Bits(Vector128.Equals(text, Vector128.Create(set[i])));
        }

        return found;
    }

    /// <summary>Lower and upper bounds in turn; a lower one without an upper one is none.</summary>
    private static uint InRanges<T>(Vector128<T> bounds, Vector128<T> text, int length)
        where T : unmanaged
    {
        uint found = 0;
        for (int i = 0; i + 1 < length; i += 2)
        {
            found |= Bits(Vector128.GreaterThanOrEqual(text, Vector128.Create(bounds[i])) & Vector128.LessThanOrEqual(text, Vector128.Create(bounds[i + 1])));
        }

        return found;
    }

    /// <summary>Where both strings have ended they are equal.</summary>
    private static uint EqualEach<T>(Vector128<T> first, Vector128<T> second, uint validA, uint validB)
        where T : unmanaged
    {
        uint ended = ~(validA | validB) & Lowest(Vector128<T>.Count);
        return (Bits(Vector128.Equals(first, second)) & validA & validB) | ended;
    }

    /// <summary>Where the pattern begins, the part of it that goes beyond the vector counting as found.</summary>
    private static uint EqualOrdered<T>(Vector128<T> pattern, Vector128<T> text, int length, uint validB)
        where T : unmanaged
    {
        uint all = Lowest(Vector128<T>.Count), found = all;
        for (int i = 0; i < length; i++)
        {
            uint equal = Bits(Vector128.Equals(text, Vector128.Create(pattern[i]))) & validB;
            found &= (equal >> i) | ~(all >> i);
        }

        return found;
    }

    private static uint Lowest(int count) => (1u << count) - 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Bits<T>(Vector128<T> mask)
        where T : unmanaged => mask.ExtractMostSignificantBits();
}

/// <summary>Where the lengths of the two strings come from.</summary>
internal interface IStringLengths
{
    /// <summary>Elements of the first and of the second string.</summary>
    static abstract (int A, int B) Get(ref CpuState cpu, Vector128<byte> a, Vector128<byte> b, int control);
}

/// <summary>PCMPISTRI, PCMPISTRM: a string ends before its first zero.</summary>
internal readonly struct ImplicitLengths : IStringLengths
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (int A, int B) Get(ref CpuState cpu, Vector128<byte> a, Vector128<byte> b, int control) =>
        (PackedStrings.Length(a, control), PackedStrings.Length(b, control));
}

/// <summary>PCMPESTRI, PCMPESTRM: in EAX and EDX, or with REX.W in RAX and RDX.</summary>
internal readonly struct ExplicitLengths<TWide> : IStringLengths
    where TWide : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (int A, int B) Get(ref CpuState cpu, Vector128<byte> a, Vector128<byte> b, int control)
    {
        long rax = (long)cpu.Gpr[GeneralRegister.Rax], rdx = (long)cpu.Gpr[GeneralRegister.Rdx];
        return (PackedStrings.Length(TWide.Value ? rax : (int)rax, control), PackedStrings.Length(TWide.Value ? rdx : (int)rdx, control));
    }
}

/// <summary>What becomes of the bits that were found.</summary>
internal interface IStringOutput
{
    /// <summary>Writes the register.</summary>
    static abstract void Write(ref CpuState cpu, uint found, int control);
}

/// <summary>PCMPESTRI, PCMPISTRI: the number of the lowest or highest bit into ECX, or the count of elements.</summary>
internal readonly struct MatchIndex : IStringOutput
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(ref CpuState cpu, uint found, int control)
    {
        int index = found == 0 ? PackedStrings.Count(control)
            : (control & 0x40) != 0 ? BitOperations.Log2(found)
            : BitOperations.TrailingZeroCount(found);
        cpu.Gpr[GeneralRegister.Rcx] = (ulong)index;
    }
}

/// <summary>PCMPESTRM, PCMPISTRM: the bits, or a mask of whole elements, into XMM0.</summary>
internal readonly struct MatchMask : IStringOutput
{
    /// <inheritdoc/>
    public static void Write(ref CpuState cpu, uint found, int control)
    {
        Vector128<byte> bits = Vector128.CreateScalar(found).AsByte();
        CpuState.At<Vector128<byte>>(ref cpu, OperandLayout.Vector) = (control & 0x40) == 0 ? bits
            : PackedStrings.HasWords(control) ? LaneMask.Words((int)found)
            : LaneMask.Bytes((int)found);
    }
}

/// <summary>PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM; memory need not be aligned.</summary>
internal readonly struct PackedStringCompare<TLengths, TOutput> : ISseForm
    where TLengths : struct, IStringLengths
    where TOutput : struct, IStringOutput
{
    /// <inheritdoc/>
    public static bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource
    {
        if (!TSource.TryGet<TPort, Vector128<byte>>(ref cpu, ref op, vcpu, out Vector128<byte> b))
        {
            return false;
        }

        int control = (int)op.Immediate;
        Vector128<byte> a = CpuState.At<Vector128<byte>>(ref cpu, op.Dst);
        (int lengthA, int lengthB) = TLengths.Get(ref cpu, a, b, control);
        uint found = PackedStrings.Compare(a, b, lengthA, lengthB, control);
        TOutput.Write(ref cpu, found, control);
        PackedStrings.SetFlags(ref cpu.Flags, found, lengthA, lengthB, control);
        return true;
    }
}
