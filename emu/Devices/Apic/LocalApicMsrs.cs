namespace Quadwalk.Emulation;

/// <summary>The MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE and those of x2APIC mode (SDM Vol. 3A, table 12-6).</summary>
public sealed partial class LocalApic
{
    /// <summary>IA32_APIC_BASE.</summary>
    public const uint ApicBaseMsr = 0x1b;

    /// <summary>IA32_TSC_DEADLINE.</summary>
    public const uint TscDeadlineMsr = 0x6e0;

    private const uint FirstX2Msr = 0x800, LastX2Msr = 0x8ff;

    // KVM and processors alike let bit 12, which was the delivery status, be anything.
    private const ulong X2CommandReserved = 0xfff3_2000;

    /// <summary>Whether an MSR belongs to the local APIC, so that <see cref="TryReadMsr"/> and <see cref="TryWriteMsr"/> are to be asked.</summary>
    public static bool OwnsMsr(uint number) => number is ApicBaseMsr or TscDeadlineMsr or (>= FirstX2Msr and <= LastX2Msr);

    /// <summary>RDMSR; false is #GP.</summary>
    public bool TryReadMsr(uint number, out ulong value)
    {
        value = 0;
        switch (number)
        {
            case ApicBaseMsr:
                value = apicBase;
                return true;
            case TscDeadlineMsr:
                Advance(clock.Now);
                value = timer.TscDeadline;
                return true;
            case >= FirstX2Msr and <= LastX2Msr when IsX2Apic && IsReadable((int)(number - FirstX2Msr)):
                value = number == FirstX2Msr + ApicRegister.InterruptCommand ? command : ReadRegister((int)(number - FirstX2Msr));
                return true;
            default:
                return false;
        }
    }

    /// <summary>WRMSR; false is #GP.</summary>
    public bool TryWriteMsr(uint number, ulong value)
    {
        switch (number)
        {
            case ApicBaseMsr:
                return TrySetApicBase(value);
            case TscDeadlineMsr:
                timer.SetTscDeadline(value);
                Advance(clock.Now);
                return true;
            case >= FirstX2Msr and <= LastX2Msr when IsX2Apic:
                return TryWriteX2((int)(number - FirstX2Msr), value);
            default:
                return false;
        }
    }

    private static bool IsReadable(int register) => IsWritable(register)
        ? register is not (ApicRegister.Eoi or ApicRegister.SelfIpi)
        : register is ApicRegister.LogicalDestination || (IsReadOnly(register) && register != ApicRegister.ArbitrationPriority);

    private static bool IsWritable(int register) => register
        is ApicRegister.TaskPriority or ApicRegister.Eoi or ApicRegister.SpuriousVector or ApicRegister.ErrorStatus or ApicRegister.InterruptCommand
        or (>= ApicRegister.LvtTimer and <= ApicRegister.InitialCount) or ApicRegister.DivideConfiguration or ApicRegister.SelfIpi;

    private static uint ReadOnlyBits(int register) => register switch
    {
        ApicRegister.LvtLint0 or ApicRegister.LvtLint1 => LvtBits.DeliveryStatus | LvtBits.RemoteIrr,
        >= ApicRegister.LvtTimer and <= ApicRegister.LvtError => LvtBits.DeliveryStatus,
        _ => 0,
    };

    private bool TryWriteX2(int register, ulong value)
    {
        switch (register)
        {
            case ApicRegister.InterruptCommand:
                if ((value & X2CommandReserved) != 0)
                {
                    return false;
                }

                command = value & ~(ulong)LvtBits.DeliveryStatus;
                SendCommand();
                return true;
            case ApicRegister.SelfIpi:
                if (value > 0xff)
                {
                    return false;
                }

                SendToSelf((byte)value);
                return true;
            default:
                if (!IsWritable(register) || (value & ~(ulong)(WritableBits(register) | ReadOnlyBits(register))) != 0)
                {
                    return false;
                }

                WriteRegister(register, (uint)value);
                return true;
        }
    }

    private void SendToSelf(byte vector)
    {
        if (vector < FirstLegalVector)
        {
            AddError(ApicErrors.SendIllegalVector);
        }
        else
        {
            AcceptVector(vector, isLevel: false);
        }
    }
}
