using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>
/// Joins an arithmetic instruction and the Jcc that reads its flags into one operation, as processors do. The pair retires as two
/// instructions; where execution must stop between them, blocks of one instruction are used.
/// </summary>
internal static unsafe class Fusion
{
    /// <summary>
    /// Rebinds <paramref name="op"/>, bound to <paramref name="first"/>, to the pair; false when the two do not go together, or the branch leads
    /// beyond <paramref name="limit"/>, that of CS.
    /// </summary>
    public static bool TryFuse(ref Op op, in Instruction first, in Instruction branch, ulong limit)
    {
        if (!branch.IsJccShortOrNear || first.HasLockPrefix || first.NextIP != branch.IP || branch.NearBranchTarget > limit || NeedsOwnAddress(op, first))
        {
            return false;
        }

        long reach = (long)(branch.NearBranchTarget - first.IP);
        if (reach != (int)reach)
        {
            return false;
        }

        return first.Mnemonic switch
        {
            Mnemonic.Cmp => TryOperation<Cmp>(ref op, first, branch, reach),
            Mnemonic.Test => TryOperation<Test>(ref op, first, branch, reach),
            Mnemonic.Sub when first.Op0Kind == OpKind.Register => TryOperation<Sub>(ref op, first, branch, reach),
            Mnemonic.Add when first.Op0Kind == OpKind.Register => TryOperation<Add>(ref op, first, branch, reach),
            Mnemonic.And when first.Op0Kind == OpKind.Register => TryOperation<And>(ref op, first, branch, reach),
            _ => false,
        };
    }

    /// <summary>Whether an operand in memory has an address that fused forms do not compute.</summary>
    private static bool NeedsOwnAddress(in Op op, in Instruction first) =>
        (first.Op0Kind == OpKind.Memory || first.Op1Kind == OpKind.Memory) && Operands.Shape(op) == AddressShape.Any;

    private static bool TryOperation<TOperation>(ref Op op, in Instruction first, in Instruction branch, long reach)
        where TOperation : struct, IBinaryOperation => (first.Op0Kind, first.Op1Kind) switch
        {
            (OpKind.Register, OpKind.Register) => TryForm<TOperation, FusedRegReg>(ref op, first, branch, reach),
            (OpKind.Register, OpKind.Memory) => TryForm<TOperation, FusedRegMem>(ref op, first, branch, reach),
            (OpKind.Register, _) => TryForm<TOperation, FusedRegImm>(ref op, first, branch, reach),
            (_, OpKind.Register) => TryForm<TOperation, FusedMemReg>(ref op, first, branch, reach),
            _ => TryForm<TOperation, FusedMemImm>(ref op, first, branch, reach),
        };

    private static bool TryForm<TOperation, TForm>(ref Op op, in Instruction first, in Instruction branch, long reach)
        where TOperation : struct, IBinaryOperation
        where TForm : struct, IFusedForm => Operands.Width(first) switch
        {
            1 => Bind<TOperation, TForm, byte>(ref op, branch, reach),
            2 => Bind<TOperation, TForm, ushort>(ref op, branch, reach),
            4 => Bind<TOperation, TForm, uint>(ref op, branch, reach),
            _ => Bind<TOperation, TForm, ulong>(ref op, branch, reach),
        };

    private static bool Bind<TOperation, TForm, T>(ref Op op, in Instruction branch, long reach)
        where TOperation : struct, IBinaryOperation
        where TForm : struct, IFusedForm
        where T : unmanaged, IBinaryInteger<T>
    {
        op.Handler = branch.ConditionCode switch
        {
            ConditionCode.b => &FusedBranch<TOperation, TForm, T, Below>.Run,
            ConditionCode.ae => &FusedBranch<TOperation, TForm, T, Negated<Below>>.Run,
            ConditionCode.e => &FusedBranch<TOperation, TForm, T, Zero>.Run,
            ConditionCode.ne => &FusedBranch<TOperation, TForm, T, Negated<Zero>>.Run,
            ConditionCode.be => &FusedBranch<TOperation, TForm, T, BelowOrEqual>.Run,
            ConditionCode.a => &FusedBranch<TOperation, TForm, T, Negated<BelowOrEqual>>.Run,
            ConditionCode.s => &FusedBranch<TOperation, TForm, T, Sign>.Run,
            ConditionCode.ns => &FusedBranch<TOperation, TForm, T, Negated<Sign>>.Run,
            ConditionCode.l => &FusedBranch<TOperation, TForm, T, Less>.Run,
            ConditionCode.ge => &FusedBranch<TOperation, TForm, T, Negated<Less>>.Run,
            ConditionCode.le => &FusedBranch<TOperation, TForm, T, LessOrEqual>.Run,
            ConditionCode.g => &FusedBranch<TOperation, TForm, T, Negated<LessOrEqual>>.Run,
            ConditionCode.o => &FusedBranch<TOperation, TForm, T, Overflow>.Run,
            ConditionCode.no => &FusedBranch<TOperation, TForm, T, Negated<Overflow>>.Run,
            ConditionCode.p => &FusedBranch<TOperation, TForm, T, Parity>.Run,
            _ => &FusedBranch<TOperation, TForm, T, Negated<Parity>>.Run,
        };
        op.Immediate = ((ulong)reach << 32) | (uint)op.Immediate;
        return true;
    }
}
