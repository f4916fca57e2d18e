namespace Quadwalk.Emulation;

/// <summary>Interrupts and exceptions of real-address mode: through the vectors at IDTR.base (SDM Vol. 3B, 22.1.4).</summary>
internal static class RealModeFrame
{
    private const int VectorSize = 4;
    private const int FrameSize = 6;

    /// <summary>Enters the handler; false with the fault that prevents it in <see cref="Vcpu.PendingFault"/>.</summary>
    public static bool TryEnter(Vcpu vcpu, in GuestFault fault, ulong rip)
    {
        ref CpuState cpu = ref vcpu.State;
        int offset = (int)fault.Vector * VectorSize;
        if (offset + VectorSize - 1 > cpu.Idtr.Limit)
        {
            return vcpu.RaiseGP(FaultRule.VectorOutsideIdt);
        }

        ulong address = cpu.Idtr.Base + (ulong)offset;
        if (!SystemMemory.Read(vcpu, address, out uint target))
        {
            return ExceptionFrame.InStructure(vcpu, address, 0);
        }

        Span<byte> frame = stackalloc byte[FrameSize];
        int at = FrameSize;
        InnerStack.Add(frame, ref at, wide: false, vcpu.Rflags);
        InnerStack.Add(frame, ref at, wide: false, cpu.Segments[SegmentIndex.Cs].Selector);
        InnerStack.Add(frame, ref at, wide: false, rip);
        ulong pointer = cpu.Gpr[GeneralRegister.Rsp];
        ref SegmentRegister stack = ref cpu.Segments[SegmentIndex.Ss];
        if (!InnerStack.HasRoom(vcpu, stack, pointer, FrameSize, wide: false, error: 0) || !InnerStack.TryPush(vcpu, stack, ref pointer, frame, cpl: 0, external: 0))
        {
            return false;
        }

        cpu.Gpr[GeneralRegister.Rsp] = pointer;
        cpu.Segments[SegmentIndex.Cs] = CodeSegment.Real(ref cpu, SegmentIndex.Cs, (ushort)(target >> 16));
        cpu.Rip = (ushort)target;
        cpu.SystemFlags &= ~(Rflags.TF | Rflags.IF | Rflags.RF | Rflags.AC);
        vcpu.ContextChanged();
        return true;
    }
}
