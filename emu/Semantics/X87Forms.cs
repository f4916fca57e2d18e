using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Quadwalk.Emulation;

/// <summary>An x87 instruction that touches no memory and waits: it raises #MF while an exception is pending.</summary>
internal interface IX87Form
{
    /// <summary>Executes; <see cref="Op.Src"/> is i of ST(i).</summary>
    static abstract void Execute(ref CpuState cpu, ref Op op, ref X87Status s);
}

/// <summary>An x87 instruction that waits, with what it reads from memory.</summary>
internal interface IX87SourceForm
{
    /// <summary>Executes.</summary>
    static abstract void Execute(ref CpuState cpu, X87Register source, ref X87Status s);
}

/// <summary>How an operand in memory becomes an extended.</summary>
internal interface IX87Source
{
    /// <summary>Reads it; <see langword="false"/> when that raised a fault.</summary>
    static abstract bool TryGet<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, out X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort;
}

/// <summary>How ST(0) goes to memory.</summary>
internal interface IX87Target
{
    /// <summary>Converts, and writes where no unmasked exception forbids it; <see langword="false"/> when the write raised a fault.</summary>
    static abstract bool TryPut<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, X87Register value, ref X87Status s)
        where TPort : struct, IMemoryPort;
}

/// <summary>Ten bytes of memory: an extended or a packed decimal.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 2, Size = X87Memory.Size)]
internal struct X87Memory
{
    public const int Size = 10;

    /// <summary>The low eight bytes.</summary>
    public ulong Low;

    /// <summary>The high two.</summary>
    public ushort High;

    public X87Memory(X87Register value)
    {
        Low = value.Significand;
        High = value.SignExponent;
    }

    /// <summary>The same bytes in a register.</summary>
    public readonly X87Register Register => new(High, Low);
}

/// <summary>A form without an operand in memory.</summary>
internal readonly struct X87<TForm> : IInstruction
    where TForm : struct, IX87Form
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (X87Unit.IsPending(ref cpu))
        {
            return X87Unit.RaisePending(vcpu);
        }

        ref X87Status s = ref X87Status.Begin(ref cpu);
        TForm.Execute(ref cpu, ref op, ref s);
        X87Unit.Point(ref cpu, ref op);
        return true;
    }
}

/// <summary>A form with a source in memory.</summary>
internal readonly struct X87FromMemory<TForm, TSource> : IInstruction
    where TForm : struct, IX87SourceForm
    where TSource : struct, IX87Source
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (X87Unit.IsPending(ref cpu))
        {
            return X87Unit.RaisePending(vcpu);
        }

        ref X87Status s = ref X87Status.Begin(ref cpu);
        ulong offset = AnyAddress.Offset(ref cpu, ref op);
        if (!TSource.TryGet<TPort>(ref cpu, vcpu, AnyAddress.At(ref cpu, ref op, offset), out X87Register source, ref s))
        {
            return false;
        }

        TForm.Execute(ref cpu, source, ref s);
        X87Unit.Point(ref cpu, ref op, offset);
        return true;
    }
}

/// <summary>A store of ST(0), with a pop or without.</summary>
internal readonly struct X87ToMemory<TTarget, TPop> : IInstruction
    where TTarget : struct, IX87Target
    where TPop : struct, IFlag
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (X87Unit.IsPending(ref cpu))
        {
            return X87Unit.RaisePending(vcpu);
        }

        ref X87Status s = ref X87Status.Begin(ref cpu);
        ulong offset = AnyAddress.Offset(ref cpu, ref op);
        ulong gva = AnyAddress.At(ref cpu, ref op, offset);
        bool empty = X87Unit.IsEmpty(ref cpu, 0);
        X87Register value = empty ? s.StackFault(overflow: false) : X87Unit.St(ref cpu, 0);
        if (!TTarget.TryPut<TPort>(ref cpu, vcpu, gva, value, ref s))
        {
            return false;
        }

        if (s.CommitStore(ref cpu) && TPop.Value)
        {
            X87Unit.Pop(ref cpu);
        }

        X87Unit.Point(ref cpu, ref op, offset);
        return true;
    }
}
