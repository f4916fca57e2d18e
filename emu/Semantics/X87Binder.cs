using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds the x87 instructions.</summary>
internal static class X87Binder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, BlockMode mode)
    {
        if (i.Mnemonic == Mnemonic.Wait)
        {
            return (mode & BlockMode.WaitNotAvailable) != 0
                ? OpBinder<TPort>.Serializing<RaiseDeviceNotAvailable>(ref op)
                : OpBinder<TPort>.Straight<X87Waiting<Nop>>(ref op);
        }

        OpCodeInfo info = i.OpCode;
        if (info.Table != OpCodeTableKind.Normal || info.OpCode is not ((>= 0xD8 and <= 0xDF) or (>= 0xD8C0 and <= 0xDFFF)))
        {
            return BindKind.Unsupported;
        }

        if ((mode & (BlockMode.X87Emulated | BlockMode.SseNotAvailable)) != 0)
        {
            return OpBinder<TPort>.Serializing<RaiseDeviceNotAvailable>(ref op);
        }

        return i.Op0Kind == OpKind.Memory && i.OpCount != 0
            ? X87MemoryBinder<TPort>.Bind(i, ref op, mode)
            : X87RegisterBinder<TPort>.Bind(i, ref op);
    }

    /// <summary>Binds a form without an operand in memory.</summary>
    public static BindKind Form<TForm>(ref Op op)
        where TForm : struct, IX87Form => OpBinder<TPort>.Straight<X87<TForm>>(ref op);
}
