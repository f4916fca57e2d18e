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

/// <summary>
/// The user-mode register state an instruction reads and writes. The offsets are part of the contract with the
/// generated stubs of <see cref="HostProcessor"/>.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 400)]
public struct HostState
{
    internal const int RflagsOffset = 128;
    internal const int MxcsrOffset = 136;
    internal const int XmmOffset = 144;

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

    public HostState()
    {
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
