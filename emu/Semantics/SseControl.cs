using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>LDMXCSR.</summary>
internal readonly struct LoadMxcsr : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if (!TPort.Read(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), out uint value))
        {
            return false;
        }

        if ((value & ~SseState.MxcsrMask) != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        cpu.Mxcsr = value;
        return true;
    }
}

/// <summary>STMXCSR.</summary>
internal readonly struct StoreMxcsr : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), cpu.Mxcsr);
}

/// <summary>The first 32 bytes of an FXSAVE area (SDM Vol. 1, table 10-2).</summary>
[StructLayout(LayoutKind.Sequential, Size = Size)]
internal struct FxsaveHeader
{
    /// <summary>Bytes.</summary>
    public const int Size = 32;

    /// <summary>The x87 control word.</summary>
    public ushort ControlWord;

    /// <summary>The x87 status word.</summary>
    public ushort StatusWord;

    /// <summary>Which x87 registers are in use, one bit each.</summary>
    public byte Tag;

    private readonly byte reserved;

    /// <summary>The last x87 opcode.</summary>
    public ushort Opcode;

    /// <summary>The last x87 instruction pointer.</summary>
    public ulong InstructionPointer;

    /// <summary>The last x87 data pointer.</summary>
    public ulong DataPointer;

    /// <summary>MXCSR.</summary>
    public uint Mxcsr;

    /// <summary>The bits that MXCSR has.</summary>
    public uint MxcsrMask;
}

/// <summary>The layout of the FXSAVE area in 64-bit mode.</summary>
internal static class FxsaveArea
{
    public const int Size = 512;
    public const int X87Registers = FxsaveHeader.Size;
    public const int X87Count = 8;
    public const int Xmm = 160;
    public const int XmmCount = 16;

    /// <summary>The x87 control word after FNINIT.</summary>
    public const ushort X87ControlWord = 0x37F;

    /// <summary>The faults that FXSAVE and FXRSTOR check for first.</summary>
    public static bool Check<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr0 & (Cr0.EM | Cr0.TS)) != 0)
        {
            return vcpu.Raise(ExceptionVector.DeviceNotAvailable, null, FaultRule.TaskSwitched);
        }

        return SseAlignment.IsAligned<TPort>(ref cpu, gva) || SseAlignment.Refuse(vcpu, gva);
    }

    /// <summary>An XMM register by number.</summary>
    public static ref Vector128<byte> Register(ref CpuState cpu, int index) =>
        ref Unsafe.As<Vector512<byte>, Vector128<byte>>(ref cpu.Vector[index]);
}

/// <summary>The x87 part of the FXSAVE area, which XSAVE has too.</summary>
internal static class FxsaveX87
{
    private const int SelectorShift = 32;

    /// <summary>Fills in a header.</summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="wide">Whether pointers have 64 bits (REX.W) rather than 32 and a selector.</param>
    public static FxsaveHeader Header(ref CpuState cpu, bool wide)
    {
        ref X87State x87 = ref cpu.X87;
        return new FxsaveHeader
        {
            ControlWord = x87.Control,
            StatusWord = X87Unit.StatusWord(ref cpu),
            Tag = x87.Tags,
            Opcode = x87.Opcode,
            InstructionPointer = wide ? x87.InstructionPointer : (uint)x87.InstructionPointer | ((ulong)x87.InstructionSelector << SelectorShift),
            DataPointer = wide ? x87.DataPointer : (uint)x87.DataPointer | ((ulong)x87.DataSelector << SelectorShift),
        };
    }

    /// <summary>Takes everything but the registers from a header.</summary>
    /// <param name="cpu">The processor.</param>
    /// <param name="header">The header.</param>
    /// <param name="wide">As for <see cref="Header"/>; then the selectors become 0.</param>
    public static void Load(ref CpuState cpu, in FxsaveHeader header, bool wide)
    {
        ref X87State x87 = ref cpu.X87;
        X87Unit.SetWords(ref cpu.X87, header.ControlWord, header.StatusWord);
        x87.Tags = header.Tag;
        x87.Opcode = (ushort)(header.Opcode & X87Layouts.OpcodeMask);
        x87.InstructionPointer = wide ? header.InstructionPointer : (uint)header.InstructionPointer;
        x87.DataPointer = wide ? header.DataPointer : (uint)header.DataPointer;
        x87.InstructionSelector = (ushort)(wide ? 0 : header.InstructionPointer >> SelectorShift);
        x87.DataSelector = (ushort)(wide ? 0 : header.DataPointer >> SelectorShift);
    }

    /// <summary>ST(<paramref name="index"/>) as it stands in the area.</summary>
    public static Vector128<byte> Register(ref CpuState cpu, int index)
    {
        X87Register value = X87Unit.St(ref cpu, index);
        return Vector128.Create(value.Significand, value.SignExponent).AsByte();
    }

    /// <summary>Writes ST(<paramref name="index"/>), whether it is in use or not.</summary>
    public static void SetRegister(ref CpuState cpu, int index, Vector128<byte> value) =>
        X87Unit.St(ref cpu, index) = new X87Register(value.AsUInt16()[4], value.AsUInt64()[0]);
}

/// <summary>FXSAVE, and FXSAVE64 for <typeparamref name="TWide"/>.</summary>
internal readonly struct FxSave<TWide> : IInstruction
    where TWide : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!FxsaveArea.Check<TPort>(ref cpu, vcpu, gva) || !TPort.ProbeWrite(ref cpu, vcpu, gva, FxsaveArea.Size))
        {
            return false;
        }

        FxsaveHeader header = FxsaveX87.Header(ref cpu, TWide.Value);
        header.Mxcsr = cpu.Mxcsr;
        header.MxcsrMask = SseState.MxcsrMask;
        if (!TPort.Write(ref cpu, vcpu, gva, header))
        {
            return false;
        }

        for (int i = 0; i < FxsaveArea.X87Count; i++)
        {
            if (!TPort.Write(ref cpu, vcpu, gva + FxsaveArea.X87Registers + (ulong)(16 * i), FxsaveX87.Register(ref cpu, i)))
            {
                return false;
            }
        }

        for (int i = 0; i < ExtendedStateArea.RegisterCount<TPort>(); i++)
        {
            if (!TPort.Write(ref cpu, vcpu, gva + FxsaveArea.Xmm + (ulong)(16 * i), FxsaveArea.Register(ref cpu, i)))
            {
                return false;
            }
        }

        return true;
    }
}

/// <summary>FXRSTOR, and FXRSTOR64 for <typeparamref name="TWide"/>.</summary>
internal readonly struct FxRestore<TWide> : IInstruction
    where TWide : struct, IFlag
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!FxsaveArea.Check<TPort>(ref cpu, vcpu, gva) || !TPort.Read(ref cpu, vcpu, gva, out FxsaveHeader header))
        {
            return false;
        }

        Span<Vector128<byte>> registers = stackalloc Vector128<byte>[FxsaveArea.X87Count + FxsaveArea.XmmCount];
        registers = registers[..(FxsaveArea.X87Count + ExtendedStateArea.RegisterCount<TPort>())];
        for (int i = 0; i < registers.Length; i++)
        {
            if (!TPort.Read(ref cpu, vcpu, gva + FxsaveArea.X87Registers + (ulong)(16 * i), out registers[i]))
            {
                return false;
            }
        }

        if ((header.Mxcsr & ~SseState.MxcsrMask) != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        FxsaveX87.Load(ref cpu, header, TWide.Value);
        for (int i = 0; i < FxsaveArea.X87Count; i++)
        {
            FxsaveX87.SetRegister(ref cpu, i, registers[i]);
        }

        cpu.Mxcsr = header.Mxcsr;
        for (int i = FxsaveArea.X87Count; i < registers.Length; i++)
        {
            FxsaveArea.Register(ref cpu, i - FxsaveArea.X87Count) = registers[i];
        }

        return true;
    }
}
