using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>An SSE instruction as it is for every place its source operand can be in.</summary>
internal interface ISseForm
{
    /// <summary>Executes; see <see cref="IInstruction.Execute"/>.</summary>
    static abstract bool Execute<TPort, TSource>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
        where TSource : struct, ISseSource;
}

/// <summary>Where the source operand of an SSE instruction is.</summary>
internal interface ISseSource
{
    /// <summary>Reads <c>sizeof(T)</c> bytes of it; <see langword="false"/> when that raised a fault.</summary>
    static abstract bool TryGet<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged;
}

/// <summary>A vector register, or a general one, from its low end.</summary>
internal readonly struct SseRegister : ISseSource
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGet<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged
    {
        value = CpuState.At<T>(ref cpu, op.Src);
        return true;
    }
}

/// <summary>Memory; an operand of 16 bytes or more must be on a multiple of its size.</summary>
internal readonly struct SseMemory<TAddress> : ISseSource
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool TryGet<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged
    {
        ulong gva = TAddress.Of(ref cpu, ref op);
        if (sizeof(T) >= 16 && !SseAlignment.IsAligned<TPort>(ref cpu, gva, sizeof(T)))
        {
            value = default;
            return SseAlignment.Refuse(vcpu, gva);
        }

        return TPort.Read(ref cpu, vcpu, gva, out value);
    }
}

/// <summary>Memory at any address.</summary>
internal readonly struct SseUnaligned<TAddress> : ISseSource
    where TAddress : struct, IAddress
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGet<TPort, T>(ref CpuState cpu, ref Op op, Vcpu vcpu, out T value)
        where TPort : struct, IMemoryPort
        where T : unmanaged => TPort.Read(ref cpu, vcpu, TAddress.Of(ref cpu, ref op), out value);
}

internal static class SseAlignment
{
    /// <summary>Whether the linear address is a multiple of a size, which is a power of 2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsAligned<TPort>(ref CpuState cpu, ulong gva, int size = 16)
        where TPort : struct, IMemoryPort => ((TPort.IsSegmented ? SegmentedAddress.Linear(ref cpu, gva) : gva) & (ulong)(size - 1)) == 0;

    /// <summary>#GP(0) for an operand that is not on a multiple of its size (SDM Vol. 1, 4.1.1 and Vol. 2A, table 2-21).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool Refuse(Vcpu vcpu, ulong gva) =>
        vcpu.Raise(ExceptionVector.GeneralProtection, 0, FaultRule.MisalignedOperand, gva);
}

/// <summary>A form with its source operand in one place.</summary>
internal readonly struct Sse<TForm, TSource> : IInstruction
    where TForm : struct, ISseForm
    where TSource : struct, ISseSource
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TForm.Execute<TPort, TSource>(ref cpu, ref op, vcpu);
}
