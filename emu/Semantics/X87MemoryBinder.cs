using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds the x87 instructions that have an operand in memory.</summary>
internal static class X87MemoryBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, BlockMode mode)
    {
        op.Immediate = X87OpcodeField.Of(i);
        switch (i.Mnemonic)
        {
            case Mnemonic.Fld or Mnemonic.Fild or Mnemonic.Fbld:
                return i.MemorySize == MemorySize.Float80
                    ? OpBinder<TPort>.Straight<X87FromMemory<X87LoadExtended, X87Extended>>(ref op)
                    : Source<X87Load>(i, ref op);
            case Mnemonic.Fadd or Mnemonic.Fiadd:
                return Arithmetic<X87Add>(i, ref op);
            case Mnemonic.Fsub or Mnemonic.Fisub:
                return Arithmetic<X87Subtract>(i, ref op);
            case Mnemonic.Fsubr or Mnemonic.Fisubr:
                return Arithmetic<X87SubtractReverse>(i, ref op);
            case Mnemonic.Fmul or Mnemonic.Fimul:
                return Arithmetic<X87Multiply>(i, ref op);
            case Mnemonic.Fdiv or Mnemonic.Fidiv:
                return Arithmetic<X87Divide>(i, ref op);
            case Mnemonic.Fdivr or Mnemonic.Fidivr:
                return Arithmetic<X87DivideReverse>(i, ref op);
            case Mnemonic.Fcom or Mnemonic.Ficom:
                return Source<X87CompareMemory<False>>(i, ref op);
            case Mnemonic.Fcomp or Mnemonic.Ficomp:
                return Source<X87CompareMemory<True>>(i, ref op);
            case Mnemonic.Fst or Mnemonic.Fist:
                return Target<False>(i, ref op);
            case Mnemonic.Fstp or Mnemonic.Fistp or Mnemonic.Fbstp:
                return Target<True>(i, ref op);
            case Mnemonic.Fisttp:
                return Truncated(i, ref op);
            case Mnemonic.Fldcw:
                return OpBinder<TPort>.Straight<X87Waiting<X87LoadControl>>(ref op);
            case Mnemonic.Fnstcw:
                return OpBinder<TPort>.Straight<X87StoreControl>(ref op);
            case Mnemonic.Fnstsw:
                return OpBinder<TPort>.Straight<X87StoreStatus>(ref op);
        }

        bool real = (mode & BlockMode.Real) != 0;
        return i.MemorySize is MemorySize.FpuEnv28 or MemorySize.FpuState108
            ? real ? Environment<X87Real32>(i, ref op) : Environment<X87Protected32>(i, ref op)
            : real ? Environment<X87Real16>(i, ref op) : Environment<X87Protected16>(i, ref op);
    }

    private static BindKind Arithmetic<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IX87Operation => Source<X87ArithmeticMemory<TOperation>>(i, ref op);

    private static BindKind Source<TForm>(in Instruction i, ref Op op)
        where TForm : struct, IX87SourceForm => i.MemorySize switch
        {
            MemorySize.Float32 => OpBinder<TPort>.Straight<X87FromMemory<TForm, X87Single>>(ref op),
            MemorySize.Float64 => OpBinder<TPort>.Straight<X87FromMemory<TForm, X87Double>>(ref op),
            MemorySize.Int16 => OpBinder<TPort>.Straight<X87FromMemory<TForm, X87Integer<short>>>(ref op),
            MemorySize.Int32 => OpBinder<TPort>.Straight<X87FromMemory<TForm, X87Integer<int>>>(ref op),
            MemorySize.Int64 => OpBinder<TPort>.Straight<X87FromMemory<TForm, X87Integer<long>>>(ref op),
            MemorySize.Bcd => OpBinder<TPort>.Straight<X87FromMemory<TForm, X87Decimal>>(ref op),
            _ => BindKind.Unsupported,
        };

    private static BindKind Target<TPop>(in Instruction i, ref Op op)
        where TPop : struct, IFlag => i.MemorySize switch
        {
            MemorySize.Float32 => OpBinder<TPort>.Straight<X87ToMemory<X87Single, TPop>>(ref op),
            MemorySize.Float64 => OpBinder<TPort>.Straight<X87ToMemory<X87Double, TPop>>(ref op),
            MemorySize.Float80 => OpBinder<TPort>.Straight<X87ToMemory<X87Extended, TPop>>(ref op),
            MemorySize.Int16 => OpBinder<TPort>.Straight<X87ToMemory<X87Integer<short>, TPop>>(ref op),
            MemorySize.Int32 => OpBinder<TPort>.Straight<X87ToMemory<X87Integer<int>, TPop>>(ref op),
            MemorySize.Int64 => OpBinder<TPort>.Straight<X87ToMemory<X87Integer<long>, TPop>>(ref op),
            MemorySize.Bcd => OpBinder<TPort>.Straight<X87ToMemory<X87Decimal, TPop>>(ref op),
            _ => BindKind.Unsupported,
        };

    private static BindKind Truncated(in Instruction i, ref Op op) => i.MemorySize switch
    {
        MemorySize.Int16 => OpBinder<TPort>.Straight<X87ToMemory<X87Truncated<short>, True>>(ref op),
        MemorySize.Int32 => OpBinder<TPort>.Straight<X87ToMemory<X87Truncated<int>, True>>(ref op),
        _ => OpBinder<TPort>.Straight<X87ToMemory<X87Truncated<long>, True>>(ref op),
    };

    private static BindKind Environment<TLayout>(in Instruction i, ref Op op)
        where TLayout : unmanaged, IX87Layout<TLayout> => i.Mnemonic switch
        {
            Mnemonic.Fldenv => OpBinder<TPort>.Straight<X87Waiting<X87LoadEnvironment<TLayout>>>(ref op),
            Mnemonic.Fnstenv => OpBinder<TPort>.Straight<X87StoreEnvironment<TLayout>>(ref op),
            Mnemonic.Frstor => OpBinder<TPort>.Straight<X87Waiting<X87Restore<TLayout>>>(ref op),
            Mnemonic.Fnsave => OpBinder<TPort>.Straight<X87Save<TLayout>>(ref op),
            _ => BindKind.Unsupported,
        };
}

/// <summary>The opcode as FSTENV stores it: three bits of the first byte, and the ModR/M byte.</summary>
internal static class X87OpcodeField
{
    /// <summary>
    /// That of an instruction with an operand in memory. The ModR/M byte is worked out from the operand: of two encodings of the same
    /// address it gives the one without a superfluous SIB byte.
    /// </summary>
    public static ulong Of(in Instruction i)
    {
        OpCodeInfo info = i.OpCode;
        Register @base = i.MemoryBase;
        bool absolute = @base == Register.None || i.IsIPRelativeMemoryOperand;
        int mod = absolute ? 0 : i.MemoryDisplSize switch { 0 => 0, 1 => 1, _ => 2 };
        int rm = IsAddress16(i) ? AddressField16(i)
            : i.MemoryIndex != Register.None ? 4
            : absolute ? (i.IsIPRelativeMemoryOperand || i.CodeSize != CodeSize.Code64 ? 5 : 4)
            : (@base.GetFullRegister() - Register.RAX) & 7;
        return ((info.OpCode & 7) << 8) | ((uint)mod << 6) | ((uint)info.GroupIndex << 3) | (uint)rm;
    }

    private static bool IsAddress16(in Instruction i) =>
        i.MemoryBase.IsGPR16() || i.MemoryIndex.IsGPR16() || (i.MemoryBase == Register.None && i.MemoryDisplSize == 2);

    private static int AddressField16(in Instruction i) => (i.MemoryBase, i.MemoryIndex) switch
    {
        (Register.BX, Register.SI) => 0,
        (Register.BX, Register.DI) => 1,
        (Register.BP, Register.SI) => 2,
        (Register.BP, Register.DI) => 3,
        (Register.SI, _) => 4,
        (Register.DI, _) => 5,
        (Register.BX, _) => 7,
        _ => 6,
    };
}
