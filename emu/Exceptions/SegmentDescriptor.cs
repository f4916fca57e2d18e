namespace Quadwalk.Emulation;

/// <summary>An 8-byte segment descriptor, or the lower half of a 16-byte system descriptor (SDM Vol. 3A, figure 3-8).</summary>
internal readonly struct SegmentDescriptor(ulong raw, ulong address)
{
    /// <summary>The type of a 16-bit TSS that is not in use.</summary>
    public const int AvailableTss16 = 1;

    /// <summary>The type of an LDT.</summary>
    public const int Ldt = 2;

    /// <summary>The type of the 16-bit TSS in use.</summary>
    public const int BusyTss16 = 3;

    /// <summary>The type of a 16-bit call gate.</summary>
    public const int CallGate16 = 4;

    /// <summary>The type of a task gate.</summary>
    public const int TaskGate = 5;

    /// <summary>The type of a 32- or 64-bit TSS that is not in use.</summary>
    public const int AvailableTss = 9;

    /// <summary>The type of the TSS in use.</summary>
    public const int BusyTss = 11;

    /// <summary>The type of a 32- or 64-bit call gate.</summary>
    public const int CallGate = 12;

    /// <summary>The eight bytes: those of a gate mean something else.</summary>
    public ulong Raw => raw;

    private uint High => (uint)(raw >> 32);

    /// <summary>Where it stands.</summary>
    public ulong Address => address;

    /// <summary>The 32 bits of base that it has room for.</summary>
    public uint Base => (uint)((raw >> 16) & 0xFFFFFF) | (High & 0xFF00_0000);

    /// <summary>The limit in bytes.</summary>
    public uint Limit
    {
        get
        {
            uint limit = (uint)(raw & 0xFFFF) | (High & 0xF_0000);
            return (High & DescriptorBits.Granularity) != 0 ? (limit << 12) | 0xFFF : limit;
        }
    }

    /// <summary>As <see cref="SegmentRegister.Attributes"/> keeps them.</summary>
    public uint Attributes => High & DescriptorBits.Kept;

    /// <summary>DPL.</summary>
    public int Dpl => (int)(High >> DescriptorBits.DplShift) & 3;

    /// <summary>P.</summary>
    public bool IsPresent => (High & DescriptorBits.Present) != 0;

    /// <summary>Code or data rather than a system descriptor.</summary>
    public bool IsCodeOrData => (High & DescriptorBits.CodeOrData) != 0;

    /// <summary>The type of a system descriptor.</summary>
    public int SystemType => (int)(High >> 8) & 15;

    /// <summary>A code segment.</summary>
    public bool IsCode => (High & (DescriptorBits.CodeOrData | DescriptorBits.Code)) == (DescriptorBits.CodeOrData | DescriptorBits.Code);

    /// <summary>A conforming code segment.</summary>
    public bool IsConformingCode => IsCode && (High & DescriptorBits.ConformingOrExpandDown) != 0;

    /// <summary>A data segment that can be written.</summary>
    public bool IsWritableData =>
        (High & (DescriptorBits.CodeOrData | DescriptorBits.Code | DescriptorBits.WritableOrReadable))
        == (DescriptorBits.CodeOrData | DescriptorBits.WritableOrReadable);

    /// <summary>A data segment, or code that can be read.</summary>
    public bool IsReadable => IsCodeOrData && (High & (DescriptorBits.Code | DescriptorBits.WritableOrReadable)) != DescriptorBits.Code;

    /// <summary>L = 1 and D = 0.</summary>
    public bool Is64Bit => (High & (DescriptorBits.Code64 | DescriptorBits.Default32)) == DescriptorBits.Code64;

    /// <summary>L = 1 and D = 1, which is reserved.</summary>
    public bool IsReservedWidth =>
        (High & (DescriptorBits.Code64 | DescriptorBits.Default32)) == (DescriptorBits.Code64 | DescriptorBits.Default32);

    /// <summary>The hidden part and the selector, as a segment register holds them.</summary>
    public SegmentRegister ToRegister(ushort selector) => new()
    {
        Base = Base,
        Limit = Limit,
        Attributes = Attributes,
        Selector = selector,
    };
}
