namespace Quadwalk.Emulation;

/// <summary>
/// The state in which a multiboot image starts (Multiboot Specification 0.6.96, 3.2): protected mode without paging, flat segments of
/// 4 GiB, interrupts off. Other registers are as after reset, but for the MTRRs, which firmware has set; there is no GDT, IDT or stack to rely on.
/// </summary>
/// <param name="Eip">The first instruction.</param>
/// <param name="Ebx">Where the multiboot information is.</param>
public sealed record MultibootEntry(uint Eip, uint Ebx)
{
    private const uint Flat = DescriptorBits.Present | DescriptorBits.CodeOrData | DescriptorBits.Accessed | DescriptorBits.WritableOrReadable
        | DescriptorBits.Default32 | DescriptorBits.Granularity;

    /// <summary>What EAX holds, by which an image knows its loader.</summary>
    public static uint Eax => 0x2bad_b002;

    /// <summary>CR0: PE and ET.</summary>
    public static ulong Cr0 => Emulation.Cr0.PE | Emulation.Cr0.ET;

    /// <summary>RFLAGS: nothing but the fixed bit.</summary>
    public static ulong Rflags => Emulation.Rflags.Fixed;

    /// <summary>CS: readable code, selector 8.</summary>
    public static SegmentRegister Code => new() { Selector = 0x08, Limit = uint.MaxValue, Attributes = Flat | DescriptorBits.Code };

    /// <summary>DS, ES, FS, GS and SS: writable data, selector 0x10.</summary>
    public static SegmentRegister Data => new() { Selector = 0x10, Limit = uint.MaxValue, Attributes = Flat };
}
