using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>LEAVE.</summary>
internal readonly struct Leave<T> : IInstruction
    where T : unmanaged
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong frame = cpu.Gpr[GeneralRegister.Rbp];
        if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, frame), out T saved))
        {
            return false;
        }

        Stack.SetPointer<TPort>(ref cpu, frame + (ulong)sizeof(T));
        CpuState.Set(ref cpu, OperandLayout.Gpr + (GeneralRegister.Rbp * sizeof(ulong)), saved);
        return true;
    }
}

/// <summary>ENTER with its nested frame pointers (SDM Vol. 2A, "ENTER").</summary>
internal readonly struct Enter<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        int level = op.Scale & 31;
        ulong size = (ulong)sizeof(T);
        ulong stack = Stack.Pointer<TPort>(ref cpu);
        ulong frame = stack - size;
        ulong frameBase = Stack.Moved<TPort>(ref cpu, frame);
        ulong newStack = frame - (level > 0 ? (ulong)level * size : 0) - op.Immediate;

        // Nothing may have been pushed when a later access faults: look at all of the frame first.
        for (int i = 0; i <= level; i++)
        {
            if (!TPort.ProbeWrite(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, frame - ((ulong)i * size)), sizeof(T)))
            {
                return false;
            }
        }

        if (!TPort.ProbeWrite(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, newStack), 1))
        {
            return false;
        }

        ulong link = cpu.Gpr[GeneralRegister.Rbp];
        for (int i = 1; i < level; i++)
        {
            if (!TPort.ProbeRead(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, link - ((ulong)i * size)), sizeof(T)))
            {
                return false;
            }
        }

        if (!TPort.Write(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, frame), T.CreateTruncating(link)))
        {
            return false;
        }

        // One link after the other, as the SDM has it: where the frames overlap, what was pushed is read again.
        for (int i = 1; i < level; i++)
        {
            if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, link - ((ulong)i * size)), out T outer)
                || !TPort.Write(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, frame - ((ulong)i * size)), outer))
            {
                return false;
            }
        }

        if (level > 0 && !TPort.Write(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, frame - ((ulong)level * size)), T.CreateTruncating(frameBase)))
        {
            return false;
        }

        Stack.SetPointer<TPort>(ref cpu, newStack);
        CpuState.Set(ref cpu, OperandLayout.Gpr + (GeneralRegister.Rbp * sizeof(ulong)), T.CreateTruncating(frameBase));
        return true;
    }
}

/// <summary>PUSHA and PUSHAD: EAX first, and ESP as it was.</summary>
internal readonly struct PushAll<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong stack = Stack.Pointer<TPort>(ref cpu);
        for (int i = 0; i < 8; i++)
        {
            if (!TPort.ProbeWrite(ref cpu, vcpu, Place<TPort>(ref cpu, stack, i), sizeof(T)))
            {
                return false;
            }
        }

        for (int i = 0; i < 8; i++)
        {
            if (!TPort.Write(ref cpu, vcpu, Place<TPort>(ref cpu, stack, i), T.CreateTruncating(cpu.Gpr[i])))
            {
                return false;
            }
        }

        Stack.SetPointer<TPort>(ref cpu, stack - (ulong)(8 * sizeof(T)));
        return true;
    }

    private static unsafe ulong Place<TPort>(ref CpuState cpu, ulong stack, int register)
        where TPort : struct, IMemoryPort => Stack.Address<TPort>(ref cpu, stack - (ulong)((register + 1) * sizeof(T)));
}

/// <summary>POPA and POPAD; what was pushed of ESP is skipped.</summary>
internal readonly struct PopAll<T> : IInstruction
    where T : unmanaged, IBinaryInteger<T>
{
    /// <inheritdoc/>
    public static unsafe bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        ulong stack = Stack.Pointer<TPort>(ref cpu);
        Span<T> values = stackalloc T[8];
        for (int i = 0; i < 8; i++)
        {
            if (!TPort.Read(ref cpu, vcpu, Stack.Address<TPort>(ref cpu, stack + (ulong)(i * sizeof(T))), out values[7 - i]))
            {
                return false;
            }
        }

        for (int i = 0; i < 8; i++)
        {
            if (i != GeneralRegister.Rsp)
            {
                CpuState.Set(ref cpu, OperandLayout.Gpr + (i * sizeof(ulong)), values[i]);
            }
        }

        Stack.SetPointer<TPort>(ref cpu, stack + (ulong)(8 * sizeof(T)));
        return true;
    }
}
