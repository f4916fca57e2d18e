namespace Quadwalk.Emulation;

/// <summary>Interrupts and exceptions of protected and virtual-8086 mode outside IA-32e mode (SDM Vol. 3A, 7.12, and Vol. 3B, 22.3).</summary>
internal static class ProtectedModeFrame
{
    private const int LongestFrame = 10 * sizeof(uint);
    private const ulong DebugGuard = 1 << 13;

    /// <summary>Enters the handler; false with the fault that prevents it in <see cref="Vcpu.PendingFault"/>.</summary>
    public static bool TryEnter(Vcpu vcpu, in GuestFault fault, bool software, ulong rip)
    {
        ref CpuState cpu = ref vcpu.State;
        uint external = software ? 0 : ErrorCodes.External;
        if (!TryReadGate(vcpu, fault.Vector, software, external, out ProtectedModeGate gate))
        {
            return false;
        }

        if (gate.IsTask)
        {
            return TaskSwitch.TryGo(vcpu, gate.Selector, TaskSwitchKind.Gate, rip, external, fault.ErrorCode, ExceptionFrame.PushesRF(vcpu, fault));
        }

        if (!TryReadCode(vcpu, gate.Selector, external, out SegmentDescriptor code, out int cpl))
        {
            return false;
        }

        bool inner = cpl != cpu.Cpl;
        SegmentRegister stack = cpu.Segments[SegmentIndex.Ss];
        ulong pointer = cpu.Gpr[GeneralRegister.Rsp];
        if (inner && !InnerStack.TryFind(vcpu, cpl, external, out stack, out pointer))
        {
            return false;
        }

        bool fromVirtual8086 = (cpu.SystemFlags & Rflags.VM) != 0;
        Span<byte> frame = stackalloc byte[LongestFrame];
        int at = Write(vcpu, frame, gate.Is32Bit, inner, fromVirtual8086, fault, rip);
        if (!InnerStack.HasRoom(vcpu, stack, pointer, LongestFrame - at, gate.Is32Bit, inner ? ErrorCodes.Of(stack.Selector) | external : external))
        {
            return false;
        }

        if (gate.Target > code.Limit)
        {
            return vcpu.Raise(ExceptionVector.GeneralProtection, external, FaultRule.CodeLimit, gate.Target);
        }

        if (!DescriptorTables.TryLoad(vcpu, code, (ushort)((gate.Selector & ~3) | cpl), out SegmentRegister cs))
        {
            return ExceptionFrame.InStructure(vcpu, code.Address, external);
        }

        if (!InnerStack.TryPush(vcpu, stack, ref pointer, frame[at..], cpl, external))
        {
            return false;
        }

        if (fromVirtual8086)
        {
            cpu.Segments[SegmentIndex.Es] = cpu.Segments[SegmentIndex.Ds] = cpu.Segments[SegmentIndex.Fs] = cpu.Segments[SegmentIndex.Gs] = default;
        }

        cpu.Segments[SegmentIndex.Ss] = stack;
        cpu.Segments[SegmentIndex.Cs] = cs;
        cpu.Gpr[GeneralRegister.Rsp] = pointer;
        cpu.Rip = gate.Target;
        cpu.SystemFlags &= ~(Rflags.TF | Rflags.NT | Rflags.RF | Rflags.VM | (gate.ClearsIF ? Rflags.IF : 0));
        if (fault.Vector == ExceptionVector.Debug && !software)
        {
            cpu.Dr[7] &= ~DebugGuard;
        }

        cpu.Cpl = (byte)cpl;
        vcpu.ContextChanged();
        return true;
    }

    /// <summary>Writes the frame from its highest address down; answers where it begins.</summary>
    private static int Write(Vcpu vcpu, Span<byte> frame, bool wide, bool inner, bool fromVirtual8086, in GuestFault fault, ulong rip)
    {
        ref CpuState cpu = ref vcpu.State;
        int at = LongestFrame;
        if (fromVirtual8086)
        {
            InnerStack.Add(frame, ref at, wide, cpu.Segments[SegmentIndex.Gs].Selector);
            InnerStack.Add(frame, ref at, wide, cpu.Segments[SegmentIndex.Fs].Selector);
            InnerStack.Add(frame, ref at, wide, cpu.Segments[SegmentIndex.Ds].Selector);
            InnerStack.Add(frame, ref at, wide, cpu.Segments[SegmentIndex.Es].Selector);
        }

        if (inner)
        {
            InnerStack.Add(frame, ref at, wide, cpu.Segments[SegmentIndex.Ss].Selector);
            InnerStack.Add(frame, ref at, wide, cpu.Gpr[GeneralRegister.Rsp]);
        }

        InnerStack.Add(frame, ref at, wide, vcpu.Rflags | (ExceptionFrame.PushesRF(vcpu, fault) ? Rflags.RF : 0));
        InnerStack.Add(frame, ref at, wide, cpu.Segments[SegmentIndex.Cs].Selector);
        InnerStack.Add(frame, ref at, wide, rip);
        if (fault.ErrorCode is uint code)
        {
            InnerStack.Add(frame, ref at, wide, code);
        }

        return at;
    }

    private static bool TryReadGate(Vcpu vcpu, ExceptionVector vector, bool software, uint external, out ProtectedModeGate gate)
    {
        ref CpuState cpu = ref vcpu.State;
        uint code = ErrorCodes.OfVector(vector);
        int offset = (int)vector * ProtectedModeGate.Size;
        gate = default;
        if (offset + ProtectedModeGate.Size - 1 > cpu.Idtr.Limit)
        {
            return vcpu.RaiseGP(FaultRule.VectorOutsideIdt, code | external);
        }

        ulong address = cpu.Idtr.Base + (ulong)offset;
        if (!SystemMemory.Read(vcpu, address, out gate))
        {
            return ExceptionFrame.InStructure(vcpu, address, external);
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
            return ExceptionFrame.InStructure(vcpu, address, external);
        }

        uint error = ErrorCodes.Of(selector) | external;
        if (!code.IsCode)
        {
            return vcpu.RaiseGP(FaultRule.DescriptorType, error);
        }

        bool fromVirtual8086 = (cpu.SystemFlags & Rflags.VM) != 0;
        if (code.Dpl > cpl || (fromVirtual8086 && (code.IsConformingCode || code.Dpl != 0)))
        {
            return vcpu.RaiseGP(FaultRule.DescriptorPrivilege, error);
        }

        cpl = code.IsConformingCode ? cpl : code.Dpl;
        return code.IsPresent || vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
    }
}
