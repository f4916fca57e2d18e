using System.Buffers.Binary;
using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>The bytes of a value the other way round.</summary>
internal static class ByteOrder
{
    /// <summary>Reverses them.</summary>
    public static T Reverse<T>(T value)
        where T : unmanaged, IBinaryInteger<T> =>
        T.CreateTruncating(BinaryPrimitives.ReverseEndianness(ulong.CreateTruncating(value)) >> (64 - ShiftCount.Bits<T>()));
}

/// <summary>MOVBE from memory.</summary>
internal readonly struct LoadSwapped<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out T value))
        {
            return false;
        }

        CpuState.Set(ref cpu, op.Dst, ByteOrder.Reverse(value));
        return true;
    }
}

/// <summary>MOVBE to memory.</summary>
internal readonly struct StoreSwapped<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), ByteOrder.Reverse(CpuState.At<T>(ref cpu, op.Src)));
}
