using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>The operand as it is: VMOVAPS, VMOVDQU, VLDDQU, VEXTRACTF128 to a register.</summary>
internal readonly struct MoveVex<T> : IVexOperation<T, T>
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out T result)
    {
        result = b;
        return true;
    }
}

/// <summary>One number, the rest cleared: VMOVD, VMOVQ, VMOVSS and VMOVSD from memory.</summary>
internal readonly struct LoadVex<T> : IVexOperation<T, Vector128<T>>
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out Vector128<T> result)
    {
        result = Vector128.CreateScalar(b);
        return true;
    }
}

/// <summary>The first source with its low lane replaced: VMOVSS and VMOVSD between registers, VMOVLPS, VMOVHLPS.</summary>
internal readonly struct ReplaceLowVex<T> : IVexOperation<T, Vector128<T>>
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out Vector128<T> result)
    {
        result = VexRegister.First<Vector128<T>>(ref cpu, ref op).WithElement(0, b);
        return true;
    }
}

/// <summary>The first source with its upper half replaced: VMOVHPS, VMOVLHPS.</summary>
internal readonly struct ReplaceHighVex : IVexOperation<ulong, Vector128<ulong>>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, ulong b, out Vector128<ulong> result)
    {
        result = VexRegister.First<Vector128<ulong>>(ref cpu, ref op).WithElement(1, b);
        return true;
    }
}

/// <summary>One number in every lane: VBROADCASTSS, VPBROADCASTB, VMOVDDUP of 128 bits.</summary>
internal readonly struct BroadcastVex<T> : IVexOperation<T, Vector128<T>>, IVexOperation<T, Vector256<T>>
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out Vector128<T> result)
    {
        result = Vector128.Create(b);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, T b, out Vector256<T> result)
    {
        result = Vector256.Create(b);
        return true;
    }
}

/// <summary>VBROADCASTF128 and VBROADCASTI128.</summary>
internal readonly struct BroadcastHalfVex : IVexOperation<Vector128<byte>, Vector256<byte>>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryApply(ref CpuState cpu, ref Op op, Vcpu vcpu, Vector128<byte> b, out Vector256<byte> result)
    {
        result = Vector256.Create(b, b);
        return true;
    }
}

/// <summary>VMOVMSKPS, VMOVMSKPD and VPMOVMSKB of 256 bits.</summary>
internal readonly struct WideSignMask<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, CpuState.At<Vector256<T>>(ref cpu, op.Src).ExtractMostSignificantBits());
        return true;
    }
}

/// <summary>VZEROUPPER; VZEROALL where <typeparamref name="TAll"/>. The first sixteen registers, outside 64-bit mode the first eight.</summary>
internal readonly struct ZeroVectors<TAll> : IInstruction
    where TAll : struct, IFlag
{
    private const int Registers = 16;
    private const int LegacyRegisters = 8;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        for (int i = 0; i < (TPort.IsSegmented ? LegacyRegisters : Registers); i++)
        {
            ref Vector512<byte> register = ref cpu.Vector[i];
            register = TAll.Value ? default : register.GetLower().GetLower().ToVector256().ToVector512();
        }

        return true;
    }
}
