using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>The sixteen general registers in encoding order: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.</summary>
[InlineArray(16)]
public struct GeneralRegisters
{
    private ulong rax;
}

/// <summary>The low 128 bits of XMM0 to XMM15.</summary>
[InlineArray(16)]
public struct XmmRegisters
{
    private UInt128 xmm0;
}

/// <summary>ST(0) to ST(7), ten bytes each in a slot of sixteen.</summary>
[InlineArray(8)]
public struct X87Stack
{
    private UInt128 st0;
}

/// <summary>The x87 unit as FXSAVE stores it; the default is the state after FNINIT, with every exception masked.</summary>
[StructLayout(LayoutKind.Explicit, Size = 152)]
public struct HostX87
{
    /// <summary>The exception masks of the control word: all six must be set, since an unmasked exception would be a signal on the host.</summary>
    public const ushort ExceptionMasks = 0x3F;

    [FieldOffset(0)]
    public ushort Control;

    /// <summary>The status word, TOP in bits 11 to 13.</summary>
    [FieldOffset(2)]
    public ushort Status;

    /// <summary>Which physical registers are in use, bit i for Ri.</summary>
    [FieldOffset(4)]
    public byte Tags;

    [FieldOffset(6)]
    public ushort Opcode;

    /// <summary>The last instruction's address; some processors store it only while an exception is pending.</summary>
    [FieldOffset(8)]
    public ulong InstructionPointer;

    /// <summary>The last operand's address; as <see cref="InstructionPointer"/>.</summary>
    [FieldOffset(16)]
    public ulong DataPointer;

    /// <summary>ST(0) first, wherever TOP points.</summary>
    [FieldOffset(24)]
    public X87Stack St;

    public HostX87() => Control = 0x37F;
}

/// <summary>
/// The user-mode register state an instruction reads and writes. The offsets are part of the contract with the
/// generated stubs of <see cref="HostProcessor"/>.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 816)]
public struct HostState
{
    internal const int RflagsOffset = 128;
    internal const int MxcsrOffset = 136;
    internal const int XmmOffset = 144;
    internal const int YmmHighOffset = 400;
    internal const int X87Offset = 656;

    /// <summary>CF, PF, AF, ZF, SF and OF.</summary>
    public const ulong StatusFlags = 0x8D5;

    /// <summary>DF, which selects the direction of string instructions.</summary>
    public const ulong DirectionFlag = 0x400;

    /// <summary>MXCSR after reset: every exception masked, round to nearest.</summary>
    public const uint DefaultMxcsr = 0x1F80;

    [FieldOffset(0)]
    public GeneralRegisters Gpr;

    /// <summary>Status flags and DF; bit 1 always reads one, every other bit reads zero and is ignored on entry.</summary>
    [FieldOffset(RflagsOffset)]
    public ulong Rflags;

    /// <summary>All six exception masks must be set: an unmasked one would be a signal on the host.</summary>
    [FieldOffset(MxcsrOffset)]
    public uint Mxcsr;

    [FieldOffset(XmmOffset)]
    public XmmRegisters Xmm;

    /// <summary>Bits 128 to 255 of YMM0 to YMM15; on a host without AVX neither read nor written.</summary>
    [FieldOffset(YmmHighOffset)]
    public XmmRegisters YmmHigh;

    /// <summary>The x87 unit, whose registers MMX shares.</summary>
    [FieldOffset(X87Offset)]
    public HostX87 X87;

    public HostState()
    {
        X87 = new HostX87();
        Rflags = 2;
        Mxcsr = DefaultMxcsr;
    }

    /// <summary>The 64-bit register that holds <paramref name="register"/> (AH and EAX both name RAX).</summary>
    [UnscopedRef]
    public ref ulong this[Register register]
    {
        get
        {
            Register full = register.GetFullRegister();
            if (full is < Register.RAX or > Register.R15)
            {
                throw new ArgumentOutOfRangeException(nameof(register), register, "not a general register");
            }

            return ref Gpr[full - Register.RAX];
        }
    }
}
