namespace Quadwalk.Emulation;

/// <summary>
/// The local APIC of a processor: an xAPIC with the page of registers, or an x2APIC with MSRs (SDM Vol. 3A, chapter 12).
/// </summary>
/// <remarks>
/// <para>
/// Messages arrive at once, so the delivery status is always idle. The APIC ID is the processor's index, and the guest cannot
/// write it. There is no focus processor, no remote read and no CMCI entry; EOI broadcasts can be suppressed.
/// </para>
/// <para>
/// The bootstrap processor starts with LINT0 as the virtual wire of the 8259 pair, ExtINT and unmasked, as firmware leaves it.
/// Re-enabling a disabled APIC gives the architectural reset state, with every entry masked.
/// </para>
/// </remarks>
public sealed partial class LocalApic : IMmioDevice, IInterruptInput, ITimedDevice
{
    /// <summary>The inputs of <see cref="SetLine"/>: LINT0, the 8259 pair's output, and LINT1, NMI.</summary>
    public const int Lint0 = 0, Lint1 = 1;

    internal const ulong PageBytes = 4096;

    private const uint SoftwareEnable = 1 << 8, SuppressEoiBroadcast = 1 << 12;
    private const int LvtEntries = 6, FirstLegalVector = 16;

    private readonly ApicBus bus;
    private readonly MachineClock clock;
    private readonly ApicTimer timer = new();
    private readonly uint[] lvt = new uint[LvtEntries];
    private readonly int physicalAddressBits;
    private VectorSet irr;
    private VectorSet isr;
    private VectorSet tmr;
    private ulong apicBase;
    private uint taskPriority;
    private uint logicalDestination;
    private uint destinationFormat;
    private uint spurious;
    private uint errorStatus;
    private uint errors;
    private ulong command;
    private bool lint0Level;
    private bool lint1Level;
    private bool externalMessage;
    private int nmis;

    /// <summary>Makes the local APIC of a processor and attaches it to <paramref name="bus"/>; processor 0 is the bootstrap processor.</summary>
    /// <param name="vcpuIndex">The processor's index, which is the APIC ID; local APICs are made in order, from 0.</param>
    /// <param name="bus">What it sends messages over.</param>
    /// <param name="clock">The time; the caller attaches the APIC to it.</param>
    /// <param name="physicalAddressBits">MAXPHYADDR, the width of the page's address.</param>
    /// <exception cref="ArgumentException">It is not this processor's turn.</exception>
    public LocalApic(int vcpuIndex, ApicBus bus, MachineClock clock, int physicalAddressBits)
    {
        ArgumentNullException.ThrowIfNull(bus);
        ArgumentNullException.ThrowIfNull(clock);
        ArgumentOutOfRangeException.ThrowIfLessThan(physicalAddressBits, 32);
        VcpuIndex = vcpuIndex;
        this.bus = bus;
        this.clock = clock;
        this.physicalAddressBits = physicalAddressBits;
        bus.Attach(this);
        Reset();
    }

    /// <summary>The index of the processor.</summary>
    public int VcpuIndex { get; }

    /// <summary>The APIC ID: 8 bits of the index, or all in x2APIC mode.</summary>
    public uint Id => IsX2Apic ? (uint)VcpuIndex : (byte)VcpuIndex;

    /// <summary>Whether the APIC is enabled in software, by the spurious-interrupt vector register, and in hardware.</summary>
    public bool IsSoftwareEnabled => IsEnabled && (spurious & SoftwareEnable) != 0;

    /// <summary>
    /// Called when there may be something new for the processor: an interrupt that can be delivered, or a request. It may be called
    /// while another processor, or a device, executes.
    /// </summary>
    public Action? Changed { get; set; }

    /// <summary>The processor priority register: what an interrupt's class must exceed.</summary>
    public byte ProcessorPriority
    {
        get
        {
            uint inService = (uint)Math.Max(isr.Highest, 0) & 0xf0;
            return (byte)((taskPriority & 0xf0) >= inService ? taskPriority : inService);
        }
    }

    /// <summary>CR8: the class of the task priority register, 0 to 15. It works whether or not the APIC is enabled.</summary>
    public byte TaskPriorityClass
    {
        get => (byte)(taskPriority >> 4);
        set
        {
            taskPriority = (uint)(value & 15) << 4;
            Changed?.Invoke();
        }
    }

    /// <summary>
    /// Whether INTR is asserted on behalf of the 8259 pair: take the vector from <see cref="Pic8259.AcknowledgeInterrupt"/> after
    /// <see cref="AcknowledgeExternal"/>.
    /// </summary>
    public bool HasExternalInterrupt => externalMessage || (lint0Level && (!IsEnabled || (Entry(ApicRegister.LvtLint0) & (LvtBits.Masked | LvtBits.Mode)) == LvtBits.Mode));

    /// <summary>What the guest's time-stamp counter is ahead of the clock, modulo 2^64; TSC deadlines are meant on that counter.</summary>
    public ulong TscOffset
    {
        get => timer.TscOffset;
        set => timer.TscOffset = value;
    }

    /// <summary>When the timer interrupts; null while it is masked, when only the guest's own looking at it matters.</summary>
    public ulong? NextDeadline => (Entry(ApicRegister.LvtTimer) & LvtBits.Masked) != 0 ? null : timer.Deadline(clock.Now);

    /// <summary>Whether an interrupt is pending whose class exceeds the processor priority, and which; RFLAGS.IF is not looked at.</summary>
    public bool HasPending(out byte vector)
    {
        int highest = IsEnabled ? irr.Highest : -1;
        vector = (byte)Math.Max(highest, 0);
        return highest >= 0 && (highest & 0xf0) > (ProcessorPriority & 0xf0);
    }

    /// <summary>
    /// The processor takes the interrupt that <see cref="HasPending"/> names, which is in service from now on. When none can be
    /// delivered any more, this gives the spurious vector, and nothing is in service.
    /// </summary>
    public byte AcknowledgeInterrupt()
    {
        if (!HasPending(out byte vector))
        {
            return (byte)spurious;
        }

        irr.Remove(vector);
        isr.Add(vector);
        return vector;
    }

    /// <summary>The processor takes an interrupt of the 8259 pair.</summary>
    public void AcknowledgeExternal() => externalMessage = false;

    /// <inheritdoc/>
    public void Advance(ulong now)
    {
        if (timer.Advance(now))
        {
            DeliverLocal(ApicRegister.LvtTimer);
        }
    }

    /// <inheritdoc/>
    public void SetLine(int line, bool level)
    {
        bool rises;
        switch (line)
        {
            case Lint0:
                rises = level && !lint0Level;
                lint0Level = level;
                break;
            case Lint1:
                rises = level && !lint1Level;
                lint1Level = level;
                break;
            default:
                return;
        }

        if (!rises)
        {
            return;
        }

        if (IsEnabled)
        {
            DeliverPin(ApicRegister.LvtLint0 + line, isEdge: true);
        }
        else if (line == Lint1)
        {
            AddNmi();
        }

        Changed?.Invoke();
    }

    /// <summary>A performance counter overflowed: delivers its entry of the local vector table, which is masked after that.</summary>
    public void PerformanceOverflow()
    {
        DeliverLocal(ApicRegister.LvtPerformance);
        Entry(ApicRegister.LvtPerformance) |= LvtBits.Masked;
    }

    /// <summary>A message arrives; false when this APIC does not take it.</summary>
    internal bool Accept(in InterruptMessage message)
    {
        if (!IsEnabled)
        {
            return false;
        }

        switch (message.Mode)
        {
            case DeliveryMode.Fixed or DeliveryMode.LowestPriority:
                return AcceptVector(message.Vector, message.IsLevel);
            case DeliveryMode.ExtInt:
                externalMessage = true;
                Changed?.Invoke();
                return true;
            case DeliveryMode.Reserved:
                return false;
            default:
                AddRequest(message.Mode, message.Vector);
                return true;
        }
    }

    /// <summary>Whether a logical destination means this APIC (SDM Vol. 3A, 12.6.2.2 and 12.12.10.2).</summary>
    internal bool MatchesLogical(uint destination)
    {
        if (IsX2Apic)
        {
            uint own = X2LogicalDestination;
            return destination >> 16 == own >> 16 && (destination & own & 0xffff) != 0;
        }

        uint logical = logicalDestination >> 24;
        return (destinationFormat >> 28) switch
        {
            0xf => (destination & logical) != 0,
            0 => (destination >> 4 == logical >> 4 || destination >> 4 == 0xf) && (destination & logical & 0xf) != 0,
            _ => false,
        };
    }

    private ref uint Entry(int register) => ref lvt[register - ApicRegister.LvtTimer];

    private bool AcceptVector(byte vector, bool isLevel)
    {
        if (!IsSoftwareEnabled)
        {
            return false;
        }

        if (vector < FirstLegalVector)
        {
            AddError(ApicErrors.ReceiveIllegalVector);
            return false;
        }

        irr.Add(vector);
        tmr.Set(vector, isLevel);
        Changed?.Invoke();
        return true;
    }

    /// <summary>Delivers an entry of the local vector table that has no pin.</summary>
    private void DeliverLocal(int register)
    {
        uint entry = Entry(register);
        if ((entry & LvtBits.Masked) != 0)
        {
            return;
        }

        bool hasMode = register is ApicRegister.LvtThermal or ApicRegister.LvtPerformance;
        DeliveryMode mode = hasMode ? (DeliveryMode)((entry & LvtBits.Mode) >> LvtBits.ModeShift) : DeliveryMode.Fixed;
        if (mode == DeliveryMode.Fixed)
        {
            AcceptVector((byte)entry, isLevel: false);
        }
        else
        {
            AddRequest(mode, 0);
        }
    }

    /// <summary>Delivers LINT0 or LINT1, whose pin rises or is asserted.</summary>
    private void DeliverPin(int register, bool isEdge)
    {
        ref uint entry = ref Entry(register);
        var mode = (DeliveryMode)((entry & LvtBits.Mode) >> LvtBits.ModeShift);
        bool isLevel = mode == DeliveryMode.Fixed && (entry & LvtBits.LevelTriggered) != 0;
        if ((entry & LvtBits.Masked) != 0 || (isLevel ? (entry & LvtBits.RemoteIrr) != 0 : !isEdge))
        {
            return;
        }

        if (mode != DeliveryMode.Fixed)
        {
            AddRequest(mode, 0);
        }
        else if (AcceptVector((byte)entry, isLevel) && isLevel)
        {
            entry |= LvtBits.RemoteIrr;
        }
    }

    private void EndOfInterrupt()
    {
        int vector = isr.Highest;
        if (vector < 0)
        {
            return;
        }

        isr.Remove(vector);
        if (tmr.Contains(vector))
        {
            EndPin(ApicRegister.LvtLint0, vector, lint0Level);
            EndPin(ApicRegister.LvtLint1, vector, lint1Level);
            if ((spurious & SuppressEoiBroadcast) == 0)
            {
                bus.EndOfInterrupt((byte)vector);
            }
        }

        Changed?.Invoke();
    }

    private void EndPin(int register, int vector, bool level)
    {
        ref uint entry = ref Entry(register);
        if ((entry & LvtBits.RemoteIrr) != 0 && (entry & LvtBits.Vector) == vector)
        {
            entry &= ~LvtBits.RemoteIrr;
            if (level)
            {
                DeliverPin(register, isEdge: false);
            }
        }
    }

    private void AddError(uint error)
    {
        if ((errors & error) == 0)
        {
            errors |= error;
            DeliverLocal(ApicRegister.LvtError);
        }
    }
}
