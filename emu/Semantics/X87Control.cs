using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>A control instruction, which leaves the pointers alone. One that waits raises #MF while an exception is pending.</summary>
internal readonly struct X87Waiting<TInstruction> : IInstruction
    where TInstruction : struct, IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort =>
        X87Unit.IsPending(ref cpu) ? X87Unit.RaisePending(vcpu) : TInstruction.Execute<TPort>(ref cpu, ref op, vcpu);
}

/// <summary>FNINIT.</summary>
internal readonly struct X87Initialize : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        X87Unit.Initialize(ref cpu);
        return true;
    }
}

/// <summary>FNCLEX: the condition codes stay.</summary>
internal readonly struct X87ClearExceptions : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        cpu.X87.Status &= unchecked((ushort)~(X87Bits.Exceptions | X87Bits.SF | X87Bits.ES | X87Bits.B));
        return true;
    }
}

/// <summary>FLDCW: flags that stood there masked may come to be pending.</summary>
internal readonly struct X87LoadControl : IInstruction
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out ushort control))
        {
            return false;
        }

        X87Unit.SetWords(ref cpu.X87, control, X87Unit.StatusWord(ref cpu));
        return true;
    }
}

/// <summary>FNSTCW.</summary>
internal readonly struct X87StoreControl : IInstruction
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), cpu.X87.Control);
}

/// <summary>FNSTSW to memory.</summary>
internal readonly struct X87StoreStatus : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), X87Unit.StatusWord(ref cpu));
}

/// <summary>FNSTSW AX.</summary>
internal readonly struct X87StatusToAx : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.At<ushort>(ref cpu, OperandLayout.Gpr) = X87Unit.StatusWord(ref cpu);
        return true;
    }
}

/// <summary>FNSTENV: afterwards every exception is masked.</summary>
internal readonly struct X87StoreEnvironment<TLayout> : IInstruction
    where TLayout : unmanaged, IX87Layout<TLayout>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), TLayout.Of(X87Environment.Of(ref cpu))))
        {
            return false;
        }

        X87Unit.SetWords(ref cpu.X87, cpu.X87.Control | X87Bits.Exceptions, X87Unit.StatusWord(ref cpu));
        return true;
    }
}

/// <summary>FLDENV.</summary>
internal readonly struct X87LoadEnvironment<TLayout> : IInstruction
    where TLayout : unmanaged, IX87Layout<TLayout>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out TLayout layout))
        {
            return false;
        }

        layout.Environment(X87Environment.Of(ref cpu)).Load(ref cpu);
        return true;
    }
}

/// <summary>FNSAVE: environment and registers, all or nothing; then as FNINIT.</summary>
internal readonly struct X87Save<TLayout> : IInstruction
    where TLayout : unmanaged, IX87Layout<TLayout>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        ulong registers = gva + (ulong)Unsafe.SizeOf<TLayout>();
        if (!TPort.ProbeWrite(ref cpu, vcpu, gva, Unsafe.SizeOf<TLayout>() + (8 * X87Memory.Size))
            || !TPort.Write(ref cpu, vcpu, gva, TLayout.Of(X87Environment.Of(ref cpu))))
        {
            return false;
        }

        for (int i = 0; i < 8; i++)
        {
            if (!TPort.Write(ref cpu, vcpu, registers + (ulong)(i * X87Memory.Size), new X87Memory(X87Unit.St(ref cpu, i))))
            {
                return false;
            }
        }

        X87Unit.Initialize(ref cpu);
        return true;
    }
}

/// <summary>FRSTOR.</summary>
internal readonly struct X87Restore<TLayout> : IInstruction
    where TLayout : unmanaged, IX87Layout<TLayout>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        ulong at = gva + (ulong)Unsafe.SizeOf<TLayout>();
        if (!TPort.Read(ref cpu, vcpu, gva, out TLayout layout))
        {
            return false;
        }

        Span<X87Memory> registers = stackalloc X87Memory[8];
        for (int i = 0; i < registers.Length; i++)
        {
            if (!TPort.Read(ref cpu, vcpu, at + (ulong)(i * X87Memory.Size), out registers[i]))
            {
                return false;
            }
        }

        layout.Environment(X87Environment.Of(ref cpu)).Load(ref cpu);
        for (int i = 0; i < registers.Length; i++)
        {
            X87Unit.St(ref cpu, i) = registers[i].Register;
        }

        return true;
    }
}
