namespace Quadwalk.Emulation;

/// <summary>
/// Runs the processors of a machine in turns on one thread: in each round every processor gets the same stretch of time, in order of
/// its index, so that the same image and options give the same interleaving. A run that stops goes on where it was.
/// </summary>
internal sealed class ProcessorTurns(Machine machine, IReadOnlyList<Interpreter<NoTrace>> engines, PcBoard board)
{
    /// <summary>The ticks of one turn where there is one.</summary>
    private const ulong Alone = 1 << 20;

    private readonly ulong quantum = engines.Count == 1 ? Alone : machine.Options.TurnTicks;
    private ulong roundEnd;
    private int turn = engines.Count;

    /// <summary>Runs up to <paramref name="limit"/> instructions, those of all processors together; <paramref name="stopped"/> is whose outcome it is.</summary>
    public RunOutcome Run(ulong limit, out int stopped)
    {
        ulong left = limit;
        while (true)
        {
            if (turn == engines.Count && !TryBeginRound())
            {
                stopped = 0;
                return RunOutcome.Halted;
            }

            for (; turn < engines.Count; turn++)
            {
                Vcpu cpu = machine.Cpus[turn];
                ulong before = cpu.Counters.Instructions;
                RunOutcome outcome = Take(cpu, engines[turn], left);
                left -= Math.Min(left, cpu.Counters.Instructions - before);
                bool goesOn = outcome == RunOutcome.Halted || (outcome == RunOutcome.Limit && cpu.Time >= roundEnd);
                if (!goesOn)
                {
                    stopped = turn;
                    return outcome;
                }

                Idle(cpu, roundEnd);
            }
        }
    }

    private RunOutcome Take(Vcpu cpu, Interpreter<NoTrace> engine, ulong limit)
    {
        board.Select(cpu);
        cpu.TakeRequests();
        if (cpu.IsWaitingForStartup)
        {
            return RunOutcome.Halted;
        }

        cpu.TurnEnd = roundEnd;
        cpu.RequestAttention();
        return engine.Run(limit);
    }

    /// <summary>A new stretch of time; a machine that sleeps leaps to where something is due. False where nothing ever is.</summary>
    private bool TryBeginRound()
    {
        bool asleep = true;
        ulong now = roundEnd;
        foreach (Vcpu cpu in machine.Cpus)
        {
            asleep &= IsAsleep(cpu);
            now = Math.Max(now, cpu.Time);
        }

        roundEnd = now + quantum;
        turn = 0;
        if (!asleep)
        {
            return true;
        }

        if (board.Clock.NextDeadline is not ulong due)
        {
            return false;
        }

        foreach (Vcpu cpu in machine.Cpus)
        {
            Idle(cpu, due);
        }

        board.Clock.AdvanceTo(Math.Max(due, board.Clock.Now));
        roundEnd = Math.Max(due, now) + quantum;
        return true;
    }

    private static bool IsAsleep(Vcpu cpu)
    {
        bool requested = (cpu.Apic!.Requests & (ApicRequests.Init | ApicRequests.Startup | ApicRequests.Nmi)) != 0;
        bool interrupted = (cpu.State.SystemFlags & Rflags.IF) != 0 && cpu.Interrupts!.HasInterrupt;
        return !requested && (cpu.IsWaitingForStartup || (cpu.IsHalted && !interrupted && !cpu.IsNmiPending));
    }

    /// <summary>Lets a processor's time pass without instructions.</summary>
    private static void Idle(Vcpu cpu, ulong until) => cpu.Counters.HaltedTicks += Math.Max(until, cpu.Time) - cpu.Time;
}
