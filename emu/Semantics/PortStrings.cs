using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds INS and OUTS.</summary>
internal static class PortStringBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds either, or answers <see cref="BindKind.Unsupported"/>.</summary>
    public static BindKind Bind(in Instruction i, ref Op op) => i.Mnemonic switch
    {
        Mnemonic.Insb => OpBinder<TPort>.Serializing<InString<byte>>(ref op),
        Mnemonic.Insw => OpBinder<TPort>.Serializing<InString<ushort>>(ref op),
        Mnemonic.Insd => OpBinder<TPort>.Serializing<InString<uint>>(ref op),
        Mnemonic.Outsb => OpBinder<TPort>.Serializing<OutString<byte>>(ref op),
        Mnemonic.Outsw => OpBinder<TPort>.Serializing<OutString<ushort>>(ref op),
        Mnemonic.Outsd => OpBinder<TPort>.Serializing<OutString<uint>>(ref op),
        _ => BindKind.Unsupported,
    };
}

/// <summary>
/// What INS and OUTS share: REP restarts at each element. They give way to the run loop after every element under REP, since the device may
/// have asked to stop, and only the last one retires the instruction.
/// </summary>
internal static class PortString
{
    /// <summary>Whether there is nothing to do: REP with a count of 0.</summary>
    public static bool IsDone(ref CpuState cpu, ref Op op) =>
        IsRepeated(ref op) && AnyAddress.Masked(ref op, cpu.Gpr[GeneralRegister.Rcx]) == 0;

    /// <summary>Counts an element and ends the instruction, or lets it be restarted for the next.</summary>
    public static BlockExit AfterElement(ref CpuState cpu, ref Op op, Vcpu vcpu)
    {
        if (IsRepeated(ref op))
        {
            ulong left = AnyAddress.Masked(ref op, cpu.Gpr[GeneralRegister.Rcx] - 1);
            AnyAddress.Store(ref cpu, ref op, GeneralRegister.Rcx, left);
            if (left != 0)
            {
                cpu.Meter -= (left & (StringLimits.GiveWay - 1)) == 0 ? 1UL : 0;
                return BlockExit.Repeat;
            }
        }

        return PortEnd.Of(ref cpu, ref op, vcpu);
    }

    /// <summary>Moves an index register on by one element, in the direction of DF.</summary>
    public static unsafe void Advance<T>(ref CpuState cpu, ref Op op, int register)
        where T : unmanaged
    {
        ulong distance = (cpu.SystemFlags & Rflags.DF) != 0 ? 0 - (ulong)sizeof(T) : (ulong)sizeof(T);
        AnyAddress.Store(ref cpu, ref op, register, cpu.Gpr[register] + distance);
    }

    private static bool IsRepeated(ref Op op) => (op.Flags & (OpFlags.Rep | OpFlags.Repne)) != 0;
}

/// <summary>INS: the destination is checked before the port is read, so that no input is lost to a fault.</summary>
internal readonly struct InString<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ushort port = (ushort)cpu.Gpr[GeneralRegister.Rdx];
        if (!IoPermission.Check(ref cpu, vcpu, port, sizeof(T)))
        {
            return vcpu.PendingExit;
        }

        if (PortString.IsDone(ref cpu, ref op))
        {
            return PortEnd.Of(ref cpu, ref op, vcpu);
        }

        ulong destination = StringIndex.Destination(ref cpu, ref op);
        vcpu.SynchronizeClock(ref op);
        if (!TPort.ProbeWrite(ref cpu, vcpu, destination, sizeof(T))
            || !TPort.Write(ref cpu, vcpu, destination, T.CreateTruncating(vcpu.Hypervisor.ReadPort(port, sizeof(T)))))
        {
            return vcpu.PendingExit;
        }

        vcpu.Debug.AccessedPort(port, sizeof(T));
        PortString.Advance<T>(ref cpu, ref op, GeneralRegister.Rdi);
        return PortString.AfterElement(ref cpu, ref op, vcpu);
    }
}

/// <summary>OUTS.</summary>
internal readonly struct OutString<T> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ushort port = (ushort)cpu.Gpr[GeneralRegister.Rdx];
        if (!IoPermission.Check(ref cpu, vcpu, port, sizeof(T)))
        {
            return vcpu.PendingExit;
        }

        if (PortString.IsDone(ref cpu, ref op))
        {
            return PortEnd.Of(ref cpu, ref op, vcpu);
        }

        if (!TPort.Read(ref cpu, vcpu, StringIndex.Source(ref cpu, ref op), out T value))
        {
            return vcpu.PendingExit;
        }

        vcpu.SynchronizeClock(ref op);
        vcpu.Ports.Write(port, sizeof(T), uint.CreateTruncating(value));
        vcpu.Debug.AccessedPort(port, sizeof(T));
        PortString.Advance<T>(ref cpu, ref op, GeneralRegister.Rsi);
        return PortString.AfterElement(ref cpu, ref op, vcpu);
    }
}
