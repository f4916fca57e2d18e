using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// A logical processor: its state, its TLB and its decoded code, and the slow paths that instruction handlers call.
/// </summary>
public sealed unsafe partial class Vcpu : IDisposable
{
    private readonly CpuState* state;
    private readonly bool supportsLA57;
    private Vector256<ulong> seenControls;
    private ulong seenFlags;
    private bool seenLegacy = true;
    private PagingState paging;
    private readonly CodeSegments segments = new();
    private volatile bool stopRequested;

    internal Vcpu(MachineSecondStage secondStage, IGuestMemoryAccess access, MmioBus bus, PortBus ports, CpuFeatures features, ulong seed = 0, DecodedFrames? frames = null, TlbMode tlb = TlbMode.Fast)
    {
        state = (CpuState*)NativeMemory.AlignedAlloc((nuint)sizeof(CpuState), 64);
        NativeMemory.Clear(state, (nuint)sizeof(CpuState));
        Features = features;
        supportsLA57 = features.Has(CpuFeature.La57);
        paging = new PagingState(
            0, 0, 0, 0, AlignmentCheck: false, features.PhysicalAddressBits, features.Page1G, Pse36: features.Has(CpuFeature.Pse36));
        Ports = ports;
        Debug = new DebugUnit(this);
        Tlb = new Tlb(tlb);
        Code = new CodeCache();
        Frames = frames ?? new DecodedFrames();
        Frames.Add(this);
        Memory = new ProcessorMemory(this, secondStage);
        Hypervisor = new HypervisorMemory(this, secondStage.Slots, access, bus);
        state->BlockTable = Code.Table;
        state->Random = seed;
        Reset();
    }

    /// <summary>The registers. After changing CPL, a control register, DR7 or IA32_EFER here, call <see cref="FlushTlb()"/>.</summary>
    public ref CpuState State => ref *state;

    /// <summary>What CPUID claims and the physical-address width.</summary>
    public CpuFeatures Features { get; }

    /// <summary>The local APIC ID.</summary>
    public uint ApicId { get; init; }

    /// <summary>How many processors the machine has.</summary>
    public int ProcessorCount { get; init; } = 1;

    /// <summary>The translation lookaside buffer.</summary>
    public Tlb Tlb { get; }

    /// <summary>The fault that the last instruction raised, valid when a run stops for it or an observer is told.</summary>
    public GuestFault PendingFault { get; private set; }

    /// <summary>What happened so far.</summary>
    public CpuCounters Counters { get; } = new();

    /// <summary>
    /// The paging state of the current CR0, CR3, CR4, EFER, RFLAGS.AC, PKRU and IA32_PKRS, and in PAE paging the PDPTE registers. The reference is
    /// to a record that the next look brings up to date: copy it to keep it.
    /// </summary>
    public ref readonly PagingState Paging
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            // SAFETY: the vector is Cr0, Cr2, Cr3 and Cr4, which follow each other in CpuState; TakeUpPaging loads the same four.
            // Registers are compared with what was seen, not watched: whoever changes one, here or from outside, is noticed.
            Vector256<ulong> controls = (Vector256.LoadUnsafe(ref state->Cr0) ^ seenControls) & Vector256.Create(ulong.MaxValue, 0, ulong.MaxValue, ulong.MaxValue);
            ulong others = (state->Msr.Efer ^ paging.Efer) | ((state->SystemFlags ^ seenFlags) & Emulation.Rflags.AC)
                | (state->Pkru ^ paging.Pkru) | (state->Msr.Pkrs ^ paging.Pkrs);
            if (controls != Vector256<ulong>.Zero || others != 0 || (seenLegacy && state->Pdpte != paging.Pdptes))
            {
                TakeUpPaging();
            }

            return ref paging;
        }
    }

    /// <summary>RFLAGS, with the status flags computed.</summary>
    public ulong Rflags
    {
        get => state->Flags.Word | state->SystemFlags | Emulation.Rflags.Fixed;
        set
        {
            state->Flags.Word = value;
            ulong system = value & (Emulation.Rflags.Defined & ~Emulation.Rflags.Status);
            bool contextChanged = ((system ^ state->SystemFlags) & (Emulation.Rflags.AC | Emulation.Rflags.VM)) != 0;
            state->SystemFlags = system;
            if (contextChanged)
            {
                ContextChanged();
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void TakeUpPaging()
    {
        paging = paging with
        {
            Cr0 = state->Cr0,
            Cr3 = state->Cr3,
            Cr4 = state->Cr4,
            Efer = state->Msr.Efer,
            AlignmentCheck = (state->SystemFlags & Emulation.Rflags.AC) != 0,
            Pdptes = state->Pdpte,
            Pkru = state->Pkru,
            Pkrs = (uint)state->Msr.Pkrs,
        };
        seenControls = Vector256.LoadUnsafe(ref state->Cr0);
        seenFlags = state->SystemFlags;
        seenLegacy = !paging.IsLongMode;
    }

    /// <summary>
    /// Whether an address is canonical in the paging mode in force, which is what RIP and accesses go by (SDM Vol. 3A, chapter 4,
    /// "Canonicality Checking"): 57 bits with CR4.LA57, else 48.
    /// </summary>
    internal bool IsCanonical(ulong address) => BranchTarget.IsCanonical(ref *state, address);

    /// <summary>
    /// Whether an address is canonical for this processor, whatever the paging mode: 57 bits where it has 5-level paging, else 48. The bases of
    /// segments and tables, the MSRs that hold addresses, INVLPG and INVPCID go by this.
    /// </summary>
    internal bool IsProcessorCanonical(ulong address) =>
        BranchTarget.IsCanonical(address) || (supportsLA57 && BranchTarget.IsCanonical57(address));

    /// <summary>Asks the run loop to come back; safe from any thread and from signal-driven callbacks.</summary>
    public void RequestStop() => stopRequested = true;

    internal bool StopRequested => stopRequested;

    internal CpuState* StatePointer => state;

    internal ProcessorMemory Memory { get; }

    /// <summary>Memory as the hypervisor reaches it for this processor.</summary>
    internal HypervisorMemory Hypervisor { get; }

    internal CodeCache Code { get; }

    /// <summary>The decoded code of all processors of the machine.</summary>
    internal DecodedFrames Frames { get; }

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
    /// To be called after a change of CS, CPL, RFLAGS.AC or VM, CR0, CR4, DR7, IA32_EFER or XCR0: selects the TLB entries and the block mode.
    /// </summary>
    internal void ContextChanged()
    {
        Tlb.Select(CurrentPcid);
        state->Tlb = Tlb.Entries(CurrentContext);
        state->Epoch = Tlb.Epoch;
        BlockMode mode = state->Mode & (BlockMode.Single | BlockMode.Recorded);
        mode |= state->Cpl == 3 ? BlockMode.User : 0;
        mode |= CodeMode();
        mode |= (state->Cr4 & Cr4.OSFXSR) == 0 || (state->Cr0 & Cr0.EM) != 0 ? BlockMode.SseUndefined : 0;
        mode |= (state->Cr0 & Cr0.TS) != 0 ? BlockMode.SseNotAvailable : 0;
        mode |= (state->Cr0 & Cr0.EM) != 0 ? BlockMode.X87Emulated : 0;
        mode |= (state->Cr0 & (Cr0.TS | Cr0.MP)) == (Cr0.TS | Cr0.MP) ? BlockMode.WaitNotAvailable : 0;
        mode |= (state->Cr4 & Cr4.OSXSAVE) == 0 || (~state->Xcr0 & 6) != 0 || (mode & BlockMode.Real) != 0 ? BlockMode.AvxUndefined : 0;
        mode |= state->Cpl == 3 && (state->Cr0 & Cr0.AM) != 0 && (state->SystemFlags & Emulation.Rflags.AC) != 0 ? BlockMode.AlignmentChecked : 0;
        mode |= Debug.Arm();
        state->Mode = mode;
    }

    /// <summary>Whether CS holds 64-bit code.</summary>
    internal bool Is64BitMode => (state->Mode & (BlockMode.Code16 | BlockMode.Code32)) == 0;

    /// <summary>Whether segments are what real-address mode and virtual-8086 mode make of selectors.</summary>
    internal bool IsRealOrVirtual8086 => (state->Mode & BlockMode.Real) != 0;

    /// <summary>The bits that a linear address has: 64 in 64-bit mode, 32 elsewhere.</summary>
    internal ulong LinearMask => Is64BitMode ? ulong.MaxValue : uint.MaxValue;

    private BlockMode CodeMode()
    {
        ref SegmentRegister cs = ref state->Segments[SegmentIndex.Cs];
        if ((state->Msr.Efer & Efer.LMA) != 0 && (cs.Attributes & DescriptorBits.Code64) != 0)
        {
            return BlockMode.None;
        }

        int generation = segments.Generation;
        uint number = segments.NumberOf(cs);
        if (generation != segments.Generation)
        {
            Code.Flush();
        }

        BlockMode mode = (BlockMode)(number * (uint)BlockMode.CodeSegment);
        mode |= (cs.Attributes & DescriptorBits.Default32) != 0 ? BlockMode.Code32 : BlockMode.Code16;
        bool real = (state->Cr0 & Cr0.PE) == 0 || (state->SystemFlags & Emulation.Rflags.VM) != 0;
        return mode | (real ? BlockMode.Real : 0);
    }

    internal TlbContext CurrentContext =>
        state->Cpl == 3 ? TlbContext.User
        : (state->SystemFlags & Emulation.Rflags.AC) != 0 ? TlbContext.SupervisorWithAc
        : TlbContext.Supervisor;

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
    /// <param name="walk">The walk.</param>
    /// <param name="gva">The address it was made for, with the metadata that linear-address masking takes out, which CR2 does not show.</param>
    /// <param name="access">The access it was made for.</param>
    internal bool Raise(in WalkResult walk, ulong gva, WalkAccess access)
    {
        PendingExit = BlockExit.Fault;
        PendingTrap = TrapKind.None;
        PendingFault = walk.Failure == WalkFailure.NonCanonical
            ? new GuestFault(ExceptionVector.GeneralProtection, 0, new Gva(gva), new FaultCause(FaultRule.NonCanonicalAddress))
            : new GuestFault(ExceptionVector.PageFault, (uint)walk.ErrorCode, Paging.Untag(new Gva(gva), access), new FaultCause(FaultRule.PageWalk, walk));
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
            cpu->Rip = exit == BlockExit.Fault && PendingTrap == TrapKind.NewTask ? cpu->Rip : op->NextRip;
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
                Frames.Written(hva.Value, (int)part);
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
