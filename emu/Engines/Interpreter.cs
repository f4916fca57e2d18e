namespace Quadwalk.Emulation;

/// <summary>Why a run came back.</summary>
internal enum RunOutcome
{
    /// <summary>The instructions asked for have been retired.</summary>
    Limit,

    /// <summary><see cref="Vcpu.RequestStop"/> was called.</summary>
    Requested,

    /// <summary>HLT was executed.</summary>
    Halted,

    /// <summary>An instruction could not be emulated: see <see cref="Vcpu.EmulationFailure"/>.</summary>
    EmulationFailed,

    /// <summary>A triple fault: shutdown.</summary>
    TripleFault,

    /// <summary>The guest did what this version cannot do: see <see cref="Vcpu.UnsupportedReason"/>.</summary>
    Unsupported,
}

/// <summary>
/// The reference engine: runs chains of decoded operations and deals with what ends them. Policy <typeparamref name="TTrace"/> turns on
/// the instruction-by-instruction loop with its hooks; without it no trace of tracing remains in the code.
/// </summary>
internal sealed unsafe class Interpreter<TTrace>(Vcpu vcpu, ExceptionDelivery exceptions, MmioEmulator emulator, TTrace trace, UnicornProcessor? unicorn = null)
    where TTrace : struct, ITracePolicy
{
    /// <summary>The most instructions between two looks at requests to stop; it also bounds how deep handlers nest where the JIT makes no tail calls.</summary>
    private const int Slice = 1024;

    /// <summary>How many exceptions in a row, with no instruction between them, are taken for a guest on its way somewhere.</summary>
    private const int Storm = 1000;

    private readonly BlockDecoder blocks = new(vcpu);
    private readonly InstructionBoundary boundary = new(vcpu);
    private ulong end;
    private ulong retired;
    private int fruitless;

    /// <summary>Whether <see cref="Run"/> comes back as soon as anything was retired, with <see cref="RunOutcome.Limit"/>.</summary>
    public bool ComesBackSoon { get; set; }

    /// <summary>
    /// Runs up to <paramref name="limit"/> instructions. A guest whose exceptions only ever raise further ones retires nothing: from the
    /// <see cref="Storm"/>th in a row on, each counts as an instruction, so that the limit still holds; and so does each leap of a halted
    /// processor's time.
    /// </summary>
    public RunOutcome Run(ulong limit)
    {
        CpuState* cpu = vcpu.StatePointer;
        end = SaturatingAdd(vcpu.Counters.Instructions, limit);
        retired = vcpu.Counters.Instructions;
        ulong begin = retired;
        fruitless = 0;
        cpu->Current = null;
        while (!vcpu.StopRequested)
        {
            ulong left = end - vcpu.Counters.Instructions;
            if (left == 0 || vcpu.Time >= vcpu.TurnEnd || (ComesBackSoon && vcpu.Counters.Instructions != begin))
            {
                return RunOutcome.Limit;
            }

            if (vcpu.HasQueuedFault)
            {
                vcpu.DropQueuedFault();
                if (!Deliver())
                {
                    return RunOutcome.TripleFault;
                }

                continue;
            }

            bool one = TTrace.Enabled || vcpu.Tlb.Mode == Mmu.TlbMode.Strict;
            bool resumes = vcpu.Hypervisor.IsSuspended;
            if (resumes)
            {
                boundary.PassTime();
            }
            else if (boundary.IsQuiet)
            {
                cpu->SystemFlags &= ~Rflags.RF;
            }
            else
            {
                switch (boundary.Attend())
                {
                    case BoundaryOutcome.RunOne:
                        one = true;
                        break;
                    case BoundaryOutcome.Deliver when Deliver():
                        continue;
                    case BoundaryOutcome.Deliver:
                        return RunOutcome.TripleFault;
                    case BoundaryOutcome.Waited:
                        end--;
                        continue;
                    case BoundaryOutcome.Asleep:
                        return Sleep();
                    default:
                        break;
                }
            }

            bool branched = false, unfetched = false;
            BlockExit exit = BlockExit.Branch;
            if (resumes)
            {
                exit = BlockExit.Mmio;
            }
            else if (one || !RunUnicorn(left))
            {
                ulong most = unicorn is { Owed: not 0 } ? Math.Min(unicorn.Owed, left) : left;
                ulong before = vcpu.Counters.Instructions;
                exit = RunSlice(cpu, one ? 1 : (int)Math.Min(Math.Min(most, Slice), UntilNextEvent()), one, out branched);
                unicorn?.Interpreted(vcpu.Counters.Instructions - before);
            }
            else
            {
                branched = true;
            }

            if (exit == BlockExit.Mmio)
            {
                vcpu.Debug.Begin();
                exit = Emulate();
                unfetched = vcpu.Hypervisor.Failure is { Kind: EmulationFailureKind.Fetch };
            }

            if (exit == BlockExit.Retry)
            {
                vcpu.Counters.HaltedTicks++;
                end--;
                continue;
            }

            if (exit == BlockExit.Refused)
            {
                return RunOutcome.EmulationFailed;
            }

            vcpu.FollowsStackLoad = false;
            vcpu.NoteRepeating(exit == BlockExit.Repeat);
            if (exit == BlockExit.Fault)
            {
                vcpu.Debug.Abandon();
                if (unfetched && vcpu.State.Cpl == 0)
                {
                    vcpu.QueueFault();
                    return RunOutcome.EmulationFailed;
                }

                if (!Deliver())
                {
                    return RunOutcome.TripleFault;
                }

                continue;
            }

            if (exit == BlockExit.Stop && vcpu.UnsupportedReason is not null)
            {
                return RunOutcome.Unsupported;
            }

            vcpu.Debug.Complete(branched);
            if (exit == BlockExit.Halt)
            {
                vcpu.IsHalted = true;
                if (!boundary.CanWake())
                {
                    return Sleep();
                }
            }
        }

        return RunOutcome.Requested;
    }

    /// <summary>Lets Unicorn run where it may; false where an instruction is the interpreter's.</summary>
    private bool RunUnicorn(ulong left) =>
        unicorn is { Owed: 0, CanRun: true } && unicorn.Run(Math.Min(left, UntilNextEvent())) != 0;

    private ulong UntilNextEvent()
    {
        ulong next = Math.Min(vcpu.NextEvent, vcpu.TurnEnd);
        return next > vcpu.Time ? next - vcpu.Time : 1;
    }

    /// <summary>A halt with interrupts off is the end, after which another run goes on; one with interrupts on lasts until there is one.</summary>
    private RunOutcome Sleep()
    {
        vcpu.IsHalted = vcpu.HasCompany || (vcpu.State.SystemFlags & Rflags.IF) != 0;
        return RunOutcome.Halted;
    }

    private BlockExit RunSlice(CpuState* cpu, int slice, bool one, out bool branched)
    {
        BlockMode forced = TTrace.Enabled ? BlockMode.Single | BlockMode.Recorded : one ? BlockMode.Single : BlockMode.None;
        cpu->Mode = (cpu->Mode & ~(BlockMode.Single | BlockMode.Recorded)) | forced;
        branched = false;
        Op* came = cpu->Current;
        cpu->Current = null;
        ulong generation = vcpu.Code.Generation;
        Block* block = blocks.Lookup();
        if (block != null && block->Count > slice)
        {
            cpu->Mode |= BlockMode.Single;
            slice = 1;
            came = null;
            block = blocks.Lookup();
        }

        if (block == null)
        {
            return vcpu.PendingExit;
        }

        if (came != null && generation == vcpu.Code.Generation)
        {
            came->Link = block;
        }

        if (TTrace.Enabled)
        {
            vcpu.Record.Clear();
            trace.Before(vcpu);
        }

        vcpu.SliceLength = slice;
        cpu->Meter = (uint)slice;
        Op* first = Block.Ops(block);
        bool branches = (first->Flags & OpFlags.Branch) != 0;
        BlockExit exit = first->Handler(cpu, first, vcpu);
        branched = branches || cpu->Current == first;
        vcpu.Counters.Instructions += (ulong)(slice - cpu->Remaining);
        vcpu.Counters.DataAccesses += cpu->Meter >> 32;
        vcpu.SliceLength = 0;
        cpu->Meter = 0;
        if (TTrace.Enabled)
        {
            trace.After(vcpu, exit);
        }

        return exit;
    }

    private BlockExit Emulate()
    {
        if (TTrace.Enabled && vcpu.Hypervisor.IsSuspended)
        {
            vcpu.Record.Clear();
        }

        BlockExit exit = emulator.Emulate();
        if (TTrace.Enabled && exit is not (BlockExit.Retry or BlockExit.Refused))
        {
            trace.AfterEmulation(vcpu, exit);
        }

        return exit;
    }

    /// <summary>Takes the guest to the handler of the pending fault or interrupt; false on a triple fault.</summary>
    private bool Deliver()
    {
        fruitless = vcpu.Counters.Instructions == retired ? fruitless + 1 : 0;
        retired = vcpu.Counters.Instructions;
        end -= fruitless >= Storm && end != retired ? 1UL : 0;
        vcpu.StatePointer->Current = null;
        vcpu.Shadow = InterruptShadow.None;
        if (TTrace.Enabled)
        {
            trace.Fault(vcpu, vcpu.PendingFault);
        }

        return exceptions.Deliver(vcpu.PendingFault, vcpu.PendingIsSoftware) == DeliveryOutcome.Delivered;
    }

    private static ulong SaturatingAdd(ulong a, ulong b) => a + b < a ? ulong.MaxValue : a + b;
}
