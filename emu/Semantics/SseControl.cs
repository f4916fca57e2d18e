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
    public const int Xmm = 160;
    public const int XmmCount = 16;

    /// <summary>The x87 control word after FNINIT.</summary>
    public const ushort X87ControlWord = 0x37F;

    /// <summary>The faults that FXSAVE and FXRSTOR check for first.</summary>
    public static bool Check(ref CpuState cpu, Vcpu vcpu, ulong gva)
    {
        if ((cpu.Cr0 & (Cr0.EM | Cr0.TS)) != 0)
        {
            return vcpu.Raise(ExceptionVector.DeviceNotAvailable, null, FaultRule.TaskSwitched);
        }

        return (gva & 15) == 0 || SseAlignment.Refuse(vcpu, gva);
    }

    /// <summary>An XMM register by number.</summary>
    public static ref Vector128<byte> Register(ref CpuState cpu, int index) =>
        ref Unsafe.As<Vector512<byte>, Vector128<byte>>(ref cpu.Vector[index]);
}

/// <summary>FXSAVE and FXSAVE64. There is no x87 unit: its part is as FNINIT leaves it.</summary>
internal readonly struct FxSave : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!FxsaveArea.Check(ref cpu, vcpu, gva) || !TPort.ProbeWrite(ref cpu, vcpu, gva, FxsaveArea.Size))
        {
            return false;
        }

        FxsaveHeader header = new() { ControlWord = FxsaveArea.X87ControlWord, Mxcsr = cpu.Mxcsr, MxcsrMask = SseState.MxcsrMask };
        if (!TPort.Write(ref cpu, vcpu, gva, header))
        {
            return false;
        }

        for (ulong offset = FxsaveArea.X87Registers; offset < FxsaveArea.Xmm; offset += 16)
        {
            if (!TPort.Write(ref cpu, vcpu, gva + offset, Vector128<byte>.Zero))
            {
                return false;
            }
        }

        for (int i = 0; i < FxsaveArea.XmmCount; i++)
        {
            if (!TPort.Write(ref cpu, vcpu, gva + FxsaveArea.Xmm + (ulong)(16 * i), FxsaveArea.Register(ref cpu, i)))
            {
                return false;
            }
        }

        return true;
    }
}

/// <summary>FXRSTOR and FXRSTOR64; the x87 part is read over.</summary>
internal readonly struct FxRestore : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong gva = AnyAddress.Of(ref cpu, ref op);
        if (!FxsaveArea.Check(ref cpu, vcpu, gva) || !TPort.Read(ref cpu, vcpu, gva, out FxsaveHeader header))
        {
            return false;
        }

        Span<Vector128<byte>> registers = stackalloc Vector128<byte>[FxsaveArea.XmmCount];
        for (int i = 0; i < registers.Length; i++)
        {
            if (!TPort.Read(ref cpu, vcpu, gva + FxsaveArea.Xmm + (ulong)(16 * i), out registers[i]))
            {
                return false;
            }
        }

        if ((header.Mxcsr & ~SseState.MxcsrMask) != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        cpu.Mxcsr = header.Mxcsr;
        for (int i = 0; i < registers.Length; i++)
        {
            FxsaveArea.Register(ref cpu, i) = registers[i];
        }

        return true;
    }
}
