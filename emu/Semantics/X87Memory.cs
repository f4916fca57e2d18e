using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>A single in memory.</summary>
internal readonly struct X87Single : IX87Source, IX87Target
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGet<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, out X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort
    {
        bool read = TPort.Read(ref cpu, vcpu, gva, out uint bits);
        value = ExtendedFloat.FromSingle(bits, ref s);
        return read;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPut<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort
    {
        uint bits = (uint)ExtendedFloat.ToSingle(value, ref s);
        return !s.Stores || TPort.Write(ref cpu, vcpu, gva, bits);
    }
}

/// <summary>A double in memory.</summary>
internal readonly struct X87Double : IX87Source, IX87Target
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGet<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, out X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort
    {
        bool read = TPort.Read(ref cpu, vcpu, gva, out ulong bits);
        value = ExtendedFloat.FromDouble(bits, ref s);
        return read;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPut<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort
    {
        ulong bits = ExtendedFloat.ToDouble(value, ref s);
        return !s.Stores || TPort.Write(ref cpu, vcpu, gva, bits);
    }
}

/// <summary>An extended in memory: moved as it is, whatever it is.</summary>
internal readonly struct X87Extended : IX87Source, IX87Target
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGet<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, out X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort
    {
        bool read = TPort.Read(ref cpu, vcpu, gva, out X87Memory bytes);
        value = bytes.Register;
        return read;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPut<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort =>
        !s.Stores || TPort.Write(ref cpu, vcpu, gva, new X87Memory(value));
}

/// <summary>A packed decimal in memory.</summary>
internal readonly struct X87Decimal : IX87Source, IX87Target
{
    /// <inheritdoc/>
    public static bool TryGet<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, out X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort
    {
        bool read = TPort.Read(ref cpu, vcpu, gva, out X87Memory bytes);
        value = ExtendedFloat.FromDecimal(bytes.Low, bytes.High);
        return read;
    }

    /// <inheritdoc/>
    public static bool TryPut<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort
    {
        X87Register digits = X87Integers.IsStackFault(s) ? ExtendedFloat.DecimalIndefinite : ExtendedFloat.ToDecimal(value, ref s);
        return !s.Stores || TPort.Write(ref cpu, vcpu, gva, new X87Memory(digits));
    }
}

/// <summary>An integer in memory, of 16, 32 or 64 bits; a store rounds as RC says.</summary>
internal readonly struct X87Integer<T> : IX87Source, IX87Target
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGet<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, out X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort
    {
        bool read = TPort.Read(ref cpu, vcpu, gva, out T integer);
        value = ExtendedFloat.FromInteger(long.CreateTruncating(integer));
        return read;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPut<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort =>
        X87Integers.TryPut<TPort, T>(ref cpu, vcpu, gva, value, s.Rounding, ref s);
}

/// <summary>An integer in memory as FISTTP stores it: rounded toward zero.</summary>
internal readonly struct X87Truncated<T> : IX87Target
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPut<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort =>
        X87Integers.TryPut<TPort, T>(ref cpu, vcpu, gva, value, RoundingMode.Zero, ref s);
}

internal static class X87Integers
{
    /// <summary>Whether ST(0) was found empty: the flags are complete then.</summary>
    public static bool IsStackFault(in X87Status s) => (s.Flags & X87Bits.SF) != 0;

    /// <summary>Rounds to an integer and writes it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool TryPut<TPort, T>(ref CpuState cpu, Vcpu vcpu, ulong gva, X87Register value, RoundingMode mode, ref X87Status s)
        where TPort : struct, IMemoryPort
        where T : unmanaged, IBinaryInteger<T>
    {
        T integer = T.CreateTruncating(ExtendedFloat.ToInteger(value, 8 * sizeof(T), mode, ref s));
        return !s.Stores || TPort.Write(ref cpu, vcpu, gva, integer);
    }
}
