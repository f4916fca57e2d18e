using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>
/// Binds what came to operating systems later: SYSENTER, segment bases, PCIDs, MONITOR; and random numbers, direct stores and cache lines.
/// </summary>
internal static class SystemLaterBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Rdrand or Mnemonic.Rdseed => Random(i, ref op),
        Mnemonic.Rdfsbase => ReadBase<FsRegister>(i, ref op),
        Mnemonic.Rdgsbase => ReadBase<GsRegister>(i, ref op),
        Mnemonic.Wrfsbase => WriteBase<FsRegister>(i, ref op),
        Mnemonic.Wrgsbase => WriteBase<GsRegister>(i, ref op),
        Mnemonic.Rdpid => OpBinder<TPort>.Straight<ReadProcessorId>(ref op),
        Mnemonic.Clflushopt or Mnemonic.Clwb => OpBinder<TPort>.Straight<FlushLine>(ref op),
        Mnemonic.Movdiri => Operands.Width(i) == 4
            ? OpBinder<TPort>.Straight<MoveMem<uint, AnyAddress, FromRegister>>(ref op)
            : OpBinder<TPort>.Straight<MoveMem<ulong, AnyAddress, FromRegister>>(ref op),
        Mnemonic.Movdir64b => DirectStore(i, ref op),
        Mnemonic.Monitor => Monitor(i, ref op),
        Mnemonic.Mwait => OpBinder<TPort>.Straight<MonitorWait>(ref op),
        Mnemonic.Invpcid => OpBinder<TPort>.Serializing<Serialized<Privileged<InvalidatePcid>>>(ref op),
        Mnemonic.Sysenter => OpBinder<TPort>.Serializing<Sysenter>(ref op),
        Mnemonic.Sysexit => OpBinder<TPort>.Serializing<Sysexit<True>>(ref op),
        Mnemonic.Sysexitq => OpBinder<TPort>.Serializing<Sysexit<False>>(ref op),
        Mnemonic.Rdpmc => OpBinder<TPort>.Straight<ReadPerformanceCounter>(ref op),
        Mnemonic.Serialize => OpBinder<TPort>.Serializing<Serialized<Nop>>(ref op),
        _ => BindKind.Unsupported,
    };

    private static BindKind Random(in Instruction i, ref Op op) => Operands.Width(i) switch
    {
        2 => OpBinder<TPort>.Straight<ReadRandom<ushort>>(ref op),
        4 => OpBinder<TPort>.Straight<ReadRandom<uint>>(ref op),
        _ => OpBinder<TPort>.Straight<ReadRandom<ulong>>(ref op),
    };

    private static BindKind ReadBase<TSegment>(in Instruction i, ref Op op)
        where TSegment : struct, IBasedSegment => Operands.Width(i) == 4
            ? OpBinder<TPort>.Straight<ReadSegmentBase<TSegment, uint>>(ref op)
            : OpBinder<TPort>.Straight<ReadSegmentBase<TSegment, ulong>>(ref op);

    private static BindKind WriteBase<TSegment>(in Instruction i, ref Op op)
        where TSegment : struct, IBasedSegment => Operands.Width(i) == 4
            ? OpBinder<TPort>.Straight<WriteSegmentBase<TSegment, uint>>(ref op)
            : OpBinder<TPort>.Straight<WriteSegmentBase<TSegment, ulong>>(ref op);

    /// <summary>The destination is at ES and the first operand; its size is the address size.</summary>
    private static BindKind DirectStore(in Instruction i, ref Op op) => i.Op0Register.GetSize() switch
    {
        2 => OpBinder<TPort>.Straight<StoreLine<ushort>>(ref op),
        4 => OpBinder<TPort>.Straight<StoreLine<uint>>(ref op),
        _ => OpBinder<TPort>.Straight<StoreLine<ulong>>(ref op),
    };

    /// <summary>The operand is implicit: RAX, EAX or AX in DS, or in the segment of a prefix.</summary>
    private static BindKind Monitor(in Instruction i, ref Op op)
    {
        op.Base = OperandLayout.Gpr;
        op.Segment = (byte)((i.SegmentPrefix == Register.None ? Register.DS : i.SegmentPrefix) - Register.ES);
        op.Flags |= i.Code switch
        {
            Code.Monitorw => OpFlags.Address16,
            Code.Monitord => OpFlags.Address32,
            _ => OpFlags.None,
        };
        op.Flags |= op.Segment == SegmentIndex.Ss ? OpFlags.Stack : OpFlags.None;
        return OpBinder<TPort>.Straight<MonitorAddress>(ref op);
    }
}
