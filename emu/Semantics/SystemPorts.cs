using System.Numerics;
using Iced.Intel;

namespace Quadwalk.Emulation;

/// <summary>Binds IN and OUT.</summary>
internal static class PortBinder<TPort>
    where TPort : struct, IMemoryPort
{
    /// <summary>Binds either; the port is DX or the immediate.</summary>
    public static BindKind Bind(in Instruction i, ref Op op)
    {
        bool input = i.Mnemonic == Mnemonic.In;
        bool inDx = input ? i.Op1Kind == OpKind.Register : i.Op0Kind == OpKind.Register;
        int width = (input ? i.Op0Register : i.Op1Register).GetSize();
        return inDx ? Bind<PortInDx>(input, width, ref op) : Bind<PortImmediate>(input, width, ref op);
    }

    private static BindKind Bind<TNumber>(bool input, int width, ref Op op)
        where TNumber : struct, IPortNumber => (input, width) switch
        {
            (true, 1) => OpBinder<TPort>.Serializing<In<byte, TNumber>>(ref op),
            (true, 2) => OpBinder<TPort>.Serializing<In<ushort, TNumber>>(ref op),
            (true, _) => OpBinder<TPort>.Serializing<In<uint, TNumber>>(ref op),
            (_, 1) => OpBinder<TPort>.Serializing<Out<byte, TNumber>>(ref op),
            (_, 2) => OpBinder<TPort>.Serializing<Out<ushort, TNumber>>(ref op),
            _ => OpBinder<TPort>.Serializing<Out<uint, TNumber>>(ref op),
        };
}

/// <summary>Where IN and OUT find the port.</summary>
internal interface IPortNumber
{
    /// <summary>The port.</summary>
    static abstract ushort Of(ref CpuState cpu, ref Op op);
}

internal readonly struct PortInDx : IPortNumber
{
    public static ushort Of(ref CpuState cpu, ref Op op) => (ushort)cpu.Gpr[GeneralRegister.Rdx];
}

internal readonly struct PortImmediate : IPortNumber
{
    public static ushort Of(ref CpuState cpu, ref Op op) => (byte)op.Immediate;
}

/// <summary>Who may use a port (SDM Vol. 1, 20.5).</summary>
internal static class IoPermission
{
    private const uint BitmapPointer = 102;

    /// <summary>Whether the current privilege allows an access of <paramref name="width"/> bytes; false with the reason recorded.</summary>
    public static bool Check(ref CpuState cpu, Vcpu vcpu, ushort port, int width) =>
        ((cpu.SystemFlags & Rflags.VM) == 0 && SystemOperand.IsIoAllowed(ref cpu)) || CheckBitmap(ref cpu, vcpu, port, width);

    private static bool CheckBitmap(ref CpuState cpu, Vcpu vcpu, ushort port, int width)
    {
        if ((cpu.Tr.Attributes & DescriptorBits.Present) == 0 || !TaskState.Is32Bit(cpu.Tr) || cpu.Tr.Limit < BitmapPointer + 1)
        {
            return vcpu.RaiseGP(FaultRule.IoPermission);
        }

        if (!SystemMemory.Read(vcpu, cpu.Tr.Base + BitmapPointer, out ushort bitmap))
        {
            return Refused(vcpu);
        }

        uint at = (uint)bitmap + (port / 8u);
        if (at + 1 > cpu.Tr.Limit)
        {
            return vcpu.RaiseGP(FaultRule.IoPermission);
        }

        if (!SystemMemory.Read(vcpu, cpu.Tr.Base + at, out ushort bits))
        {
            return Refused(vcpu);
        }

        int asked = ((1 << width) - 1) << (port & 7);
        return (bits & asked) == 0 || vcpu.RaiseGP(FaultRule.IoPermission);
    }

    private static bool Refused(Vcpu vcpu)
    {
        DescriptorTables.Refused(vcpu);
        return false;
    }
}

/// <summary>IN.</summary>
internal readonly struct In<T, TNumber> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
    where TNumber : struct, IPortNumber
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ushort port = TNumber.Of(ref cpu, ref op);
        if (!IoPermission.Check(ref cpu, vcpu, port, sizeof(T)))
        {
            return vcpu.PendingExit;
        }

        vcpu.SynchronizeClock(ref op);
        CpuState.Set(ref cpu, OperandLayout.Gpr, T.CreateTruncating(vcpu.Ports.Read(port, sizeof(T))));
        vcpu.Debug.AccessedPort(port, sizeof(T));
        return PortEnd.Of(ref cpu, ref op, vcpu);
    }
}

/// <summary>OUT.</summary>
internal readonly struct Out<T, TNumber> : ITerminator
    where T : unmanaged, IBinaryInteger<T>
    where TNumber : struct, IPortNumber
{
    /// <inheritdoc/>
    public static unsafe BlockExit Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ushort port = TNumber.Of(ref cpu, ref op);
        if (!IoPermission.Check(ref cpu, vcpu, port, sizeof(T)))
        {
            return vcpu.PendingExit;
        }

        vcpu.SynchronizeClock(ref op);
        vcpu.Ports.Write(port, sizeof(T), uint.CreateTruncating(CpuState.At<T>(ref cpu, OperandLayout.Gpr)));
        vcpu.Debug.AccessedPort(port, sizeof(T));
        return PortEnd.Of(ref cpu, ref op, vcpu);
    }
}

internal static class PortEnd
{
    /// <summary>Goes on, or stops where the device asked for it.</summary>
    public static BlockExit Of(ref CpuState cpu, ref Op op, Vcpu vcpu)
    {
        if (vcpu.StopRequested)
        {
            return BlockExit.Stop;
        }

        cpu.Rip = op.NextRip;
        return BlockExit.Branch;
    }
}
