using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>
/// What MMX instructions do to the x87 unit, whose registers they use (SDM Vol. 3A, 14.2 and table 14-1): a pending x87 exception is
/// raised first; then TOP becomes 0 and every register valid; a register that is written gets an exponent of all ones.
/// </summary>
internal static class MmxState
{
    /// <summary>Every register in use.</summary>
    public const byte AllValid = 0xFF;

    /// <summary>The exponent and sign of a register that was written as MMX: the x87 unit sees a NaN.</summary>
    public const ushort Exponent = 0xFFFF;

    private const ushort ErrorSummary = 1 << 7;

    /// <summary>#MF where an unmasked x87 exception waits to be raised. CR0.NE = 0, which would report it by interrupt, is not told apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryEnter(ref CpuState cpu, Vcpu vcpu) =>
        (cpu.X87.Status & ErrorSummary) == 0 || vcpu.Raise(ExceptionVector.FloatingPoint, null, FaultRule.X87Exception);
}

/// <summary>An instruction that reads MMX registers, or writes one.</summary>
/// <typeparam name="TInstruction">What it does to the significands.</typeparam>
/// <typeparam name="TWrites">Whether the destination is an MMX register.</typeparam>
internal readonly struct Mmx<TInstruction, TWrites> : IInstruction
    where TInstruction : struct, IInstruction
    where TWrites : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!MmxState.TryEnter(ref cpu, vcpu) || !TInstruction.Execute<TPort>(ref cpu, ref op, vcpu))
        {
            return false;
        }

        cpu.X87.Top = 0;
        cpu.X87.Tags = MmxState.AllValid;
        if (TWrites.Value)
        {
            CpuState.At<ushort>(ref cpu, op.Dst + sizeof(ulong)) = MmxState.Exponent;
        }

        return true;
    }
}

/// <summary>EMMS: gives the registers back to the x87 unit, all empty.</summary>
internal readonly struct MmxEmpty : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!MmxState.TryEnter(ref cpu, vcpu))
        {
            return false;
        }

        cpu.X87.Top = 0;
        cpu.X87.Tags = 0;
        return true;
    }
}
