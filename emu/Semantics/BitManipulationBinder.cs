using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds BMI1, BMI2, LZCNT, ADX, MOVBE and what else general registers got later.</summary>
/// <remarks>TZCNT and LZCNT on a processor without them are BSF and BSR: see <see cref="BitBinder{TPort}"/>.</remarks>
internal static class BitManipulationBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, CpuFeatures features) => i.Mnemonic switch
    {
        Mnemonic.Tzcnt => features.Has(CpuFeature.Bmi1) ? Count<TrailingZeros>(i, ref op) : BindKind.Unsupported,
        Mnemonic.Lzcnt => features.Has(CpuFeature.Lzcnt) ? Count<LeadingZeros>(i, ref op) : BindKind.Unsupported,
        Mnemonic.Blsi => Single<IsolateLowest>(i, ref op),
        Mnemonic.Blsmsk => Single<MaskToLowest>(i, ref op),
        Mnemonic.Blsr => Single<ResetLowest>(i, ref op),
        Mnemonic.Andn => VectorFirst<AndNot>(i, ref op),
        Mnemonic.Pdep => VectorFirst<DepositBits>(i, ref op),
        Mnemonic.Pext => VectorFirst<ExtractBits>(i, ref op),
        Mnemonic.Bextr => VectorLast<ExtractField>(i, ref op),
        Mnemonic.Bzhi => VectorLast<ZeroHighBits>(i, ref op),
        Mnemonic.Shlx => VectorLast<ShiftLeft>(i, ref op),
        Mnemonic.Shrx => VectorLast<ShiftRight>(i, ref op),
        Mnemonic.Sarx => VectorLast<ShiftArithmetic>(i, ref op),
        Mnemonic.Rorx => Single<RotateRight>(i, ref op),
        Mnemonic.Mulx => Multiply(i, ref op),
        Mnemonic.Adcx => Carry<CarryFlag>(i, ref op),
        Mnemonic.Adox => Carry<OverflowFlag>(i, ref op),
        Mnemonic.Movbe => MoveSwapped(i, ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Count<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IBitSource => Operands.Width(i) == 2 ? Single<TOperation, ushort>(i, ref op) : Single<TOperation>(i, ref op);

    private static BindKind Single<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IBitSource => Operands.Width(i) == 4 ? Single<TOperation, uint>(i, ref op) : Single<TOperation, ulong>(i, ref op);

    private static BindKind Single<TOperation, T>(in Instruction i, ref Op op)
        where TOperation : struct, IBitSource
        where T : unmanaged, IBinaryInteger<T> => i.Op1Kind == OpKind.Memory
            ? OpBinder<TPort>.Straight<BitSource<TOperation, T, SourceMemory>>(ref op)
            : OpBinder<TPort>.Straight<BitSource<TOperation, T, SourceRegister>>(ref op);

    /// <summary>The register in VEX.vvvv comes first, then a register or memory.</summary>
    private static BindKind VectorFirst<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IBitPair => (Operands.Width(i), i.Op2Kind) switch
        {
            (4, OpKind.Memory) => OpBinder<TPort>.Straight<BitPair<TOperation, uint, SourceRegister, SourceMemory>>(ref op),
            (4, _) => OpBinder<TPort>.Straight<BitPair<TOperation, uint, SourceRegister, ThirdRegister>>(ref op),
            (_, OpKind.Memory) => OpBinder<TPort>.Straight<BitPair<TOperation, ulong, SourceRegister, SourceMemory>>(ref op),
            _ => OpBinder<TPort>.Straight<BitPair<TOperation, ulong, SourceRegister, ThirdRegister>>(ref op),
        };

    /// <summary>A register or memory, then the register in VEX.vvvv.</summary>
    private static BindKind VectorLast<TOperation>(in Instruction i, ref Op op)
        where TOperation : struct, IBitPair => (Operands.Width(i), i.Op1Kind) switch
        {
            (4, OpKind.Memory) => OpBinder<TPort>.Straight<BitPair<TOperation, uint, SourceMemory, ThirdRegister>>(ref op),
            (4, _) => OpBinder<TPort>.Straight<BitPair<TOperation, uint, SourceRegister, ThirdRegister>>(ref op),
            (_, OpKind.Memory) => OpBinder<TPort>.Straight<BitPair<TOperation, ulong, SourceMemory, ThirdRegister>>(ref op),
            _ => OpBinder<TPort>.Straight<BitPair<TOperation, ulong, SourceRegister, ThirdRegister>>(ref op),
        };

    private static BindKind Multiply(in Instruction i, ref Op op) => (Operands.Width(i), i.Op2Kind) switch
    {
        (4, OpKind.Memory) => OpBinder<TPort>.Straight<MultiplyWithoutFlags<uint, SourceMemory>>(ref op),
        (4, _) => OpBinder<TPort>.Straight<MultiplyWithoutFlags<uint, ThirdRegister>>(ref op),
        (_, OpKind.Memory) => OpBinder<TPort>.Straight<MultiplyWithoutFlags<ulong, SourceMemory>>(ref op),
        _ => OpBinder<TPort>.Straight<MultiplyWithoutFlags<ulong, ThirdRegister>>(ref op),
    };

    private static BindKind Carry<TFlag>(in Instruction i, ref Op op)
        where TFlag : struct, IChainFlag => (Operands.Width(i), i.Op1Kind) switch
        {
            (4, OpKind.Memory) => OpBinder<TPort>.Straight<AddThroughFlag<TFlag, uint, SourceMemory>>(ref op),
            (4, _) => OpBinder<TPort>.Straight<AddThroughFlag<TFlag, uint, SourceRegister>>(ref op),
            (_, OpKind.Memory) => OpBinder<TPort>.Straight<AddThroughFlag<TFlag, ulong, SourceMemory>>(ref op),
            _ => OpBinder<TPort>.Straight<AddThroughFlag<TFlag, ulong, SourceRegister>>(ref op),
        };

    private static BindKind MoveSwapped(in Instruction i, ref Op op) => Operands.Width(i) switch
    {
        2 => MoveSwapped<ushort>(i, ref op),
        4 => MoveSwapped<uint>(i, ref op),
        _ => MoveSwapped<ulong>(i, ref op),
    };

    private static BindKind MoveSwapped<T>(in Instruction i, ref Op op)
        where T : unmanaged, IBinaryInteger<T> => i.Op0Kind == OpKind.Memory
            ? OpBinder<TPort>.Straight<StoreSwapped<T>>(ref op)
            : OpBinder<TPort>.Straight<LoadSwapped<T>>(ref op);
}
