namespace Quadwalk.Emulation;

/// <summary>One attempt to enter a handler: gate, code segment, stack, frame, and only then the registers (SDM Vol. 2A, "INT n").</summary>
internal static unsafe class ExceptionFrame
{
    private const ulong StackAlignment = 16;
    private const int LongestFrame = 6;
    private const uint TssRsp0 = 4;
    private const uint TssIst1 = 36;

    /// <summary>Enters the handler; false with the fault that prevents it in <see cref="Vcpu.PendingFault"/>.</summary>
    /// <param name="vcpu">The processor.</param>
    /// <param name="fault">The exception.</param>
    /// <param name="software">Whether INT n or INT3 asked for it.</param>
    /// <param name="rip">The RIP to push.</param>
    public static bool TryEnter(Vcpu vcpu, in GuestFault fault, bool software, ulong rip)
    {
        ref CpuState cpu = ref vcpu.State;
        if ((cpu.Msr.Efer & Efer.LMA) == 0)
        {
            return (cpu.Cr0 & Cr0.PE) == 0 ? RealModeFrame.TryEnter(vcpu, fault, rip) : ProtectedModeFrame.TryEnter(vcpu, fault, software, rip);
        }

        uint external = software ? 0 : ErrorCodes.External;
        if (!TryReadGate(vcpu, fault.Vector, software, external, out InterruptGate gate)
            || !TryReadCode(vcpu, gate.Selector, external, out SegmentDescriptor code, out int cpl)
            || !TryFindStack(vcpu, gate.Ist, cpl, external, out ulong top))
        {
            return false;
        }

        if (!vcpu.IsCanonical(gate.Target))
        {
            return vcpu.Raise(ExceptionVector.GeneralProtection, external, FaultRule.NonCanonicalTarget, gate.Target);
        }

        ushort selector = (ushort)((gate.Selector & ~3) | cpl);
        if (!DescriptorTables.TryLoad(vcpu, code, selector, out SegmentRegister cs))
        {
            return InStructure(vcpu, code.Address, external);
        }

        int words = fault.ErrorCode is null ? LongestFrame - 1 : LongestFrame;
        ulong* frame = stackalloc ulong[LongestFrame];
        frame[0] = fault.ErrorCode ?? 0;
        frame[1] = rip;
        frame[2] = cpu.Segments[SegmentIndex.Cs].Selector;
        frame[3] = vcpu.Rflags | (PushesRF(vcpu, fault) ? Rflags.RF : 0);
        frame[4] = cpu.Gpr[GeneralRegister.Rsp];
        frame[5] = cpu.Segments[SegmentIndex.Ss].Selector;
        if (!TryPush(vcpu, frame + LongestFrame - words, words, cpl, external, ref top))
        {
            return false;
        }

        if (cpl != cpu.Cpl)
        {
            cpu.Segments[SegmentIndex.Ss] = new SegmentRegister { Selector = (ushort)cpl, Attributes = (uint)cpl << DescriptorBits.DplShift };
        }

        cpu.Segments[SegmentIndex.Cs] = cs;
        cpu.Gpr[GeneralRegister.Rsp] = top;
        cpu.Rip = gate.Target;
        cpu.SystemFlags &= ~(Rflags.TF | Rflags.NT | Rflags.RF | Rflags.VM | (gate.ClearsIF ? Rflags.IF : 0));
        if (fault.Vector == ExceptionVector.Debug && !software)
        {
            cpu.Dr[7] &= ~Dr7.GD;
        }

        bool contextStays = cpl == cpu.Cpl && vcpu.Is64BitMode;
        cpu.Cpl = (byte)cpl;
        if (!contextStays)
        {
            vcpu.ContextChanged();
        }

        return true;
    }

    private static bool TryReadGate(Vcpu vcpu, ExceptionVector vector, bool software, uint external, out InterruptGate gate)
    {
        ref CpuState cpu = ref vcpu.State;
        uint code = ErrorCodes.OfVector(vector);
        int offset = (int)vector * InterruptGate.Size;
        gate = default;
        if (offset + InterruptGate.Size - 1 > cpu.Idtr.Limit)
        {
            return vcpu.RaiseGP(FaultRule.VectorOutsideIdt, code | external);
        }

        ulong address = cpu.Idtr.Base + (ulong)offset;
        if (!SystemMemory.Read(vcpu, address, out gate))
        {
            return InStructure(vcpu, address, external);
        }

        if (!gate.IsValid)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, code | external);
        }

        if (software && gate.Dpl < cpu.Cpl)
        {
            return vcpu.RaiseGP(FaultRule.GatePrivilege, code);
        }

        return gate.IsPresent || vcpu.Raise(ExceptionVector.SegmentNotPresent, code | external, FaultRule.DescriptorNotPresent);
    }

    private static bool TryReadCode(Vcpu vcpu, ushort selector, uint external, out SegmentDescriptor code, out int cpl)
    {
        ref CpuState cpu = ref vcpu.State;
        cpl = cpu.Cpl;
        code = default;
        if (DescriptorTables.IsNull(selector))
        {
            return vcpu.RaiseGP(FaultRule.NullSelector, external);
        }

        if (!DescriptorTables.TryRead(vcpu, selector, out code, external))
        {
            DescriptorTables.TryLocate(ref cpu, selector, sizeof(ulong), out ulong address);
            return InStructure(vcpu, address, external);
        }

        uint error = ErrorCodes.Of(selector) | external;
        if (!code.IsCode)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        if (code.Dpl > cpl)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error);
        }

        if (!code.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
        }

        if (!code.Is64Bit)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        cpl = code.IsConformingCode ? cpl : code.Dpl;
        return true;
    }

    private static bool TryFindStack(Vcpu vcpu, int ist, int cpl, uint external, out ulong top)
    {
        ref CpuState cpu = ref vcpu.State;
        top = cpu.Gpr[GeneralRegister.Rsp];
        if (ist == 0 && cpl == cpu.Cpl)
        {
            return true;
        }

        uint offset = ist != 0 ? TssIst1 + ((uint)(ist - 1) * sizeof(ulong)) : TssRsp0 + ((uint)cpl * sizeof(ulong));
        if ((cpu.Tr.Attributes & DescriptorBits.Present) == 0 || offset + sizeof(ulong) - 1 > cpu.Tr.Limit)
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, ErrorCodes.Of(cpu.Tr.Selector) | external, FaultRule.TssLimit);
        }

        return SystemMemory.Read(vcpu, cpu.Tr.Base + offset, out top) || InStructure(vcpu, cpu.Tr.Base + offset, external);
    }

    private static bool TryPush(Vcpu vcpu, ulong* frame, int words, int cpl, uint external, ref ulong top)
    {
        ulong end = top & ~(StackAlignment - 1);
        int bytes = words * sizeof(ulong);
        ulong start = end - (ulong)bytes;
        if (!vcpu.IsCanonical(start) || !vcpu.IsCanonical(end - 1))
        {
            return vcpu.Raise(ExceptionVector.StackFault, external, FaultRule.NonCanonicalAddress, start);
        }

        if (!SystemMemory.WriteFrame(vcpu, start, (byte*)frame, bytes, cpl))
        {
            return InStructure(vcpu, start, external);
        }

        top = start;
        return true;
    }

    /// <summary>Completes the fault of a failed access to a structure; always false.</summary>
    internal static bool InStructure(Vcpu vcpu, ulong address, uint external)
    {
        if (vcpu.PendingExit == BlockExit.Mmio)
        {
            return vcpu.Raise(ExceptionVector.MachineCheck, null, FaultRule.StructureOutsideMemory, address);
        }

        return vcpu.PendingFault.Cause.Rule == FaultRule.NonCanonicalAddress
            && vcpu.Raise(ExceptionVector.GeneralProtection, external, FaultRule.NonCanonicalAddress, address);
    }

    /// <summary>Faults push RF, so that the instruction's breakpoint does not come again; so does what comes between iterations of a repeated one.</summary>
    internal static bool PushesRF(Vcpu vcpu, in GuestFault fault) =>
        fault.Cause.IsBetweenInstructions
            ? vcpu.IsRepeating
            : fault.Cause.Rule != FaultRule.Requested && fault.Vector is not (ExceptionVector.DoubleFault or ExceptionVector.MachineCheck);
}
