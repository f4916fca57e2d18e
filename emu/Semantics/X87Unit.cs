using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>The register stack, the pointers and the pending exceptions of the x87 unit.</summary>
internal static class X87Unit
{
    /// <summary>ST(<paramref name="index"/>).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref X87Register St(ref CpuState cpu, int index) =>
        ref Unsafe.Add(ref Unsafe.As<X87Registers, X87Register>(ref cpu.X87.Registers), (cpu.X87.Top + index) & 7);

    /// <summary>Whether ST(<paramref name="index"/>) is empty; -1 is the register that a push is going to use.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsEmpty(ref CpuState cpu, int index) => (cpu.X87.Tags >> ((cpu.X87.Top + index) & 7) & 1) == 0;

    /// <summary>Writes ST(<paramref name="index"/>), which is in use then.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(ref CpuState cpu, int index, X87Register value)
    {
        St(ref cpu, index) = value;
        cpu.X87.Tags |= (byte)(1 << ((cpu.X87.Top + index) & 7));
    }

    /// <summary>Pushes, whatever the register held.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Push(ref CpuState cpu, X87Register value)
    {
        cpu.X87.Top = (byte)((cpu.X87.Top - 1) & 7);
        Write(ref cpu, 0, value);
    }

    /// <summary>Empties ST(<paramref name="index"/>).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(ref CpuState cpu, int index) => cpu.X87.Tags &= (byte)~(1 << ((cpu.X87.Top + index) & 7));

    /// <summary>Empties ST(0) and makes ST(1) the top.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Pop(ref CpuState cpu)
    {
        Free(ref cpu, 0);
        cpu.X87.Top = (byte)((cpu.X87.Top + 1) & 7);
    }

    /// <summary>Whether an unmasked exception waits to be raised.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPending(ref CpuState cpu) => (cpu.X87.Status & X87Bits.ES) != 0;

    /// <summary>#MF, whatever CR0.NE: there is no interrupt controller to which FERR# could be wired.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool RaisePending(Vcpu vcpu) => vcpu.Raise(ExceptionVector.FloatingPoint, null, FaultRule.X87Exception);

    /// <summary>
    /// Notes a non-control instruction (SDM Vol. 1, 8.1.8); its opcode only where it raised an unmasked exception (8.1.9.1), which it
    /// did if one is pending, as none was when it began.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Point(ref CpuState cpu, ref Op op)
    {
        cpu.X87.InstructionPointer = op.Rip;
        cpu.X87.InstructionSelector = cpu.Segments[SegmentIndex.Cs].Selector;
        if (IsPending(ref cpu))
        {
            cpu.X87.Opcode = (ushort)op.Immediate;
        }
    }

    /// <summary>As <see cref="Point(ref CpuState, ref Op)"/>, for an instruction with an operand in memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Point(ref CpuState cpu, ref Op op, ulong offset)
    {
        Point(ref cpu, ref op);
        cpu.X87.DataPointer = offset;
        cpu.X87.DataSelector = cpu.Segments[op.Segment].Selector;
    }

    /// <summary>The status word with TOP.</summary>
    public static ushort StatusWord(ref CpuState cpu) => (ushort)(cpu.X87.Status | (cpu.X87.Top << X87Bits.TopShift));

    /// <summary>Takes over control and status words; ES and B follow from them.</summary>
    public static void SetWords(ref X87State x87, uint control, uint status)
    {
        x87.Control = (ushort)((control & X87Bits.ControlWritable) | X87Bits.ControlFixed);
        x87.Top = (byte)((status & X87Bits.Top) >> X87Bits.TopShift);
        bool pending = (status & ~control & X87Bits.Exceptions) != 0;
        x87.Status = (ushort)((status & ~(X87Bits.Top | X87Bits.ES | X87Bits.B)) | (pending ? X87Bits.ES | X87Bits.B : 0));
    }

    /// <summary>FNINIT: the registers keep their contents, empty (SDM Vol. 2A, "FINIT").</summary>
    public static void Initialize(ref CpuState cpu)
    {
        SetWords(ref cpu.X87, FxsaveArea.X87ControlWord, 0);
        cpu.X87.Tags = 0;
        cpu.X87.Opcode = 0;
        cpu.X87.InstructionPointer = cpu.X87.DataPointer = 0;
        cpu.X87.InstructionSelector = cpu.X87.DataSelector = 0;
    }
}
