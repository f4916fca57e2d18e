namespace Quadwalk.Emulation;

/// <summary>The numbers of the local APIC's registers: offset / 16 in the page, and MSR - 0x800 (SDM Vol. 3A, tables 12-1 and 12-6).</summary>
internal static class ApicRegister
{
    public const int Id = 0x02;
    public const int Version = 0x03;
    public const int TaskPriority = 0x08;
    public const int ArbitrationPriority = 0x09;
    public const int ProcessorPriority = 0x0a;
    public const int Eoi = 0x0b;
    public const int LogicalDestination = 0x0d;
    public const int DestinationFormat = 0x0e;
    public const int SpuriousVector = 0x0f;
    public const int InService = 0x10;
    public const int TriggerMode = 0x18;
    public const int InterruptRequest = 0x20;
    public const int ErrorStatus = 0x28;
    public const int InterruptCommand = 0x30;
    public const int InterruptCommandHigh = 0x31;
    public const int LvtTimer = 0x32;
    public const int LvtThermal = 0x33;
    public const int LvtPerformance = 0x34;
    public const int LvtLint0 = 0x35;
    public const int LvtLint1 = 0x36;
    public const int LvtError = 0x37;
    public const int InitialCount = 0x38;
    public const int CurrentCount = 0x39;
    public const int DivideConfiguration = 0x3e;
    public const int SelfIpi = 0x3f;
}

/// <summary>Bits of the local vector table (SDM Vol. 3A, figure 12-8).</summary>
internal static class LvtBits
{
    public const uint Vector = 0xff;
    public const int ModeShift = 8;
    public const uint Mode = 7 << ModeShift;
    public const uint DeliveryStatus = 1 << 12;
    public const uint Polarity = 1 << 13;
    public const uint RemoteIrr = 1 << 14;
    public const uint LevelTriggered = 1 << 15;
    public const uint Masked = 1 << 16;
    public const int TimerModeShift = 17;
    public const uint TimerMode = 3 << TimerModeShift;
}

/// <summary>Bits of the error status register (SDM Vol. 3A, figure 12-9).</summary>
internal static class ApicErrors
{
    public const uint SendIllegalVector = 1 << 5;
    public const uint ReceiveIllegalVector = 1 << 6;
    public const uint IllegalRegister = 1 << 7;
}
