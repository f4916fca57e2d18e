using System.Numerics;
using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>The flag through which ADCX or ADOX carries; the other five stay.</summary>
internal interface IChainFlag
{
    /// <summary>The flag.</summary>
    static abstract bool Get(in LazyFlags flags);

    /// <summary>Sets the flag and no other.</summary>
    static abstract void Set(ref LazyFlags flags, bool value);
}

internal readonly struct CarryFlag : IChainFlag
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Get(in LazyFlags flags) => flags.CF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(ref LazyFlags flags, bool value) => flags.SetCF(value);
}

internal readonly struct OverflowFlag : IChainFlag
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Get(in LazyFlags flags) => flags.OF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(ref LazyFlags flags, bool value) => flags.SetCFOF(flags.CF, value);
}

/// <summary>ADCX and ADOX.</summary>
internal readonly struct AddThroughFlag<TFlag, T, TSource> : IInstruction
    where TFlag : struct, IChainFlag
    where T : unmanaged, IBinaryInteger<T>
    where TSource : struct, IOperand
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TSource.Read<TPort, T>(ref cpu, ref op, vcpu, out T b))
        {
            return false;
        }

        T a = CpuState.At<T>(ref cpu, op.Dst);
        T result = a + b + (TFlag.Get(cpu.Flags) ? T.One : T.Zero);
        TFlag.Set(ref cpu.Flags, ShiftCount.Top((a & b) | ((a | b) & ~result)));
        CpuState.Set(ref cpu, op.Dst, result);
        return true;
    }
}
