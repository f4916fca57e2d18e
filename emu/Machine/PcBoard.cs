using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// The devices of <c>--machine pc</c>, where QEMU's <c>pc</c> has them: local APICs at 0xfee00000, I/O APIC at 0xfec00000, 8259 pair, 8254,
/// clock and CMOS, ACPI timer at port 0x608, fw_cfg at 0x510, UART at 0x3f8 with IRQ 4, keyboard controller and reset ports, and the test
/// device's ports 0xe0, 0xe4, 0x2000 and its memory at 0xff000000.
/// </summary>
public sealed class PcBoard
{
    private const ushort Pic1 = 0x20, Pic2 = 0xA0, PicTriggers = 0x4D0, Timer = 0x40, SpeakerPort = 0x61, KeyboardData = 0x60, KeyboardStatus = 0x64;
    private const ushort Rtc = 0x70, FastReset = 0x92, ResetControl = 0xCF8, TestEcho = 0xE0, TestFlush = 0xE4, PmTimer = 0x608;
    private const int TimerLine = 0, UartLine = 4, RtcLine = 8;
    private const ulong LocalApicAddress = 0xFEE0_0000, IoApicAddress = 0xFEC0_0000;

    private readonly LocalApicPage page;
    private readonly MmioBus mmio;
    private Gpa pageAddress = new(LocalApicAddress);

    internal PcBoard(Machine machine, Action reset)
    {
        Firmware = new FirmwareConfig(machine.Options.RamBytes, machine.Cpus.Count);
        page = new LocalApicPage(Bus);
        mmio = machine.Mmio;
        foreach (Vcpu cpu in machine.Cpus)
        {
            LocalApic apic = new((int)cpu.ApicId, Bus, Clock, machine.Options.Features.PhysicalAddressBits);
            Clock.Attach(apic);
            cpu.Apic = apic;
            cpu.Clock = Clock;
            apic.Changed = cpu.RequestAttention;
            apic.BaseChanged = PlacePage;
        }

        Pic = new Pic8259(new InterruptLine(Bus.LocalApics[0], LocalApic.Lint0));
        IoApic = new IoApic(Bus);
        PcInterruptLines lines = new(Pic, IoApic);
        Pit = new Pit8254(Clock, lines[TimerLine]);
        RealTimeClock = new CmosRtc(
            Clock, lines[RtcLine], CmosRtc.DefaultStart, Math.Min(machine.Options.RamBytes, PhysicalLayout.DeviceHole),
            machine.Options.RamBytes - Math.Min(machine.Options.RamBytes, PhysicalLayout.DeviceHole), machine.Cpus.Count);
        TestDevice = new PcTestDevice(lines);
        Clock.Attach(Pit);
        Clock.Attach(RealTimeClock);
        foreach (Vcpu cpu in machine.Cpus)
        {
            cpu.Interrupts = new ProcessorInterrupts(cpu.Apic!, Pic);
            cpu.HasCompany = true;
            cpu.IsWaitingForStartup = cpu.ApicId != 0;
            cpu.ScheduleNextEvent();
        }

        machine.Uart.InterruptChanged = level => lines.SetLine(UartLine, level);
        AttachPorts(machine.Ports, reset);
        machine.Mmio.Attach(new Gpa(LocalApicAddress), page);
        machine.Mmio.Attach(new Gpa(IoApicAddress), IoApic);
        machine.Mmio.Attach(new Gpa(PcTestDevice.MemoryAddress), TestDevice.Memory);
    }

    /// <summary>The machine's time.</summary>
    public MachineClock Clock { get; } = new();

    /// <summary>What the APICs send messages over; it knows the local APICs.</summary>
    public ApicBus Bus { get; } = new();

    /// <summary>The 8259 pair.</summary>
    public Pic8259 Pic { get; }

    /// <summary>The I/O APIC.</summary>
    public IoApic IoApic { get; }

    /// <summary>The interval timer.</summary>
    public Pit8254 Pit { get; }

    /// <summary>The clock with its memory.</summary>
    public CmosRtc RealTimeClock { get; }

    /// <summary>QEMU's firmware configuration device.</summary>
    public FirmwareConfig Firmware { get; }

    /// <summary>The device that tests talk to.</summary>
    public PcTestDevice TestDevice { get; }

    /// <summary>Selects whose local APIC the page shows.</summary>
    internal void Select(Vcpu cpu)
    {
        page.Current = (int)cpu.ApicId;
        PlacePage();
    }

    /// <summary>Puts the page where IA32_APIC_BASE of the running processor says. RAM comes before it, as before every device.</summary>
    private void PlacePage()
    {
        Gpa wanted = Bus.LocalApics[page.Current].PageAddress;
        if (wanted != pageAddress)
        {
            mmio.Move(page, wanted);
            pageAddress = wanted;
        }
    }

    private void AttachPorts(PortBus ports, Action reset)
    {
        KeyboardController keyboard = new(reset);
        ports.Attach(Pic1, Pic.MasterPorts);
        ports.Attach(Pic2, Pic.SlavePorts);
        ports.Attach(PicTriggers, Pic.TriggerPorts);
        ports.Attach(Timer, Pit);
        ports.Attach(SpeakerPort, new SystemControlPortB(Pit, Clock));
        ports.Attach(KeyboardData, keyboard.Data);
        ports.Attach(KeyboardStatus, keyboard);
        ports.Attach(Rtc, RealTimeClock);
        ports.Attach(FastReset, new SystemControlPortA(reset));
        ports.Attach(ResetControl, new ResetControlPort(reset));
        ports.Attach(TestEcho, TestDevice.EchoPorts);
        ports.Attach(TestFlush, TestDevice.FlushPorts);
        ports.Attach(PcTestDevice.InterruptPort, TestDevice.InterruptPorts);
        ports.Attach(PmTimer, new AcpiPmTimer(Clock));
        ports.Attach(FirmwareConfig.Port, Firmware);
    }
}
