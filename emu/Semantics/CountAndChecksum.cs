using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>POPCNT: ZF where the source is 0; the other status flags are cleared.</summary>
internal readonly struct PopulationCount<T, TSource> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IOperand
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.Read<TPort, T>(ref cpu, ref op, vcpu, out T source))
        {
            return false;
        }

        CpuState.Set(ref cpu, op.Dst, T.PopCount(source));
        cpu.Flags.Word = T.IsZero(source) ? Rflags.ZF : 0;
        return true;
    }
}

/// <summary>CRC32: the Castagnoli polynomial, bits reflected, into a 32-bit register or the low half of a 64-bit one, whose rest is cleared.</summary>
internal readonly struct Checksum<T, TSource> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IOperand
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.Read<TPort, T>(ref cpu, ref op, vcpu, out T source))
        {
            return false;
        }

        uint crc = CpuState.At<uint>(ref cpu, op.Dst);
        CpuState.At<ulong>(ref cpu, op.Dst) = sizeof(T) switch
        {
            1 => BitOperations.Crc32C(crc, byte.CreateTruncating(source)),
            2 => BitOperations.Crc32C(crc, ushort.CreateTruncating(source)),
            4 => BitOperations.Crc32C(crc, uint.CreateTruncating(source)),
            _ => BitOperations.Crc32C(crc, ulong.CreateTruncating(source)),
        };
        return true;
    }
}
