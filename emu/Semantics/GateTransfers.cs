using System.Buffers.Binary;

namespace Quadwalk.Emulation;

/// <summary>A call gate's descriptor (SDM Vol. 3A, figures 6-8 and 6-9).</summary>
internal readonly struct CallGate(ulong low, ulong high)
{
    /// <summary>The target's offset.</summary>
    public ulong Target => Is16Bit ? low & 0xFFFF : (low & 0xFFFF) | ((low >> 48) << 16) | ((high & uint.MaxValue) << 32);

    /// <summary>The target's code segment.</summary>
    public ushort Selector => (ushort)(low >> 16);

    /// <summary>How many words of parameters are copied to an inner stack; IA-32e mode copies none.</summary>
    public int Parameters => (int)(low >> 32) & 31;

    /// <summary>Whether words have 16 bits.</summary>
    public bool Is16Bit => (low >> 40 & 0xF) == SegmentDescriptor.CallGate16;

    /// <summary>Whether the type field of the upper half is 0, as it must be.</summary>
    public bool IsWellFormed => (high >> 40 & 0x1F) == 0;
}

/// <summary>Far JMP and CALL through a call gate (SDM Vol. 3A, 6.8.3 to 6.8.5).</summary>
internal static class GateTransfer<TPort, TCall>
    where TPort : struct, IMemoryPort
    where TCall : struct, IFlag
{
    private const uint TssRsp0 = 4;
    private const int Longest = 35 * sizeof(uint);

    /// <summary>Transfers through the gate that <paramref name="selector"/> names.</summary>
    public static BlockExit Go(ref CpuState cpu, ref Op op, Vcpu vcpu, in SegmentDescriptor descriptor, ushort selector)
    {
        uint error = ErrorCodes.Of(selector);
        bool wide = (cpu.Msr.Efer & Efer.LMA) != 0;
        if (descriptor.Dpl < Math.Max(cpu.Cpl, selector & 3))
        {
            return Fault(vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error));
        }

        ulong high = 0;
        if (wide && (!DescriptorTables.TryRead(vcpu, selector, out _, 0, 16) || !SystemMemory.Read(vcpu, descriptor.Address + sizeof(ulong), out high)))
        {
            return DescriptorTables.Refused(vcpu);
        }

        CallGate gate = new(descriptor.Raw, high);
        if (!gate.IsWellFormed)
        {
            return Fault(vcpu.RaiseGP(FaultRule.DescriptorType, error));
        }

        if (!descriptor.IsPresent)
        {
            return Fault(vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent));
        }

        if (!TryReadCode(vcpu, gate.Selector, wide, out SegmentDescriptor code))
        {
            return vcpu.PendingExit;
        }

        bool inner = TCall.Value && !code.IsConformingCode && code.Dpl < cpu.Cpl;
        int cpl = inner ? code.Dpl : cpu.Cpl;
        if (!CodeSegment.TryLoad(vcpu, code, (ushort)((gate.Selector & ~3) | cpl), out SegmentRegister cs)
            || (!TCall.Value && !CodeSegment.Contains(vcpu, cs, gate.Target)))
        {
            return vcpu.PendingExit;
        }

        SegmentRegister ss = cpu.Segments[SegmentIndex.Ss];
        ulong pointer = cpu.Gpr[GeneralRegister.Rsp];
        if (TCall.Value
            && !(wide
                ? TryCall64(ref cpu, ref op, vcpu, gate, inner, cs, cpl, ref ss, ref pointer)
                : TryCall(ref cpu, ref op, vcpu, gate, inner, cs, cpl, ref ss, ref pointer)))
        {
            return vcpu.PendingExit;
        }

        cpu.Segments[SegmentIndex.Cs] = cs;
        cpu.Segments[SegmentIndex.Ss] = ss;
        cpu.Gpr[GeneralRegister.Rsp] = pointer;
        cpu.Rip = gate.Target;
        cpu.Cpl = (byte)cpl;
        vcpu.ContextChanged();
        return BlockExit.Branch;
    }

    private static bool TryReadCode(Vcpu vcpu, ushort selector, bool wide, out SegmentDescriptor code)
    {
        if (!CodeSegment.TryRead(vcpu, selector, out code))
        {
            return false;
        }

        uint error = ErrorCodes.Of(selector);
        if (!code.IsCode || (wide && !code.Is64Bit))
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        int cpl = vcpu.State.Cpl;
        bool allowed = TCall.Value || code.IsConformingCode ? code.Dpl <= cpl : code.Dpl == cpl;
        return allowed || vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error);
    }

    private static bool TryCall(
        ref CpuState cpu, ref Op op, Vcpu vcpu, in CallGate gate, bool inner, in SegmentRegister cs, int cpl, ref SegmentRegister ss, ref ulong pointer)
    {
        bool wide = !gate.Is16Bit;
        int size = wide ? sizeof(uint) : sizeof(ushort);
        Span<byte> frame = stackalloc byte[Longest];
        int at = Longest;
        if (inner)
        {
            SegmentRegister old = ss;
            ulong oldPointer = Stack.Pointer<TPort>(ref cpu);
            if (!InnerStack.TryFind(vcpu, cpl, 0, out ss, out pointer))
            {
                return false;
            }

            InnerStack.Add(frame, ref at, wide, old.Selector);
            InnerStack.Add(frame, ref at, wide, cpu.Gpr[GeneralRegister.Rsp]);
            for (int i = gate.Parameters - 1; i >= 0; i--)
            {
                ulong place = Stack.Address<TPort>(ref cpu, oldPointer + (ulong)(i * size));
                uint word = 0;
                ushort half = 0;
                if (!(wide ? TPort.Read(ref cpu, vcpu, place, out word) : TPort.Read(ref cpu, vcpu, place, out half)))
                {
                    return false;
                }

                InnerStack.Add(frame, ref at, wide, wide ? word : half);
            }
        }

        InnerStack.Add(frame, ref at, wide, cpu.Segments[SegmentIndex.Cs].Selector);
        InnerStack.Add(frame, ref at, wide, op.NextRip);
        return InnerStack.HasRoom(vcpu, ss, pointer, Longest - at, wide, inner ? ErrorCodes.Of(ss.Selector) : 0)
            && CodeSegment.Contains(vcpu, cs, gate.Target)
            && InnerStack.TryPush(vcpu, ss, ref pointer, frame[at..], cpl, external: 0);
    }

    private static unsafe bool TryCall64(
        ref CpuState cpu, ref Op op, Vcpu vcpu, in CallGate gate, bool inner, in SegmentRegister cs, int cpl, ref SegmentRegister ss, ref ulong pointer)
    {
        Span<byte> frame = stackalloc byte[4 * sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(frame, op.NextRip);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[8..], cpu.Segments[SegmentIndex.Cs].Selector);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[16..], cpu.Gpr[GeneralRegister.Rsp]);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[24..], cpu.Segments[SegmentIndex.Ss].Selector);
        int length = 2 * sizeof(ulong);
        if (inner)
        {
            uint offset = TssRsp0 + ((uint)cpl * sizeof(ulong));
            if ((cpu.Tr.Attributes & DescriptorBits.Present) == 0 || offset + sizeof(ulong) - 1 > cpu.Tr.Limit)
            {
                return vcpu.Raise(ExceptionVector.InvalidTss, ErrorCodes.Of(cpu.Tr.Selector), FaultRule.TssLimit);
            }

            if (!SystemMemory.Read(vcpu, cpu.Tr.Base + offset, out pointer))
            {
                return ExceptionFrame.InStructure(vcpu, cpu.Tr.Base + offset, 0);
            }

            length = frame.Length;
            ss = new SegmentRegister { Selector = (ushort)cpl, Attributes = (uint)cpl << DescriptorBits.DplShift };
        }

        pointer -= (ulong)length;
        if (!vcpu.IsCanonical(pointer) || !vcpu.IsCanonical(pointer + (ulong)length - 1))
        {
            return vcpu.Raise(ExceptionVector.StackFault, 0, FaultRule.NonCanonicalAddress, pointer);
        }

        if (!CodeSegment.Contains(vcpu, cs, gate.Target))
        {
            return false;
        }

        fixed (byte* bytes = frame)
        {
            return SystemMemory.WriteFrame(vcpu, pointer, bytes, length, cpl) || ExceptionFrame.InStructure(vcpu, pointer, 0);
        }
    }

    private static BlockExit Fault(bool raised) => raised ? BlockExit.Branch : BlockExit.Fault;
}
