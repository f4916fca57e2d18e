using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds what loads and stores descriptor-table registers, and what asks about descriptors.</summary>
internal static class TableBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds an instruction of this family, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op, BlockMode mode)
    {
        bool needsProtection = i.Mnemonic is not (Mnemonic.Lgdt or Mnemonic.Lidt or Mnemonic.Sgdt or Mnemonic.Sidt or Mnemonic.Smsw);
        if (needsProtection && (mode & BlockMode.Real) != 0)
        {
            return BindKind.Unsupported;
        }

        switch (i.Mnemonic)
        {
            case Mnemonic.Lgdt:
                return i.Code == Code.Lgdt_m1632_16
                    ? OpBinder<TPort>.Straight<Privileged<LoadTable<Gdt, True>>>(ref op)
                    : OpBinder<TPort>.Straight<Privileged<LoadTable<Gdt, False>>>(ref op);
            case Mnemonic.Lidt:
                return i.Code == Code.Lidt_m1632_16
                    ? OpBinder<TPort>.Straight<Privileged<LoadTable<Idt, True>>>(ref op)
                    : OpBinder<TPort>.Straight<Privileged<LoadTable<Idt, False>>>(ref op);
            case Mnemonic.Arpl:
                return IsRegister(i, 0) ? OpBinder<TPort>.Straight<AdjustRplReg>(ref op) : OpBinder<TPort>.Straight<AdjustRplMem>(ref op);
            case Mnemonic.Sgdt:
                return OpBinder<TPort>.Straight<UserModePrevented<StoreTable<Gdt>>>(ref op);
            case Mnemonic.Sidt:
                return OpBinder<TPort>.Straight<UserModePrevented<StoreTable<Idt>>>(ref op);
            case Mnemonic.Sldt:
                return Store<LdtSelector>(i, ref op);
            case Mnemonic.Str:
                return Store<TaskSelector>(i, ref op);
            case Mnemonic.Smsw:
                return Store<StatusWord>(i, ref op);
            case Mnemonic.Lldt:
                op.Src = op.Dst;
                return IsRegister(i, 0) ? Table<LoadLdt<WordFromRegister>>(ref op) : Table<LoadLdt<WordFromMemory>>(ref op);
            case Mnemonic.Ltr:
                op.Src = op.Dst;
                return IsRegister(i, 0) ? Table<LoadTask<WordFromRegister>>(ref op) : Table<LoadTask<WordFromMemory>>(ref op);
            case Mnemonic.Verr or Mnemonic.Verw:
                op.Src = op.Dst;
                return i.Mnemonic == Mnemonic.Verr ? Query<VerifyRead, ushort>(IsRegister(i, 0), ref op) : Query<VerifyWrite, ushort>(IsRegister(i, 0), ref op);
            case Mnemonic.Lar:
                return Query<AccessRights>(i, ref op);
            default:
                return Query<SegmentLimit>(i, ref op);
        }
    }

    private static bool IsRegister(in Instruction i, int operand) => i.GetOpKind(operand) == OpKind.Register;

    private static BindKind Table<TInstruction>(ref Op op)
        where TInstruction : struct, IInstruction => OpBinder<TPort>.Straight<Privileged<TInstruction>>(ref op);

    private static BindKind Store<TValue>(in Instruction i, ref Op op)
        where TValue : struct, IStoredWord
    {
        if (!IsRegister(i, 0))
        {
            return OpBinder<TPort>.Straight<UserModePrevented<StoreWordMem<TValue>>>(ref op);
        }

        return Operands.Width(i) switch
        {
            2 => OpBinder<TPort>.Straight<UserModePrevented<StoreWordReg<TValue, ushort>>>(ref op),
            4 => OpBinder<TPort>.Straight<UserModePrevented<StoreWordReg<TValue, uint>>>(ref op),
            _ => OpBinder<TPort>.Straight<UserModePrevented<StoreWordReg<TValue, ulong>>>(ref op),
        };
    }

    private static BindKind Query<TQuery>(in Instruction i, ref Op op)
        where TQuery : struct, IDescriptorQuery => Operands.Width(i) switch
        {
            2 => Query<TQuery, ushort>(IsRegister(i, 1), ref op),
            4 => Query<TQuery, uint>(IsRegister(i, 1), ref op),
            _ => Query<TQuery, ulong>(IsRegister(i, 1), ref op),
        };

    private static BindKind Query<TQuery, T>(bool register, ref Op op)
        where TQuery : struct, IDescriptorQuery
        where T : unmanaged, IBinaryInteger<T> =>
        register
            ? OpBinder<TPort>.Straight<QueryDescriptor<TQuery, T, WordFromRegister>>(ref op)
            : OpBinder<TPort>.Straight<QueryDescriptor<TQuery, T, WordFromMemory>>(ref op);
}

/// <summary>GDTR or IDTR.</summary>
internal interface ITableRegister
{
    /// <summary>The register.</summary>
    static abstract ref DescriptorTableRegister Of(ref CpuState cpu);
}

internal readonly struct Gdt : ITableRegister
{
    public static ref DescriptorTableRegister Of(ref CpuState cpu) => ref cpu.Gdtr;
}

internal readonly struct Idt : ITableRegister
{
    public static ref DescriptorTableRegister Of(ref CpuState cpu) => ref cpu.Idtr;
}

/// <summary>LGDT and LIDT: the limit, and a base of 64 bits in 64-bit mode, elsewhere of 32, of which a 16-bit operand size takes 24.</summary>
internal readonly struct LoadTable<TRegister, TNarrow> : IInstruction
    where TRegister : struct, ITableRegister
    where TNarrow : struct, IFlag
{
    private const uint NarrowBase = 0xFF_FFFF;

    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong address = AnyAddress.Of(ref cpu, ref op);
        ulong start;
        if (!TPort.Read(ref cpu, vcpu, address, out ushort limit))
        {
            return false;
        }

        if (TPort.IsSegmented)
        {
            if (!TPort.Read(ref cpu, vcpu, address + sizeof(ushort), out uint low))
            {
                return false;
            }

            start = TNarrow.Value ? low & NarrowBase : low;
        }
        else if (!TPort.Read(ref cpu, vcpu, address + sizeof(ushort), out start))
        {
            return false;
        }

        if (!vcpu.IsProcessorCanonical(start))
        {
            return vcpu.RaiseGP(FaultRule.NonCanonicalAddress);
        }

        TRegister.Of(ref cpu) = new DescriptorTableRegister { Base = start, Limit = limit };
        return true;
    }
}

/// <summary>SGDT and SIDT: outside 64-bit mode 32 bits of the base.</summary>
internal readonly struct StoreTable<TRegister> : IInstruction
    where TRegister : struct, ITableRegister
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong address = AnyAddress.Of(ref cpu, ref op);
        ref DescriptorTableRegister register = ref TRegister.Of(ref cpu);
        if (!TPort.ProbeWrite(ref cpu, vcpu, address, sizeof(ushort) + (TPort.IsSegmented ? sizeof(uint) : sizeof(ulong)))
            || !TPort.Write(ref cpu, vcpu, address, register.Limit))
        {
            return false;
        }

        return TPort.IsSegmented
            ? TPort.Write(ref cpu, vcpu, address + sizeof(ushort), (uint)register.Base)
            : TPort.Write(ref cpu, vcpu, address + sizeof(ushort), register.Base);
    }
}

/// <summary>What SLDT, STR and SMSW store.</summary>
internal interface IStoredWord
{
    /// <summary>The value; its low 16 bits in memory.</summary>
    static abstract ulong Of(ref CpuState cpu);
}

internal readonly struct LdtSelector : IStoredWord
{
    public static ulong Of(ref CpuState cpu) => cpu.Ldtr.Selector;
}

internal readonly struct TaskSelector : IStoredWord
{
    public static ulong Of(ref CpuState cpu) => cpu.Tr.Selector;
}

internal readonly struct StatusWord : IStoredWord
{
    public static ulong Of(ref CpuState cpu) => cpu.Cr0;
}

/// <summary>SLDT, STR and SMSW to a register.</summary>
internal readonly struct StoreWordReg<TValue, T> : IInstruction
    where TValue : struct, IStoredWord
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.Set(ref cpu, op.Dst, T.CreateTruncating(TValue.Of(ref cpu)));
        return true;
    }
}

/// <summary>SLDT, STR and SMSW to memory: 16 bits whatever the operand size.</summary>
internal readonly struct StoreWordMem<TValue> : IInstruction
    where TValue : struct, IStoredWord
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort => TPort.Write(ref cpu, vcpu, AnyAddress.Of(ref cpu, ref op), (ushort)TValue.Of(ref cpu));
}

/// <summary>ARPL: raises the RPL of a selector to that of another.</summary>
internal static class AdjustRpl
{
    /// <summary>The adjusted selector; ZF says whether it changed.</summary>
    public static ushort Of(ref CpuState cpu, ushort selector, ushort other)
    {
        bool raised = (selector & 3) < (other & 3);
        cpu.Flags.Word = raised ? cpu.Flags.Word | Rflags.ZF : cpu.Flags.Word & ~Rflags.ZF;
        return raised ? (ushort)((selector & ~3) | (other & 3)) : selector;
    }
}

internal readonly struct AdjustRplReg : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        CpuState.At<ushort>(ref cpu, op.Dst) = AdjustRpl.Of(ref cpu, CpuState.At<ushort>(ref cpu, op.Dst), CpuState.At<ushort>(ref cpu, op.Src));
        return true;
    }
}

internal readonly struct AdjustRplMem : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong address = AnyAddress.Of(ref cpu, ref op);
        if (!TPort.BeginModify(ref cpu, vcpu, address, out ushort selector, out nint location))
        {
            return false;
        }

        TPort.CommitModify(ref cpu, vcpu, address, location, AdjustRpl.Of(ref cpu, selector, CpuState.At<ushort>(ref cpu, op.Src)));
        return true;
    }
}
