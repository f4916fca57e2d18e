using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// A logical processor: its state, its TLB and its decoded code, and the slow paths that instruction handlers call.
/// </summary>
public sealed unsafe partial class Vcpu : IDisposable
{
    private readonly CpuState* state;
    private volatile bool stopRequested;

    internal Vcpu(Memslots slots, IGuestMemoryAccess access, MmioBus bus, PortBus ports, CpuFeatures features)
    {
        state = (CpuState*)NativeMemory.AlignedAlloc((nuint)sizeof(CpuState), 64);
        NativeMemory.Clear(state, (nuint)sizeof(CpuState));
        Features = features;
        Ports = ports;
        Tlb = new Tlb();
        Code = new CodeCache();
        Memory = new ProcessorMemory(this, slots);
        Hypervisor = new HypervisorMemory(this, slots, access, bus);
        state->BlockTable = Code.Table;
        state->Flags.Word = 0;
        state->Mxcsr = SseState.MxcsrDefault;
        ContextChanged();
    }

    /// <summary>The registers. After changing CPL, a control register or IA32_EFER here, call <see cref="FlushTlb"/>.</summary>
    public ref CpuState State => ref *state;

    /// <summary>What CPUID claims and the physical-address width.</summary>
    public CpuFeatures Features { get; }

    /// <summary>The translation lookaside buffer.</summary>
    public Tlb Tlb { get; }

    /// <summary>The fault that the last instruction raised, valid when a run stops for it or an observer is told.</summary>
    public GuestFault PendingFault { get; private set; }

    /// <summary>What happened so far.</summary>
    public CpuCounters Counters { get; } = new();

    /// <summary>The paging state of the current CR0, CR3, CR4, EFER and RFLAGS.AC.</summary>
    public PagingState Paging => new(
        state->Cr0, state->Cr3, state->Cr4, state->Msr.Efer, (state->SystemFlags & Emulation.Rflags.AC) != 0, Features.PhysicalAddressBits, Features.Page1G);

    /// <summary>RFLAGS, with the status flags computed.</summary>
    public ulong Rflags
    {
        get => state->Flags.Word | state->SystemFlags | Emulation.Rflags.Fixed;
        set
        {
            state->Flags.Word = value;
            ulong system = value & (Emulation.Rflags.Writable & ~Emulation.Rflags.Status);
            bool acChanged = ((system ^ state->SystemFlags) & Emulation.Rflags.AC) != 0;
            state->SystemFlags = system;
            if (acChanged)
            {
                ContextChanged();
            }
        }
    }

    /// <summary>Asks the run loop to come back; safe from any thread and from signal-driven callbacks.</summary>
    public void RequestStop() => stopRequested = true;

    internal bool StopRequested => stopRequested;

    internal CpuState* StatePointer => state;

    internal ProcessorMemory Memory { get; }

    /// <summary>Memory as the hypervisor reaches it for this processor.</summary>
    internal HypervisorMemory Hypervisor { get; }

    internal CodeCache Code { get; }

    /// <summary>The instructions given to the chain that is running.</summary>
    internal int SliceLength { get; set; }

    internal PortBus Ports { get; }

    /// <summary>The data accesses of the current instruction, where they are recorded.</summary>
    internal AccessRecord Record { get; } = new();

    /// <summary>How the current operation ends, where its handler returned false.</summary>
    internal BlockExit PendingExit { get; set; }

    internal void ClearStopRequest()
    {
        stopRequested = false;
        UnsupportedReason = null;
    }

    /// <summary>
    /// To be called after a change of CPL, RFLAGS.AC, CR0 or CR4: selects the TLB entries and the block mode.
    /// </summary>
    internal void ContextChanged()
    {
        state->Tlb = Tlb.Entries(CurrentContext);
        state->Epoch = Tlb.Epoch;
        BlockMode mode = state->Mode & (BlockMode.Single | BlockMode.Recorded);
        mode |= state->Cpl == 3 ? BlockMode.User : 0;
        mode |= (state->Cr4 & Cr4.OSFXSR) == 0 || (state->Cr0 & Cr0.EM) != 0 ? BlockMode.SseUndefined : 0;
        mode |= (state->Cr0 & Cr0.TS) != 0 ? BlockMode.SseNotAvailable : 0;
        state->Mode = mode;
    }

    internal TlbContext CurrentContext =>
        state->Cpl == 3 ? TlbContext.User
        : (state->SystemFlags & Emulation.Rflags.AC) != 0 ? TlbContext.SupervisorWithAc
        : TlbContext.Supervisor;

    /// <summary>
    /// Drops every translation and takes up CPL, control registers and IA32_EFER as they stand in <see cref="State"/>. The guest's own
    /// instructions see to this themselves; it is for whoever changes them from outside, between runs.
    /// </summary>
    public void FlushTlb()
    {
        Tlb.FlushAll();
        ContextChanged();
    }

    /// <summary>INVLPG.</summary>
    internal void FlushTlbPage(Gva gva)
    {
        Tlb.FlushPage(gva);
        state->Epoch = Tlb.Epoch;
    }

    /// <summary>MOV to CR3.</summary>
    internal void FlushTlbNonGlobal()
    {
        Tlb.FlushNonGlobal();
        state->Epoch = Tlb.Epoch;
    }

    /// <summary>Records a fault of the current instruction; returns false for the handler to return.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal bool Raise(ExceptionVector vector, uint? errorCode, FaultRule rule, ulong address = 0)
    {
        PendingFault = new GuestFault(vector, errorCode, new Gva(address), new FaultCause(rule));
        PendingExit = BlockExit.Fault;
        PendingTrap = TrapKind.None;
        return false;
    }

    /// <summary>#GP(<paramref name="errorCode"/>).</summary>
    internal bool RaiseGP(FaultRule rule, uint errorCode = 0) => Raise(ExceptionVector.GeneralProtection, errorCode, rule);

    /// <summary>Records the fault of a failed walk.</summary>
    internal bool Raise(in WalkResult walk, ulong gva)
    {
        PendingExit = BlockExit.Fault;
        PendingTrap = TrapKind.None;
        PendingFault = walk.Failure == WalkFailure.NonCanonical
            ? new GuestFault(ExceptionVector.GeneralProtection, 0, new Gva(gva), new FaultCause(FaultRule.NonCanonicalAddress))
            : new GuestFault(ExceptionVector.PageFault, (uint)walk.ErrorCode, new Gva(gva), new FaultCause(FaultRule.PageWalk, walk));
        return false;
    }

    /// <summary>The current operation touches no memslot: the hypervisor has to emulate it.</summary>
    internal bool ExitForMmio()
    {
        PendingExit = BlockExit.Mmio;
        return false;
    }

    /// <summary>Leaves a chain with RIP at an operation that did not complete, for the reason its handler recorded.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal BlockExit LeaveBefore(CpuState* cpu, Op* op) => LeaveWith(cpu, op, PendingExit);

    /// <summary>Leaves a chain at an operation: before it, or after it where the exit says that it was retired.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal BlockExit LeaveWith(CpuState* cpu, Op* op, BlockExit exit)
    {
        if ((exit is BlockExit.Halt or BlockExit.Stop && UnsupportedReason is null) || (exit == BlockExit.Fault && PendingTrap != TrapKind.None))
        {
            cpu->Meter += op->Toll;
            cpu->Rip = op->NextRip;
            return exit;
        }

        cpu->Meter += ((ulong)op->Accesses << 32) - op->Before;
        cpu->Rip = op->Rip;
        if (exit == BlockExit.Fault && PendingFault.Cause.Rule == FaultRule.NonCanonicalAddress && IsStackAddress(cpu, op))
        {
            PendingFault = PendingFault with { Vector = ExceptionVector.StackFault };
        }

        return exit;
    }

    private bool IsStackAddress(CpuState* cpu, Op* op) =>
        (op->Flags & OpFlags.Stack) != 0
        || ((op->Flags & OpFlags.ImplicitStack) != 0 && PendingFault.Address.Value - (cpu->Gpr[GeneralRegister.Rsp] - 16) < 24);

    /// <summary>Drops what was decoded from a range of guest-physical memory that a party other than the processor wrote.</summary>
    internal void CodeWritten(Gpa gpa, ulong length)
    {
        ulong done = 0;
        while (done < length)
        {
            ulong part = Math.Min(length - done, PageSize.Size4K - ((gpa.Value + done) & PageSize.Mask4K));
            if (Memory.Slots.TryTranslate(gpa + done, out Hva hva, out _))
            {
                Code.Written(hva.Value, (int)part);
            }

            done += part;
        }
    }

    /// <summary>Memslots changed: host addresses may have, so nothing cached stands.</summary>
    internal void MemoryChanged()
    {
        Code.Flush();
        FlushTlb();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Hypervisor.Dispose();
        Memory.Dispose();
        Code.Dispose();
        Tlb.Dispose();
        NativeMemory.AlignedFree(state);
    }
}
