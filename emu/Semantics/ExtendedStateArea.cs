using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Quadwalk.Emulation;

/// <summary>
/// The XSAVE area (SDM Vol. 1, 13.4): where each state component lies, how it is stored and loaded, and its initial configuration.
/// </summary>
/// <remarks>
/// <code>
///    0  FCW FSW FTW FOP   8  FIP   16  FDP   24  MXCSR, its mask      legacy region
///   32  ST0 to ST7, 16 bytes each           160  XMM0 to XMM15
///  512  XSTATE_BV        520  XCOMP_BV      528  reserved             header
///  576  the other components, see <see cref="StateComponents"/>       extended region
/// </code>
/// </remarks>
internal static class ExtendedStateArea
{
    /// <summary>The header.</summary>
    public const int Header = 512;

    /// <summary>Its bytes.</summary>
    public const int HeaderSize = 64;

    /// <summary>XCOMP_BV.</summary>
    public const int Compaction = Header + sizeof(ulong);

    /// <summary>MXCSR.</summary>
    public const int Mxcsr = 24;

    private const int StackRegisters = 32;
    private const int StackBytes = 128;
    private const int ControlBytes = 24;
    private const int Xmm = 160;
    private const int Registers = 16;

    /// <summary>How many vector registers there are: outside 64-bit mode the area keeps the bytes of the others.</summary>
    public static int RegisterCount<TPort>()
        where TPort : struct, IMemoryPort => TPort.IsSegmented ? 8 : Registers;

    /// <summary>XINUSE: the components that are not in their initial configuration (SDM Vol. 1, 13.6).</summary>
    public static ulong InUse(ref CpuState cpu)
    {
        Vector128<ulong> low = default, high = default;
        for (int i = 0; i < Registers; i++)
        {
            low |= XmmOf(ref cpu, i).AsUInt64();
            high |= YmmHighOf(ref cpu, i).AsUInt64();
        }

        return (IsX87InUse(ref cpu.X87) ? StateComponents.X87 : 0)
            | (low != default ? StateComponents.Sse : 0)
            | (high != default ? StateComponents.Avx : 0)
            | (cpu.Pkru != 0 ? StateComponents.Pkru : 0);
    }

    /// <summary>Whether every byte that storing some components writes can be written; false with the reason recorded.</summary>
    public static bool ProbeWrite<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, ulong components, bool mxcsr, ulong format)
        where TPort : struct, IMemoryPort
    {
        bool x87 = (components & StateComponents.X87) != 0, sse = (components & StateComponents.Sse) != 0;
        return (!x87 || (TPort.ProbeWrite(ref cpu, vcpu, gva, ControlBytes) && TPort.ProbeWrite(ref cpu, vcpu, gva + StackRegisters, StackBytes)))
            && (!mxcsr || TPort.ProbeWrite(ref cpu, vcpu, gva + Mxcsr, sizeof(ulong)))
            && (!sse || TPort.ProbeWrite(ref cpu, vcpu, gva + Xmm, RegisterCount<TPort>() * 16))
            && TPort.ProbeWrite(ref cpu, vcpu, gva + Header, 2 * sizeof(ulong))
            && ((components & StateComponents.Avx) == 0
                || TPort.ProbeWrite(ref cpu, vcpu, gva + Offset(format, StateComponents.AvxNumber), RegisterCount<TPort>() * 16))
            && ((components & StateComponents.Pkru) == 0
                || TPort.ProbeWrite(ref cpu, vcpu, gva + Offset(format, StateComponents.PkruNumber), sizeof(ulong)));
    }

    /// <summary>Stores components; false with the reason recorded.</summary>
    /// <param name="cpu">The registers.</param>
    /// <param name="vcpu">The processor.</param>
    /// <param name="gva">The area.</param>
    /// <param name="components">Which.</param>
    /// <param name="mxcsr">Whether MXCSR and its mask go along.</param>
    /// <param name="format">XCOMP_BV of the area.</param>
    /// <param name="wide">Whether instruction and data pointer have 64 bits rather than 32 and a selector.</param>
    public static bool Store<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, ulong components, bool mxcsr, ulong format, bool wide)
        where TPort : struct, IMemoryPort =>
        ((components & StateComponents.X87) == 0 || StoreX87<TPort>(ref cpu, vcpu, gva, wide))
        && (!mxcsr || TPort.Write(ref cpu, vcpu, gva + Mxcsr, cpu.Mxcsr | ((ulong)SseState.MxcsrMask << 32)))
        && ((components & StateComponents.Sse) == 0 || StoreVectors<TPort>(ref cpu, vcpu, gva + Xmm, high: false))
        && ((components & StateComponents.Avx) == 0
            || StoreVectors<TPort>(ref cpu, vcpu, gva + Offset(format, StateComponents.AvxNumber), high: true))
        && ((components & StateComponents.Pkru) == 0
            || TPort.Write(ref cpu, vcpu, gva + Offset(format, StateComponents.PkruNumber), (ulong)cpu.Pkru));

    /// <summary>Where a component of the extended region lies.</summary>
    public static ulong Offset(ulong format, int number) => (ulong)StateComponents.OffsetOf(format, number);

    /// <summary>Reads the x87 part of the legacy region; false with the reason recorded.</summary>
    public static bool TryReadX87<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, bool wide, out X87State state)
        where TPort : struct, IMemoryPort
    {
        state = default;
        if (!TPort.Read(ref cpu, vcpu, gva, out ulong control)
            || !TPort.Read(ref cpu, vcpu, gva + 8, out ulong instruction)
            || !TPort.Read(ref cpu, vcpu, gva + 16, out ulong data))
        {
            return false;
        }

        X87Unit.SetWords(ref state, (ushort)control, (ushort)(control >> 16));
        state.Tags = (byte)(control >> 32);
        state.Opcode = (ushort)(control >> 48 & 0x7FF);
        state.InstructionPointer = wide ? instruction : (uint)instruction;
        state.DataPointer = wide ? data : (uint)data;
        state.InstructionSelector = (ushort)(wide ? 0 : instruction >> 32);
        state.DataSelector = (ushort)(wide ? 0 : data >> 32);
        for (int i = 0; i < 8; i++)
        {
            if (!TPort.Read(ref cpu, vcpu, gva + StackRegisters + (ulong)(16 * i), out Vector128<ulong> value))
            {
                return false;
            }

            ref X87Register register = ref state.Registers[(state.Top + i) & 7];
            register.Significand = value[0];
            register.SignExponent = (ushort)value[1];
        }

        return true;
    }

    /// <summary>Reads the XMM registers; false with the reason recorded.</summary>
    public static bool TryReadXmm<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, Span<Vector128<byte>> values)
        where TPort : struct, IMemoryPort => TryReadVectors<TPort>(ref cpu, vcpu, gva + Xmm, values);

    /// <summary>Reads sixteen vectors; false with the reason recorded.</summary>
    public static bool TryReadVectors<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, Span<Vector128<byte>> values)
        where TPort : struct, IMemoryPort
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!TPort.Read(ref cpu, vcpu, gva + (ulong)(16 * i), out values[i]))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The x87 unit as FNINIT leaves it, with registers and pointers cleared too.</summary>
    public static X87State InitialX87() => new() { Control = FxsaveArea.X87ControlWord };

    /// <summary>Bits 127:0 of a vector register.</summary>
    public static ref Vector128<byte> XmmOf(ref CpuState cpu, int index) =>
        ref Unsafe.As<Vector512<byte>, Vector128<byte>>(ref cpu.Vector[index]);

    /// <summary>Bits 255:128.</summary>
    public static ref Vector128<byte> YmmHighOf(ref CpuState cpu, int index) => ref Unsafe.Add(ref XmmOf(ref cpu, index), 1);

    private static bool IsX87InUse(ref X87State x87)
    {
        ulong registers = 0;
        for (int i = 0; i < 8; i++)
        {
            registers |= x87.Registers[i].Significand | x87.Registers[i].SignExponent;
        }

        return x87.Control != FxsaveArea.X87ControlWord
            || (registers | x87.Status | x87.Opcode | x87.Tags | x87.Top | x87.InstructionPointer | x87.DataPointer | x87.InstructionSelector | x87.DataSelector) != 0;
    }

    private static bool StoreX87<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, bool wide)
        where TPort : struct, IMemoryPort
    {
        ref X87State x87 = ref cpu.X87;
        ulong status = X87Unit.StatusWord(ref cpu);
        ulong control = x87.Control | (status << 16) | ((ulong)x87.Tags << 32) | ((ulong)x87.Opcode << 48);
        ulong instruction = wide ? x87.InstructionPointer : (uint)x87.InstructionPointer | ((ulong)x87.InstructionSelector << 32);
        ulong data = wide ? x87.DataPointer : (uint)x87.DataPointer | ((ulong)x87.DataSelector << 32);
        if (!TPort.Write(ref cpu, vcpu, gva, control) || !TPort.Write(ref cpu, vcpu, gva + 8, instruction) || !TPort.Write(ref cpu, vcpu, gva + 16, data))
        {
            return false;
        }

        for (int i = 0; i < 8; i++)
        {
            X87Register register = x87.Registers[(x87.Top + i) & 7];
            if (!TPort.Write(ref cpu, vcpu, gva + StackRegisters + (ulong)(16 * i), Vector128.Create(register.Significand, register.SignExponent)))
            {
                return false;
            }
        }

        return true;
    }

    private static bool StoreVectors<TPort>(ref CpuState cpu, Vcpu vcpu, ulong gva, bool high)
        where TPort : struct, IMemoryPort
    {
        for (int i = 0; i < RegisterCount<TPort>(); i++)
        {
            Vector128<byte> value = high ? YmmHighOf(ref cpu, i) : XmmOf(ref cpu, i);
            if (!TPort.Write(ref cpu, vcpu, gva + (ulong)(16 * i), value))
            {
                return false;
            }
        }

        return true;
    }
}
