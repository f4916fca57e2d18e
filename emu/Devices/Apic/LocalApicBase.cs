using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>IA32_APIC_BASE: where the APIC is and in which mode, and its reset states (SDM Vol. 3A, 12.4 and 12.12).</summary>
public sealed partial class LocalApic
{
    private const ulong BootstrapProcessor = 1 << 8, X2Enable = 1 << 10, GlobalEnable = 1 << 11, Modes = X2Enable | GlobalEnable;
    private const ulong DefaultBase = 0xfee0_0000;

    /// <summary>Whether the APIC is enabled in IA32_APIC_BASE; otherwise LINT0 and LINT1 are INTR and NMI.</summary>
    public bool IsEnabled => (apicBase & GlobalEnable) != 0;

    /// <summary>Whether the APIC is in x2APIC mode, where its registers are MSRs and the page is not there.</summary>
    public bool IsX2Apic => (apicBase & Modes) == Modes;

    /// <summary>IA32_APIC_BASE.</summary>
    public ulong ApicBase => apicBase;

    /// <summary>Where the page of registers is.</summary>
    public Gpa PageAddress => new(apicBase & AddressMask);

    /// <summary>Called when <see cref="PageAddress"/> or the mode has changed.</summary>
    public Action? BaseChanged { get; set; }

    private ulong AddressMask => ((1UL << physicalAddressBits) - 1) & ~(PageBytes - 1);

    /// <summary>
    /// WRMSR to IA32_APIC_BASE; false is #GP: a reserved bit, or a transition that figure 12-27 of the SDM does not have.
    /// </summary>
    public bool TrySetApicBase(ulong value)
    {
        if ((value & ~(AddressMask | Modes | BootstrapProcessor)) != 0 || !IsAllowed(apicBase & Modes, value & Modes))
        {
            return false;
        }

        ulong changed = apicBase ^ value;
        if ((changed & GlobalEnable) != 0)
        {
            ResetRegisters();
        }

        apicBase = value;
        if (changed != 0)
        {
            BaseChanged?.Invoke();
            Changed?.Invoke();
        }

        return true;
    }

    /// <summary>Puts the APIC into its state at power-up, with the bootstrap processor's LINT0 as the virtual wire.</summary>
    public void Reset()
    {
        apicBase = DefaultBase | GlobalEnable | (VcpuIndex == 0 ? BootstrapProcessor : 0);
        requests = 0;
        nmis = 0;
        nmiBlocked = false;
        ResetRegisters();
        if (VcpuIndex == 0)
        {
            Entry(ApicRegister.LvtLint0) = (uint)DeliveryMode.ExtInt << LvtBits.ModeShift;
        }

        BaseChanged?.Invoke();
    }

    /// <summary>What INIT does: the registers are reset, while IA32_APIC_BASE and the APIC ID stay.</summary>
    public void ResetForInit() => ResetRegisters();

    private static bool IsAllowed(ulong from, ulong to) => to switch
    {
        X2Enable => false,
        GlobalEnable => from != Modes,
        Modes => from != 0,
        _ => true,
    };

    private void ResetRegisters()
    {
        irr = default;
        isr = default;
        tmr = default;
        taskPriority = 0;
        logicalDestination = 0;
        destinationFormat = uint.MaxValue;
        spurious = 0xff;
        errorStatus = 0;
        errors = 0;
        command = 0;
        externalMessage = false;
        lvt.AsSpan().Fill(LvtBits.Masked);
        timer.Reset();
    }
}
