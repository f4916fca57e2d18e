using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds MOVS, STOS, LODS, SCAS, CMPS, INS and OUTS.</summary>
internal static class StringBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        if (!i.IsStringInstruction)
        {
            return BindKind.Unsupported;
        }

        op.Segment = (byte)(i.MemorySegment == Register.None ? SegmentIndex.Ds : i.MemorySegment - Register.ES);
        op.Flags &= ~(OpFlags.Address32 | OpFlags.Address16 | OpFlags.Stack);
        op.Flags |= AddressSize(i);
        return i.Mnemonic switch
        {
            Mnemonic.Movsb => Use<MoveString, byte>(ref op),
            Mnemonic.Movsw => Use<MoveString, ushort>(ref op),
            Mnemonic.Movsd => Use<MoveString, uint>(ref op),
            Mnemonic.Movsq => Use<MoveString, ulong>(ref op),
            Mnemonic.Stosb => Use<StoreString, byte>(ref op),
            Mnemonic.Stosw => Use<StoreString, ushort>(ref op),
            Mnemonic.Stosd => Use<StoreString, uint>(ref op),
            Mnemonic.Stosq => Use<StoreString, ulong>(ref op),
            Mnemonic.Lodsb => Use<LoadString, byte>(ref op),
            Mnemonic.Lodsw => Use<LoadString, ushort>(ref op),
            Mnemonic.Lodsd => Use<LoadString, uint>(ref op),
            Mnemonic.Lodsq => Use<LoadString, ulong>(ref op),
            Mnemonic.Scasb => Use<ScanString, byte>(ref op),
            Mnemonic.Scasw => Use<ScanString, ushort>(ref op),
            Mnemonic.Scasd => Use<ScanString, uint>(ref op),
            Mnemonic.Scasq => Use<ScanString, ulong>(ref op),
            Mnemonic.Cmpsb => Use<CompareString, byte>(ref op),
            Mnemonic.Cmpsw => Use<CompareString, ushort>(ref op),
            Mnemonic.Cmpsd => Use<CompareString, uint>(ref op),
            Mnemonic.Cmpsq => Use<CompareString, ulong>(ref op),
            _ => PortStringBinder<TPort>.Bind(i, ref op),
        };
    }

    private static BindKind Use<TOperation, T>(ref Op op)
        where TOperation : struct, IStringOperation
        where T : unmanaged, IBinaryInteger<T> =>
        (op.Flags & (OpFlags.Rep | OpFlags.Repne)) == 0
            ? OpBinder<TPort>.Straight<StringOnce<TOperation, T>>(ref op)
            : OpBinder<TPort>.Straight<StringRepeated<TOperation, T>>(ref op);

    private static OpFlags AddressSize(in Instruction i)
    {
        for (int operand = 0; operand < i.OpCount; operand++)
        {
            switch (i.GetOpKind(operand))
            {
                case OpKind.MemorySegESI or OpKind.MemorySegEDI or OpKind.MemoryESEDI:
                    return OpFlags.Address32;
                case OpKind.MemorySegSI or OpKind.MemorySegDI or OpKind.MemoryESDI:
                    return OpFlags.Address16;
            }
        }

        return OpFlags.None;
    }
}
