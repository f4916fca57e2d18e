using System.Buffers.Binary;

namespace Quadwalk.Emulation;

/// <summary>The registers, which the page and the MSRs share, and the page (SDM Vol. 3A, 12.4.1).</summary>
public sealed partial class LocalApic
{
    internal const int RegisterWidth = 4;

    // Version 0x14, entries 0 to 5 of the local vector table, EOI broadcasts can be suppressed.
    private const uint VersionValue = 1 << 24 | (LvtEntries - 1) << 16 | 0x14;
    private const uint CommandLowMask = 0x000c_cfff;
    private const uint InitDeassertMask = 3 << 14, LevelTrigger = 1 << 15;

    /// <inheritdoc/>
    public ulong Size => PageBytes;

    /// <inheritdoc/>
    public int MaximumAccessWidth => RegisterWidth;

    private uint X2LogicalDestination => (uint)VcpuIndex >> 4 << 16 | 1u << (VcpuIndex & 15);

    /// <summary>Reads the page: a register's bytes, and zeros between registers. All ones where there is no page.</summary>
    public void Read(ulong offset, Span<byte> destination)
    {
        if (!IsEnabled || IsX2Apic)
        {
            destination.Fill(0xff);
            return;
        }

        Span<byte> slot = stackalloc byte[16 + RegisterWidth];
        slot.Clear();
        int within = (int)offset & 15;
        if (within < RegisterWidth)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(slot, ReadRegister((int)(offset >> 4)));
        }

        slot.Slice(within, destination.Length).CopyTo(destination);
    }

    /// <summary>Writes a register with an aligned access of 32 bits; any other is ignored.</summary>
    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        if (IsEnabled && !IsX2Apic && source.Length == RegisterWidth && (offset & 15) == 0)
        {
            WriteRegister((int)(offset >> 4), BinaryPrimitives.ReadUInt32LittleEndian(source));
        }
    }

    private uint ReadRegister(int register)
    {
        switch (register)
        {
            case ApicRegister.Id:
                return IsX2Apic ? Id : Id << 24;
            case ApicRegister.Version:
                return VersionValue;
            case ApicRegister.TaskPriority:
                return taskPriority;
            case ApicRegister.ArbitrationPriority:
                return ArbitrationPriority();
            case ApicRegister.ProcessorPriority:
                return ProcessorPriority;
            case ApicRegister.Eoi:
                return 0;
            case ApicRegister.LogicalDestination:
                return IsX2Apic ? X2LogicalDestination : logicalDestination;
            case ApicRegister.DestinationFormat:
                return destinationFormat;
            case ApicRegister.SpuriousVector:
                return spurious;
            case >= ApicRegister.InService and < ApicRegister.TriggerMode:
                return isr.Register(register - ApicRegister.InService);
            case >= ApicRegister.TriggerMode and < ApicRegister.InterruptRequest:
                return tmr.Register(register - ApicRegister.TriggerMode);
            case >= ApicRegister.InterruptRequest and < ApicRegister.ErrorStatus:
                return irr.Register(register - ApicRegister.InterruptRequest);
            case ApicRegister.ErrorStatus:
                return errorStatus;
            case ApicRegister.InterruptCommand:
                return (uint)command;
            case ApicRegister.InterruptCommandHigh:
                return (uint)(command >> 32);
            case >= ApicRegister.LvtTimer and <= ApicRegister.LvtError:
                return Entry(register);
            case ApicRegister.InitialCount:
                return timer.InitialCount;
            case ApicRegister.CurrentCount:
                Advance(clock.Now);
                return timer.CurrentCount(clock.Now);
            case ApicRegister.DivideConfiguration:
                return timer.DivideConfiguration;
            default:
                AddError(ApicErrors.IllegalRegister);
                return 0;
        }
    }

    private void WriteRegister(int register, uint value)
    {
        switch (register)
        {
            case ApicRegister.TaskPriority:
                taskPriority = (byte)value;
                Changed?.Invoke();
                break;
            case ApicRegister.Eoi:
                EndOfInterrupt();
                break;
            case ApicRegister.LogicalDestination:
                logicalDestination = value & 0xff00_0000;
                break;
            case ApicRegister.DestinationFormat:
                destinationFormat = value | 0x0fff_ffff;
                break;
            case ApicRegister.SpuriousVector:
                WriteSpurious(value);
                break;
            case ApicRegister.ErrorStatus:
                errorStatus = errors;
                errors = 0;
                break;
            case ApicRegister.InterruptCommand:
                command = (command & 0xffff_ffff_0000_0000) | (value & CommandLowMask);
                SendCommand();
                break;
            case ApicRegister.InterruptCommandHigh:
                command = (uint)command | (ulong)(value & 0xff00_0000) << 32;
                break;
            case >= ApicRegister.LvtTimer and <= ApicRegister.LvtError:
                WriteEntry(register, value);
                break;
            case ApicRegister.InitialCount:
                Advance(clock.Now);
                timer.Start(value, clock.Now);
                break;
            case ApicRegister.DivideConfiguration:
                Advance(clock.Now);
                timer.SetDivide(value & WritableBits(register), clock.Now);
                break;
            default:
                if (!IsReadOnly(register))
                {
                    AddError(ApicErrors.IllegalRegister);
                }

                break;
        }
    }

    private static bool IsReadOnly(int register) => register
        is ApicRegister.Id or ApicRegister.Version or ApicRegister.ArbitrationPriority or ApicRegister.ProcessorPriority or ApicRegister.CurrentCount
        or (>= ApicRegister.InService and < ApicRegister.ErrorStatus);

    /// <summary>The bits of a register that are not reserved, apart from the read-only ones of the local vector table.</summary>
    private static uint WritableBits(int register) => register switch
    {
        ApicRegister.TaskPriority => 0xff,
        ApicRegister.SpuriousVector => SuppressEoiBroadcast | 0x3ff,
        ApicRegister.LvtTimer => LvtBits.Vector | LvtBits.Masked | LvtBits.TimerMode,
        ApicRegister.LvtThermal or ApicRegister.LvtPerformance => LvtBits.Vector | LvtBits.Mode | LvtBits.Masked,
        ApicRegister.LvtLint0 or ApicRegister.LvtLint1 =>
            LvtBits.Vector | LvtBits.Mode | LvtBits.Polarity | LvtBits.LevelTriggered | LvtBits.Masked,
        ApicRegister.LvtError => LvtBits.Vector | LvtBits.Masked,
        ApicRegister.InitialCount => uint.MaxValue,
        ApicRegister.DivideConfiguration => 0xb,
        _ => 0,
    };

    private void WriteSpurious(uint value)
    {
        spurious = value & WritableBits(ApicRegister.SpuriousVector);
        if ((spurious & SoftwareEnable) == 0)
        {
            foreach (ref uint entry in lvt.AsSpan())
            {
                entry |= LvtBits.Masked;
            }
        }
    }

    private void WriteEntry(int register, uint value)
    {
        Advance(clock.Now);
        ref uint entry = ref Entry(register);
        uint writable = WritableBits(register);
        entry = (value & writable) | ((spurious & SoftwareEnable) == 0 ? LvtBits.Masked : 0) | (entry & LvtBits.RemoteIrr);
        switch (register)
        {
            case ApicRegister.LvtTimer:
                timer.SetMode((int)((value & LvtBits.TimerMode) >> LvtBits.TimerModeShift));
                break;
            case ApicRegister.LvtLint0 or ApicRegister.LvtLint1:
                if ((value & (LvtBits.LevelTriggered | LvtBits.Mode)) != LvtBits.LevelTriggered)
                {
                    entry &= ~LvtBits.RemoteIrr;
                }

                if (register == ApicRegister.LvtLint0 ? lint0Level : lint1Level)
                {
                    DeliverPin(register, isEdge: false);
                    Changed?.Invoke();
                }

                break;
        }
    }

    /// <summary>The arbitration priority register (SDM Vol. 3A, 12.6.2.4).</summary>
    private uint ArbitrationPriority()
    {
        uint request = (uint)Math.Max(irr.Highest, 0) & 0xf0;
        uint service = (uint)Math.Max(isr.Highest, 0) & 0xf0;
        uint task = taskPriority & 0xf0;
        return task >= request && task > service ? taskPriority : Math.Max(task, Math.Max(request, service));
    }

    private void SendCommand()
    {
        uint low = (uint)command;
        var mode = (DeliveryMode)((low >> 8) & 7);
        bool isDeassert = mode == DeliveryMode.Init && (low & InitDeassertMask) == LevelTrigger;
        if (isDeassert || mode is DeliveryMode.Reserved or DeliveryMode.ExtInt)
        {
            return;
        }

        byte vector = (byte)low;
        if (mode is DeliveryMode.Fixed or DeliveryMode.LowestPriority && vector < FirstLegalVector)
        {
            AddError(ApicErrors.SendIllegalVector);
            return;
        }

        uint destination = IsX2Apic ? (uint)(command >> 32) : (uint)(command >> 56);
        var message = new InterruptMessage(destination, mode, vector, IsLogical: (low & 1 << 11) != 0, Is32Bit: IsX2Apic);
        bus.Send(message, (DestinationShorthand)((low >> 18) & 3), this);
    }
}
