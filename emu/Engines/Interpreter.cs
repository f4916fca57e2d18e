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

    /// <summary>A triple fault: shutdown.</summary>
    TripleFault,

    /// <summary>The guest did what this version cannot do: see <see cref="Vcpu.UnsupportedReason"/>.</summary>
    Unsupported,
}

/// <summary>
/// The reference engine: runs chains of decoded operations and deals with what ends them. Policy <typeparamref name="TTrace"/> turns on
/// the instruction-by-instruction loop with its hooks; without it no trace of tracing remains in the code.
/// </summary>
internal sealed unsafe class Interpreter<TTrace>(Vcpu vcpu, ExceptionDelivery exceptions, MmioEmulator emulator, TTrace trace)
    where TTrace : struct, ITracePolicy
{
    /// <summary>The most instructions between two looks at requests to stop; it also bounds how deep handlers nest where the JIT makes no tail calls.</summary>
    private const int Slice = 1024;

    private readonly BlockDecoder blocks = new(vcpu);

    /// <summary>Runs up to <paramref name="limit"/> instructions.</summary>
    public RunOutcome Run(ulong limit)
    {
        CpuState* cpu = vcpu.StatePointer;
        ulong end = SaturatingAdd(vcpu.Counters.Instructions, limit);
        cpu->Current = null;
        while (!vcpu.StopRequested)
        {
            ulong left = end - vcpu.Counters.Instructions;
            if (left == 0)
            {
                return RunOutcome.Limit;
            }

            int slice = TTrace.Enabled ? 1 : (int)Math.Min(left, Slice);
            BlockExit exit = RunSlice(cpu, slice);
            if (exit is BlockExit.Branch or BlockExit.Restart)
            {
                continue;
            }

            if (exit == BlockExit.Halt)
            {
                return RunOutcome.Halted;
            }

            if (vcpu.UnsupportedReason is not null)
            {
                return RunOutcome.Unsupported;
            }

            if (!Resolve(exit))
            {
                return RunOutcome.TripleFault;
            }
        }

        return RunOutcome.Requested;
    }

    private BlockExit RunSlice(CpuState* cpu, int slice)
    {
        BlockMode forced = TTrace.Enabled ? BlockMode.Single | BlockMode.Recorded : BlockMode.None;
        cpu->Mode = (cpu->Mode & ~(BlockMode.Single | BlockMode.Recorded)) | forced;
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
        BlockExit exit = first->Handler(cpu, first, vcpu);
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

    /// <summary>Delivers a fault or emulates an MMIO access; false on a triple fault.</summary>
    private bool Resolve(BlockExit exit)
    {
        if (exit == BlockExit.Mmio)
        {
            exit = emulator.Emulate();
            if (TTrace.Enabled)
            {
                trace.AfterEmulation(vcpu, exit);
            }
        }

        if (exit != BlockExit.Fault)
        {
            return true;
        }

        if (TTrace.Enabled)
        {
            trace.Fault(vcpu, vcpu.PendingFault);
        }

        return exceptions.Deliver(vcpu.PendingFault, vcpu.PendingIsSoftware) == DeliveryOutcome.Delivered;
    }

    private static ulong SaturatingAdd(ulong a, ulong b) => a + b < a ? ulong.MaxValue : a + b;
}
