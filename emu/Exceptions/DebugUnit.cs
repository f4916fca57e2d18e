using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The breakpoints of DR0 to DR3, and the debug traps that wait for the end of an instruction (SDM Vol. 3B, 18.2 and 18.3).
/// </summary>
/// <remarks>
/// Conditions that are met but not enabled show in DR6 when another raises #DB. Page walks and what the processor itself reads and writes
/// (descriptors, TSS, exception frames) meet none.
/// </remarks>
internal sealed unsafe class DebugUnit(Vcpu vcpu)
{
    private const int Registers = 4;

    private readonly CpuState* cpu = vcpu.StatePointer;
    private ulong conditions;

    private enum Condition
    {
        Execute,
        Write,
        Port,
        ReadWrite,
    }

    /// <summary>Whether an instruction breakpoint is enabled.</summary>
    public bool BreaksOnCode { get; private set; }

    /// <summary>Whether a port breakpoint is enabled.</summary>
    public bool BreaksOnPorts { get; private set; }

    /// <summary>Whether the running instruction met an enabled data or port breakpoint.</summary>
    public bool IsHit { get; private set; }

    /// <summary>Whether the running instruction is followed by a single-step trap: TF as it was before it, but for instructions that say otherwise.</summary>
    public bool Stepping { get; set; }

    /// <summary>The traps that wait to be delivered, as bits of DR6.</summary>
    public ulong Pending { get; private set; }

    /// <summary>Whether a repeated string instruction has to stop after each element.</summary>
    public bool StopsAtElements => Stepping || (cpu->Mode & BlockMode.Watched) != 0;

    /// <summary>Takes up DR7 and CR4.DE; answers what blocks have to look out for.</summary>
    public BlockMode Arm()
    {
        BreaksOnCode = false;
        BreaksOnPorts = false;
        if ((cpu->Dr[7] & Dr7.Enables) == 0)
        {
            return BlockMode.None;
        }

        BlockMode watched = BlockMode.None;
        for (int i = 0; i < Registers; i++)
        {
            if (!IsEnabled(i))
            {
                continue;
            }

            Condition condition = ConditionOf(i);
            BreaksOnCode |= condition == Condition.Execute;
            BreaksOnPorts |= condition == Condition.Port && (cpu->Cr4 & Cr4.DE) != 0;
            watched |= condition is Condition.Write or Condition.ReadWrite ? BlockMode.Watched : BlockMode.None;
        }

        return watched;
    }

    /// <summary>An instruction begins of which nothing has been seen yet.</summary>
    public void Begin()
    {
        conditions = 0;
        IsHit = false;
    }

    /// <summary>The running instruction read or wrote memory. What linear-address masking takes out of an address is not compared.</summary>
    public void Accessed(ulong gva, int size, bool write)
    {
        gva = vcpu.Paging.Untag(new Gva(gva), new WalkAccess(AccessKind.Read, User: false)).Value;
        for (int i = 0; i < Registers; i++)
        {
            Condition condition = ConditionOf(i);
            if ((condition == Condition.ReadWrite || (write && condition == Condition.Write)) && Covers(i, gva, size))
            {
                Meet(i);
            }
        }
    }

    /// <summary>The running instruction read or wrote ports.</summary>
    public void AccessedPort(ushort port, int width)
    {
        for (int i = 0; BreaksOnPorts && i < Registers; i++)
        {
            if (ConditionOf(i) == Condition.Port && Covers(i, port, width))
            {
                Meet(i);
            }
        }
    }

    /// <summary>Whether an enabled instruction breakpoint stands at an address; then DR6 says so.</summary>
    public bool TryBreak(ulong address)
    {
        ulong met = 0;
        bool enabled = false;
        for (int i = 0; i < Registers; i++)
        {
            if (ConditionOf(i) == Condition.Execute && cpu->Dr[i] == address)
            {
                met |= 1ul << i;
                enabled |= IsEnabled(i);
            }
        }

        if (enabled)
        {
            Report(met);
        }

        return enabled;
    }

    /// <summary>An instruction, or one iteration of a repeated one, is complete: its traps wait from now on.</summary>
    /// <param name="branched">Whether it was a branch, and taken.</param>
    public void Complete(bool branched)
    {
        bool steps = Stepping && (branched || (cpu->Msr.DebugControl & DebugControl.BTF) == 0);
        if (steps || IsHit)
        {
            Pending |= conditions | (steps ? Dr6.BS : 0);
        }

        Abandon();
    }

    /// <summary>A task was entered whose TSS has T set: a trap comes before its first instruction.</summary>
    public void TrapNewTask() => Pending |= Dr6.BT;

    /// <summary>The instruction raised an exception: it has no traps.</summary>
    public void Abandon()
    {
        Begin();
        Stepping = false;
    }

    /// <summary>Moves the waiting traps to DR6 and records the #DB that reports them.</summary>
    public void RaisePending()
    {
        ulong bits = Pending;
        Pending = 0;
        Report(bits);
        vcpu.Raise(ExceptionVector.Debug, null, (bits & Dr6.Breakpoints) != 0 ? FaultRule.Breakpoint : FaultRule.SingleStep, cpu->Rip);
    }

    private void Report(ulong bits)
    {
        cpu->Dr[6] = (cpu->Dr[6] & ~Dr6.Breakpoints) | bits | Dr6.Ones;
        cpu->Msr.DebugControl &= ~(DebugControl.BTF | DebugControl.LBR);
    }

    private void Meet(int i)
    {
        conditions |= 1ul << i;
        IsHit |= IsEnabled(i);
    }

    private bool IsEnabled(int i) => (cpu->Dr[7] & (3ul << (2 * i))) != 0;

    private Condition ConditionOf(int i) => (Condition)((cpu->Dr[7] >> (16 + (4 * i))) & 3);

    /// <summary>Whether an access and a breakpoint overlap; the breakpoint's low address bits are ignored as its length says.</summary>
    private bool Covers(int i, ulong address, int size)
    {
        ulong length = ((cpu->Dr[7] >> (18 + (4 * i))) & 3) switch
        {
            0 => 1,
            1 => 2,
            2 => 8,
            _ => 4,
        };
        ulong start = cpu->Dr[i] & ~(length - 1);
        return start - address < (ulong)size || address - start < length;
    }
}
