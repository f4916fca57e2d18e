namespace Quadwalk.Emulation;

/// <summary>
/// Takes the processor to the handler of an exception, through double faults where one exception meets another, or to shutdown
/// (SDM Vol. 3A, 7.12.1, 7.14 and tables 7-4 and 7-5).
/// </summary>
internal sealed class ExceptionDelivery(Vcpu vcpu)
{
    private readonly GuestFault[] chain = new GuestFault[8];
    private int length;

    private enum FaultClass
    {
        Benign,
        Contributory,
        PageFault,
        DoubleFault,
    }

    /// <summary>Why the last <see cref="Deliver"/> ended in <see cref="DeliveryOutcome.TripleFault"/>.</summary>
    public TripleFaultReport? LastReport { get; private set; }

    /// <summary>The exceptions of the last <see cref="Deliver"/>: its own, and those met on the way.</summary>
    public ReadOnlySpan<GuestFault> Chain => chain.AsSpan(0, length);

    /// <summary>
    /// Delivers an exception that was raised at RIP. Where that fails nothing is changed but CR2 (and DR6 for #DB), as on the processor.
    /// </summary>
    /// <param name="fault">The exception.</param>
    /// <param name="software">Whether INT n or INT3 asked for it; RIP is after that instruction then.</param>
    public DeliveryOutcome Deliver(in GuestFault fault, bool software = false)
    {
        ref CpuState cpu = ref vcpu.State;
        ulong origin = vcpu.PendingTrap is TrapKind.Software or TrapKind.Privileged ? vcpu.TrappedAt : cpu.Rip;
        ulong rip = cpu.Rip;
        GuestFault current = fault;
        FaultClass held = fault.Cause.Rule is FaultRule.Requested or FaultRule.ExternalInterrupt ? FaultClass.Benign : ClassOf(fault.Vector);
        length = 0;
        Note(current);
        while (true)
        {
            Announce(ref cpu, current);
            vcpu.TaskSwitched = false;
            if (ExceptionFrame.TryEnter(vcpu, current, software, rip))
            {
                vcpu.PendingTrap = TrapKind.None;
                vcpu.Counters.Exceptions++;
                return DeliveryOutcome.Delivered;
            }

            GuestFault second = vcpu.PendingFault;
            Note(second);
            if (held == FaultClass.DoubleFault || second.Cause.Rule == FaultRule.StructureOutsideMemory)
            {
                return ShutDown(ref cpu, origin);
            }

            FaultClass met = ClassOf(second.Vector);
            bool serially = held == FaultClass.Benign || met == FaultClass.Benign || (held == FaultClass.Contributory && met == FaultClass.PageFault);
            held = serially ? met : FaultClass.DoubleFault;
            if (!serially)
            {
                Announce(ref cpu, second);
                second = new GuestFault(ExceptionVector.DoubleFault, 0, default, new FaultCause(FaultRule.SecondFault));
                Note(second);
            }

            current = second;
            origin = vcpu.TaskSwitched ? cpu.Rip : origin;
            rip = origin;
            software = false;
        }
    }

    private static FaultClass ClassOf(ExceptionVector vector) => vector switch
    {
        ExceptionVector.DivideError or ExceptionVector.InvalidTss or ExceptionVector.SegmentNotPresent or ExceptionVector.StackFault
            or ExceptionVector.GeneralProtection => FaultClass.Contributory,
        ExceptionVector.PageFault => FaultClass.PageFault,
        ExceptionVector.DoubleFault => FaultClass.DoubleFault,
        _ => FaultClass.Benign,
    };

    /// <summary>What the processor notes of an exception when it happens, whether or not its handler is reached.</summary>
    private static void Announce(ref CpuState cpu, in GuestFault fault)
    {
        switch (fault.Cause.Rule)
        {
            case FaultRule.PageWalk:
                cpu.Cr2 = fault.Address.Value;
                break;
            case FaultRule.DebugRegisterGuard:
                cpu.Dr[6] |= Dr6.BD | Dr6.Ones;
                break;
            default:
                break;
        }
    }

    private void Note(in GuestFault fault) => chain[length++] = fault;

    private DeliveryOutcome ShutDown(ref CpuState cpu, ulong origin)
    {
        vcpu.PendingTrap = TrapKind.None;
        LastReport = new TripleFaultReport(chain[..length], origin, cpu.Gpr[GeneralRegister.Rsp], cpu.Cpl, vcpu.Paging);
        return DeliveryOutcome.TripleFault;
    }
}
