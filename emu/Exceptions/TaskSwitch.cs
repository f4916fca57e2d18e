namespace Quadwalk.Emulation;

/// <summary>What switches tasks.</summary>
internal enum TaskSwitchKind
{
    /// <summary>A far JMP.</summary>
    Jump,

    /// <summary>A far CALL: the new task is nested in the old.</summary>
    Call,

    /// <summary>IRET with NT = 1: back to the task that the TSS links to.</summary>
    Return,

    /// <summary>An interrupt or exception through a task gate: nested, as a call.</summary>
    Gate,
}

/// <summary>
/// Task switches outside IA-32e mode (SDM Vol. 3A, 9.3). A fault before the switch is raised in the old task; one in loading the new
/// task's segments is raised in the new task, with <see cref="Vcpu.TaskSwitched"/> set.
/// </summary>
internal static class TaskSwitch
{
    private const ulong AccessByte = 5;
    private const byte BusyBit = 2;
    private const uint Busy = 1 << 9;
    private const ulong LocalBreakpoints = 0x155;

    private static ReadOnlySpan<int> Loading => [SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs];

    /// <summary>Switches; false with a fault recorded.</summary>
    /// <param name="vcpu">The processor.</param>
    /// <param name="selector">The new task's TSS.</param>
    /// <param name="kind">What switches.</param>
    /// <param name="rip">What the old task's EIP becomes.</param>
    /// <param name="external">EXT, for error codes.</param>
    /// <param name="errorCode">What is pushed on the new task's stack.</param>
    /// <param name="resumes">Whether the old task's EFLAGS get RF, as those of an instruction that faulted do.</param>
    public static bool TryGo(
        Vcpu vcpu, ushort selector, TaskSwitchKind kind, ulong rip, uint external = 0, uint? errorCode = null, bool resumes = false)
    {
        ref CpuState cpu = ref vcpu.State;
        if (!TryFind(vcpu, selector, kind, external, out SegmentDescriptor descriptor))
        {
            return false;
        }

        SegmentRegister old = cpu.Tr;
        uint least = TaskState.Is32Bit(old) ? TaskState.Limit32 : TaskState.Limit16;
        if ((old.Attributes & DescriptorBits.Present) == 0 || old.Limit < least)
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, ErrorCodes.Of(old.Selector) | external, FaultRule.TssLimit);
        }

        SegmentRegister task = descriptor.ToRegister(selector);
        bool wide = TaskState.Is32Bit(task);
        TaskState saved = Capture(ref cpu, vcpu.Rflags | (resumes ? Rflags.RF : 0), rip);
        if (kind == TaskSwitchKind.Return)
        {
            saved.Eflags &= ~(uint)Rflags.NT;
        }

        if (!TaskState.TryRead(vcpu, task.Base, wide, out TaskState next)
            || !TaskState.TryWrite(vcpu, old.Base, TaskState.Is32Bit(old), saved))
        {
            return Refused(vcpu, task.Base, external);
        }

        bool nested = kind is TaskSwitchKind.Call or TaskSwitchKind.Gate;
        if (nested)
        {
            next.Eflags |= (uint)Rflags.NT;
            if (!SystemMemory.Write(vcpu, task.Base, old.Selector))
            {
                return Refused(vcpu, task.Base, external);
            }
        }
        else if (!TryMark(vcpu, old.Selector, busy: false))
        {
            return Refused(vcpu, cpu.Gdtr.Base, external);
        }

        if (kind != TaskSwitchKind.Return && !TryMark(vcpu, selector, busy: true))
        {
            return Refused(vcpu, cpu.Gdtr.Base, external);
        }

        task.Attributes |= Busy;
        cpu.Tr = task;
        vcpu.TaskSwitched = true;
        if (TryLoad(vcpu, next, wide, external) && TryPush(vcpu, wide, errorCode, external))
        {
            if (next.Trap)
            {
                vcpu.Debug.TrapNewTask();
            }

            return true;
        }

        vcpu.PendingTrap = TrapKind.NewTask;
        return false;
    }

    private static bool TryFind(Vcpu vcpu, ushort selector, TaskSwitchKind kind, uint external, out SegmentDescriptor descriptor)
    {
        ref CpuState cpu = ref vcpu.State;
        uint error = ErrorCodes.Of(selector) | external;
        ExceptionVector bad = kind == TaskSwitchKind.Return ? ExceptionVector.InvalidTss : ExceptionVector.GeneralProtection;
        descriptor = default;
        if (DescriptorTables.IsNull(selector) || (selector & 4) != 0 || !DescriptorTables.TryLocate(ref cpu, selector, sizeof(ulong), out ulong address))
        {
            return vcpu.Raise(bad, error, FaultRule.SelectorOutsideTable);
        }

        if (!SystemMemory.Read(vcpu, address, out ulong raw))
        {
            return Refused(vcpu, address, external);
        }

        descriptor = new SegmentDescriptor(raw, address);
        bool suits = !descriptor.IsCodeOrData && (kind == TaskSwitchKind.Return
            ? descriptor.SystemType is SegmentDescriptor.BusyTss or SegmentDescriptor.BusyTss16
            : descriptor.SystemType is SegmentDescriptor.AvailableTss or SegmentDescriptor.AvailableTss16);
        if (!suits)
        {
            return vcpu.Raise(bad, error, FaultRule.DescriptorType);
        }

        if (!descriptor.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
        }

        uint least = (descriptor.SystemType & 8) != 0 ? TaskState.Limit32 : TaskState.Limit16;
        return descriptor.Limit >= least || vcpu.Raise(ExceptionVector.InvalidTss, error, FaultRule.TssLimit);
    }

    private static TaskState Capture(ref CpuState cpu, ulong flags, ulong rip)
    {
        TaskState state = new() { Eip = (uint)rip, Eflags = (uint)flags };
        for (int i = 0; i < 8; i++)
        {
            state.Registers[i] = (uint)cpu.Gpr[i];
        }

        for (int i = 0; i < 6; i++)
        {
            state.Selectors[i] = cpu.Segments[i].Selector;
        }

        return state;
    }

    private static bool TryMark(Vcpu vcpu, ushort selector, bool busy)
    {
        if (!DescriptorTables.TryLocate(ref vcpu.State, selector, sizeof(ulong), out ulong address))
        {
            return true;
        }

        address += AccessByte;
        return SystemMemory.Read(vcpu, address, out byte access)
            && SystemMemory.Write(vcpu, address, (byte)(busy ? access | BusyBit : access & ~BusyBit));
    }

    /// <summary>Takes up the new task: first what cannot fault, selectors too, and then the descriptors.</summary>
    private static bool TryLoad(Vcpu vcpu, in TaskState next, bool wide, uint external)
    {
        ref CpuState cpu = ref vcpu.State;
        cpu.Cr0 |= Cr0.TS;
        cpu.Dr[7] &= ~LocalBreakpoints;
        cpu.Rip = next.Eip;
        for (int i = 0; i < 8; i++)
        {
            cpu.Gpr[i] = next.Registers[i];
        }

        for (int i = 0; i < 6; i++)
        {
            cpu.Segments[i] = new SegmentRegister { Selector = next.Selectors[i] };
        }

        cpu.Ldtr = new SegmentRegister { Selector = next.Ldt };
        ulong flags = next.Eflags;
        cpu.Cpl = (byte)((flags & Rflags.VM) != 0 ? 3 : next.Selectors[SegmentIndex.Cs] & 3);
        vcpu.Rflags = flags;
        bool paged = wide && (cpu.Cr0 & Cr0.PG) != 0;
        bool loaded = (!paged || ControlRegisterRules.SetCr3(ref cpu, vcpu, next.Cr3)) && TryLoadTable(vcpu, next.Ldt, external);
        if (loaded && (flags & Rflags.VM) != 0)
        {
            for (int i = 0; i < 6; i++)
            {
                cpu.Segments[i] = CodeSegment.Virtual8086(next.Selectors[i]);
            }
        }
        else
        {
            loaded = loaded && TryLoadSegments(vcpu, next, external);
        }

        vcpu.ContextChanged();
        return loaded && (next.Eip <= cpu.Segments[SegmentIndex.Cs].Limit || vcpu.Raise(ExceptionVector.GeneralProtection, external, FaultRule.CodeLimit, next.Eip));
    }

    private static bool TryLoadTable(Vcpu vcpu, ushort selector, uint external)
    {
        if (DescriptorTables.IsNull(selector))
        {
            return true;
        }

        uint error = ErrorCodes.Of(selector) | external;
        if (!TryRead(vcpu, selector, external, out SegmentDescriptor table))
        {
            return false;
        }

        bool suits = (selector & 4) == 0 && !table.IsCodeOrData && table.SystemType == SegmentDescriptor.Ldt && table.IsPresent;
        vcpu.State.Ldtr = suits ? table.ToRegister(selector) : vcpu.State.Ldtr;
        return suits || vcpu.Raise(ExceptionVector.InvalidTss, error, FaultRule.DescriptorType);
    }

    private static bool TryLoadSegments(Vcpu vcpu, in TaskState next, uint external)
    {
        ref CpuState cpu = ref vcpu.State;
        if (!TryLoadCode(vcpu, next.Selectors[SegmentIndex.Cs], external)
            || !InnerStack.TryLoad(vcpu, next.Selectors[SegmentIndex.Ss], cpu.Cpl, external, out cpu.Segments[SegmentIndex.Ss]))
        {
            return false;
        }

        foreach (int index in Loading)
        {
            if (!TryLoadData(vcpu, index, next.Selectors[index], external))
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryLoadCode(Vcpu vcpu, ushort selector, uint external)
    {
        uint error = ErrorCodes.Of(selector) | external;
        if (DescriptorTables.IsNull(selector))
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, error, FaultRule.NullSelector);
        }

        if (!TryRead(vcpu, selector, external, out SegmentDescriptor code))
        {
            return false;
        }

        int rpl = selector & 3;
        if (!code.IsCode || (code.IsConformingCode ? code.Dpl > rpl : code.Dpl != rpl))
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, error, code.IsCode ? FaultRule.DescriptorPrivilege : FaultRule.DescriptorType);
        }

        if (!code.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
        }

        return DescriptorTables.TryLoad(vcpu, code, selector, out vcpu.State.Segments[SegmentIndex.Cs]) || Refused(vcpu, code.Address, external);
    }

    private static bool TryLoadData(Vcpu vcpu, int index, ushort selector, uint external)
    {
        if (DescriptorTables.IsNull(selector))
        {
            return true;
        }

        uint error = ErrorCodes.Of(selector) | external;
        if (!TryRead(vcpu, selector, external, out SegmentDescriptor data))
        {
            return false;
        }

        int least = Math.Max(selector & 3, vcpu.State.Cpl);
        if (!data.IsReadable || (!data.IsConformingCode && data.Dpl < least))
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, error, data.IsReadable ? FaultRule.DescriptorPrivilege : FaultRule.DescriptorType);
        }

        if (!data.IsPresent)
        {
            return vcpu.Raise(ExceptionVector.SegmentNotPresent, error, FaultRule.DescriptorNotPresent);
        }

        return DescriptorTables.TryLoad(vcpu, data, selector, out vcpu.State.Segments[index]) || Refused(vcpu, data.Address, external);
    }

    /// <summary>Reads a descriptor that the new task names; beyond its table it is #TS.</summary>
    private static bool TryRead(Vcpu vcpu, ushort selector, uint external, out SegmentDescriptor descriptor)
    {
        descriptor = default;
        if (!DescriptorTables.TryLocate(ref vcpu.State, selector, sizeof(ulong), out ulong address))
        {
            return vcpu.Raise(ExceptionVector.InvalidTss, ErrorCodes.Of(selector) | external, FaultRule.SelectorOutsideTable);
        }

        if (!SystemMemory.Read(vcpu, address, out ulong raw))
        {
            return Refused(vcpu, address, external);
        }

        descriptor = new SegmentDescriptor(raw, address);
        return true;
    }

    private static bool TryPush(Vcpu vcpu, bool wide, uint? errorCode, uint external)
    {
        if (errorCode is not uint code)
        {
            return true;
        }

        ref CpuState cpu = ref vcpu.State;
        Span<byte> frame = stackalloc byte[sizeof(uint)];
        int at = frame.Length;
        InnerStack.Add(frame, ref at, wide, code);
        ref SegmentRegister stack = ref cpu.Segments[SegmentIndex.Ss];
        ref ulong pointer = ref cpu.Gpr[GeneralRegister.Rsp];
        return InnerStack.HasRoom(vcpu, stack, pointer, frame.Length - at, wide, external)
            && InnerStack.TryPush(vcpu, stack, ref pointer, frame[at..], cpu.Cpl, external);
    }

    private static bool Refused(Vcpu vcpu, ulong address, uint external) => ExceptionFrame.InStructure(vcpu, address, external);
}
