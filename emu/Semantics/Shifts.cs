using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>SHL, SHR, SAR, ROL, ROR, RCL, RCR (SDM Vol. 2B, "SAL/SAR/SHL/SHR" and "RCL/RCR/ROL/ROR").</summary>
/// <remarks>A count is masked to 5 bits, or 6 for 64-bit operands; a masked count of 0 leaves value and flags alone.</remarks>
internal interface IShiftOperation
{
    /// <summary>Shifts by a masked count that is not 0, and sets the flags.</summary>
    static abstract T Apply<T>(ref LazyFlags flags, T value, int count)
        where T : unmanaged, IBinaryInteger<T>;
}

internal static class ShiftCount
{
    /// <summary>Masks a count as the operand width says.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe int Mask<T>(int count)
        where T : unmanaged => count & (sizeof(T) == sizeof(ulong) ? 63 : 31);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe int Bits<T>()
        where T : unmanaged => sizeof(T) * 8;

    /// <summary>The top bit of a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Top<T>(T value)
        where T : unmanaged, IBinaryInteger<T> => Bit(value, Bits<T>() - 1);

    /// <summary>A bit of a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Bit<T>(T value, int index)
        where T : unmanaged, IBinaryInteger<T> => ((ulong.CreateTruncating(value) >> index) & 1) != 0;

    /// <summary>The value, sign-extended to 64 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe long Signed<T>(T value)
        where T : unmanaged, IBinaryInteger<T> => sizeof(T) switch
        {
            1 => (sbyte)byte.CreateTruncating(value),
            2 => (short)ushort.CreateTruncating(value),
            4 => (int)uint.CreateTruncating(value),
            _ => (long)ulong.CreateTruncating(value),
        };
}

internal readonly struct Shl : IShiftOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T value, int count)
        where T : unmanaged, IBinaryInteger<T>
    {
        int bits = ShiftCount.Bits<T>();
        ulong wide = ulong.CreateTruncating(value);
        T result = T.CreateTruncating(wide << count);
        bool cf = count <= bits && ((wide >> (bits - count)) & 1) != 0;
        flags.SetResult(result, cf, cf != ShiftCount.Top(result));
        return result;
    }
}

internal readonly struct Shr : IShiftOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T value, int count)
        where T : unmanaged, IBinaryInteger<T>
    {
        ulong wide = ulong.CreateTruncating(value);
        T result = T.CreateTruncating(wide >> count);
        bool cf = ((wide >> (count - 1)) & 1) != 0;

        // OF is defined for a count of 1 only, as the operand's top bit; longer counts shift that bit on, as hardware does.
        bool of = ShiftCount.Top(T.CreateTruncating(wide >> (count - 1)));
        flags.SetResult(result, cf, of);
        return result;
    }
}

internal readonly struct Sar : IShiftOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T value, int count)
        where T : unmanaged, IBinaryInteger<T>
    {
        long wide = ShiftCount.Signed(value);
        T result = T.CreateTruncating(wide >> count);
        flags.SetResult(result, ((wide >> (count - 1)) & 1) != 0, false);
        return result;
    }
}

internal readonly struct Rol : IShiftOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T value, int count)
        where T : unmanaged, IBinaryInteger<T>
    {
        T result = T.RotateLeft(value, count & (ShiftCount.Bits<T>() - 1));
        bool cf = ShiftCount.Bit(result, 0);
        flags.SetCFOF(cf, cf != ShiftCount.Top(result));
        return result;
    }
}

internal readonly struct Ror : IShiftOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T>(ref LazyFlags flags, T value, int count)
        where T : unmanaged, IBinaryInteger<T>
    {
        int bits = ShiftCount.Bits<T>();
        T result = T.RotateRight(value, count & (bits - 1));
        bool cf = ShiftCount.Top(result);
        flags.SetCFOF(cf, cf != ShiftCount.Bit(result, bits - 2));
        return result;
    }
}

internal readonly struct Rcl : IShiftOperation
{
    public static T Apply<T>(ref LazyFlags flags, T value, int count)
        where T : unmanaged, IBinaryInteger<T>
    {
        int bits = ShiftCount.Bits<T>();
        count %= bits + 1;
        if (count == 0)
        {
            flags.SetCFOF(flags.CF, flags.CF != ShiftCount.Top(value));
            return value;
        }

        UInt128 ring = UInt128.CreateTruncating(value) | (flags.CF ? UInt128.One << bits : UInt128.Zero);
        ring = (ring << count) | (ring >> (bits + 1 - count));
        T result = T.CreateTruncating(ring);
        bool cf = ((ring >> bits) & UInt128.One) != UInt128.Zero;
        flags.SetCFOF(cf, cf != ShiftCount.Top(result));
        return result;
    }
}

internal readonly struct Rcr : IShiftOperation
{
    public static T Apply<T>(ref LazyFlags flags, T value, int count)
        where T : unmanaged, IBinaryInteger<T>
    {
        int bits = ShiftCount.Bits<T>();
        count %= bits + 1;
        if (count == 0)
        {
            flags.SetCFOF(flags.CF, ShiftCount.Top(value) != ShiftCount.Bit(value, bits - 2));
            return value;
        }

        UInt128 ring = UInt128.CreateTruncating(value) | (flags.CF ? UInt128.One << bits : UInt128.Zero);
        ring = (ring >> count) | (ring << (bits + 1 - count));
        T result = T.CreateTruncating(ring);
        bool cf = ((ring >> bits) & UInt128.One) != UInt128.Zero;
        flags.SetCFOF(cf, ShiftCount.Top(result) != ShiftCount.Bit(result, bits - 2));
        return result;
    }
}

/// <summary>Where a shift count comes from.</summary>
internal interface ICount
{
    /// <summary>The count, not yet masked.</summary>
    static abstract int Get(ref CpuState cpu, ref Op op);
}

/// <summary>An immediate.</summary>
internal readonly struct CountImmediate : ICount
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Get(ref CpuState cpu, ref Op op) => (int)op.Immediate;
}

/// <summary>CL.</summary>
internal readonly struct CountCl : ICount
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Get(ref CpuState cpu, ref Op op) => (int)cpu.Gpr[GeneralRegister.Rcx];
}

/// <summary>A shift or rotate of a register.</summary>
internal readonly struct ShiftReg<TOperation, T, TCount> : IInstruction
    where TOperation : struct, IShiftOperation
    where T : unmanaged, IBinaryInteger<T>
    where TCount : struct, ICount
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        int count = ShiftCount.Mask<T>(TCount.Get(ref cpu, ref op));
        T value = CpuState.At<T>(ref cpu, op.Dst);
        CpuState.Set(ref cpu, op.Dst, count == 0 ? value : TOperation.Apply(ref cpu.Flags, value, count));
        return true;
    }
}

/// <summary>A shift or rotate of memory.</summary>
internal readonly struct ShiftMem<TOperation, T, TCount> : IInstruction
    where TOperation : struct, IShiftOperation
    where T : unmanaged, IBinaryInteger<T>
    where TCount : struct, ICount
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!TPort.BeginModify(ref cpu, vcpu, gva, out T value, out nint location))
        {
            return false;
        }

        int count = ShiftCount.Mask<T>(TCount.Get(ref cpu, ref op));
        TPort.CommitModify(ref cpu, vcpu, gva, location, count == 0 ? value : TOperation.Apply(ref cpu.Flags, value, count));
        return true;
    }
}

/// <summary>SHLD and SHRD (SDM Vol. 2B).</summary>
internal static class DoubleShift
{
    /// <summary>
    /// Shifts in bits of another operand. For 16-bit operands and counts above 16 the SDM leaves the result undefined; this is
    /// what shifting the concatenation of first, second and first operand gives.
    /// </summary>
    public static T Apply<T>(ref LazyFlags flags, T first, T second, int count, bool left)
        where T : unmanaged, IBinaryInteger<T>
    {
        int bits = ShiftCount.Bits<T>();
        UInt128 a = UInt128.CreateTruncating(first);
        UInt128 b = UInt128.CreateTruncating(second);
        T result;
        bool cf;
        if (left)
        {
            UInt128 triple = (a << (2 * bits % 128)) | (b << bits) | a;
            if (bits == 64)
            {
                ulong wide = (ulong)((((a << 64) | b) << count) >> 64);
                result = T.CreateTruncating(wide);
                cf = ShiftCount.Bit(first, bits - count);
            }
            else
            {
                result = T.CreateTruncating((triple << count) >> (2 * bits));
                cf = ((triple >> ((3 * bits) - count)) & UInt128.One) != UInt128.Zero;
            }
        }
        else
        {
            UInt128 chain = bits == 64 ? (b << 64) | a : (a << (2 * bits)) | (b << bits) | a;
            result = T.CreateTruncating(chain >> count);
            cf = ((chain >> (count - 1)) & UInt128.One) != UInt128.Zero;
        }

        flags.SetResult(result, cf, ShiftCount.Top(result) != ShiftCount.Top(first));
        return result;
    }
}

/// <summary>SHLD or SHRD.</summary>
internal readonly struct DoubleShiftReg<T, TCount, TLeft> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TCount : struct, ICount
    where TLeft : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        int count = ShiftCount.Mask<T>(TCount.Get(ref cpu, ref op));
        T value = CpuState.At<T>(ref cpu, op.Dst);
        CpuState.Set(ref cpu, op.Dst, count == 0 ? value
            : DoubleShift.Apply(ref cpu.Flags, value, CpuState.At<T>(ref cpu, op.Src), count, TLeft.Value));
        return true;
    }
}

/// <summary>SHLD or SHRD on memory.</summary>
internal readonly struct DoubleShiftMem<T, TCount, TLeft> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TCount : struct, ICount
    where TLeft : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!TPort.BeginModify(ref cpu, vcpu, gva, out T value, out nint location))
        {
            return false;
        }

        int count = ShiftCount.Mask<T>(TCount.Get(ref cpu, ref op));
        TPort.CommitModify(ref cpu, vcpu, gva, location, count == 0 ? value
            : DoubleShift.Apply(ref cpu.Flags, value, CpuState.At<T>(ref cpu, op.Src), count, TLeft.Value));
        return true;
    }
}

/// <summary>A truth value known at compile time.</summary>
internal interface IFlag
{
    static abstract bool Value { get; }
}

internal readonly struct True : IFlag
{
    public static bool Value => true;
}

internal readonly struct False : IFlag
{
    public static bool Value => false;
}
