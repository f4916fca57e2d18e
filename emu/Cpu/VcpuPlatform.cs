namespace Quadwalk.Emulation;

public sealed unsafe partial class Vcpu
{
    /// <summary>The processor's local APIC; null in a machine without one.</summary>
    public LocalApic? Apic { get; internal set; }

    /// <summary>The time of the machine's devices; null where none of them knows of time.</summary>
    public MachineClock? Clock { get; internal set; }

    /// <summary>Whether the processor waits for a start-up request since INIT.</summary>
    public bool IsWaitingForStartup { get; internal set; }

    /// <summary>Up to which <see cref="Time"/> a halt may last in one run: other processors have their turn then.</summary>
    internal ulong TurnEnd { get; set; } = ulong.MaxValue;

    /// <summary>Whether something outside this processor can wake it, so that HLT with interrupts off is no end.</summary>
    internal bool HasCompany { get; set; }

    /// <summary>CR8, which is the task priority of the local APIC where there is one.</summary>
    internal ulong TaskPriority
    {
        get => Apic?.TaskPriorityClass ?? state->Cr8;
        set
        {
            state->Cr8 = value;
            if (Apic is not null)
            {
                Apic.TaskPriorityClass = (byte)value;
                RequestAttention();
            }
        }
    }

    /// <summary>Brings the devices' time up to an operation of the running block, before it asks one of them.</summary>
    internal void SynchronizeClock(ref Op op)
    {
        if (Clock is not null)
        {
            AdvanceClock(Now(ref op));
        }
    }

    /// <summary>Brings the devices' time up to <see cref="Time"/>, between instructions.</summary>
    internal void SynchronizeClock()
    {
        if (Clock is not null)
        {
            AdvanceClock(Time);
        }
    }

    /// <summary>Takes up when a device next does something by itself.</summary>
    internal void ScheduleNextEvent()
    {
        if (Clock is not null)
        {
            NextEvent = Clock.NextDeadline ?? ulong.MaxValue;
        }
    }

    /// <summary>Does what the local APIC asks for: INIT first, then the start-up request, and an NMI.</summary>
    internal void TakeRequests()
    {
        if (Apic is null)
        {
            return;
        }

        Apic.NmiBlocked = IsNmiBlocked;
        ApicRequests requests = Apic.Requests;
        if ((requests & ApicRequests.Init) != 0)
        {
            Apic.Take(ApicRequests.Init);
            TakeInit();
        }

        if ((requests & ApicRequests.Startup) != 0)
        {
            Apic.Take(ApicRequests.Startup);
            TakeStartup(Apic.StartupVector);
        }

        Apic.Take(ApicRequests.Smi);
        if ((requests & ApicRequests.Nmi) != 0 && !IsNmiPending)
        {
            Apic.Take(ApicRequests.Nmi);
            RaiseNmi();
        }
    }

    /// <summary>INIT: the bootstrap processor begins at the reset vector, another waits for its start-up request.</summary>
    internal void TakeInit()
    {
        Init();
        IsHalted = false;
        IsNmiBlocked = false;
        Apic?.ResetForInit();
        IsWaitingForStartup = ApicId != 0;
    }

    /// <summary>A start-up request: begins in real-address mode at 4096 times the vector, where it was waited for.</summary>
    internal void TakeStartup(byte vector)
    {
        if (!IsWaitingForStartup)
        {
            return;
        }

        IsWaitingForStartup = false;
        ref SegmentRegister cs = ref state->Segments[SegmentIndex.Cs];
        cs.Selector = (ushort)(vector << 8);
        cs.Base = (ulong)vector << 12;
        state->Rip = 0;
        ContextChanged();
    }

    private void AdvanceClock(ulong now)
    {
        if (now > Clock!.Now)
        {
            Clock.AdvanceTo(now);
        }

        RequestAttention();
    }
}
