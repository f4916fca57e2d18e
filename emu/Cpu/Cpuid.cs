using System.Buffers.Binary;
using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>CPUID (SDM Vol. 2A, "CPUID"): only what this processor has.</summary>
/// <remarks>
/// Feature bits come from <see cref="CpuFeatureTable"/>, sizes of state from <see cref="StateComponents"/>. A leaf beyond the last basic one
/// answers as the last basic one does.
/// </remarks>
/// <param name="features">What is claimed.</param>
/// <param name="cr4">CR4, whose OSXSAVE and PKE are mirrored.</param>
/// <param name="xcr0">XCR0.</param>
/// <param name="xss">IA32_XSS.</param>
/// <param name="apicId">The processor's APIC ID.</param>
/// <param name="processors">Processors in the machine, one thread a core, in one package.</param>
internal readonly ref struct Cpuid(CpuFeatures features, ulong cr4, ulong xcr0, ulong xss, uint apicId = 0, int processors = 1)
{
    /// <summary>Family, model and stepping: leaf 1 EAX, and EDX after reset.</summary>
    public const uint Signature = 0x0006_0FB1;

    private const uint LastBasic = 0x1F;
    private const uint LastExtended = 0x8000_0008;
    private const uint Hypervisor = 0x4000_0000;
    private const uint LineBytes = 64;
    private const uint CrystalHertz = 25_000_000;

    /// <summary>The nominal rate of the clock, which counts retired instructions, over that of the crystal.</summary>
    private const uint ClockRatio = 40;

    private static ReadOnlySpan<byte> Vendor => "QuadwalkEmu!"u8;

    private static ReadOnlySpan<byte> HypervisorVendor => "QuadwalkEmu!"u8;

    private static ReadOnlySpan<byte> Brand => "Quadwalk x86-64 processor\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"u8;

    /// <summary>What EAX and ECX ask for.</summary>
    public CpuidLeaf Of(uint leaf, uint subleaf = 0) => leaf switch
    {
        0 => new(LastBasic, Word(Vendor, 0), Word(Vendor, 8), Word(Vendor, 4)),
        1 => Identity(),
        2 => new(0x0000_FF01, 0, 0, 0),
        4 => Cache(subleaf),
        5 => features.Has(CpuFeature.Monitor) ? new(LineBytes, LineBytes, 3, 0x10) : default,
        6 => new(features.Has(CpuFeature.Apic) ? 1u << 2 : 0, 0, 0, 0),
        7 => Structured(subleaf),
        0xB or 0x1F => Topology(subleaf),
        0xD => features.Has(CpuFeature.Xsave) ? ExtendedState(subleaf) : default,
        0x15 => new(1, ClockRatio, CrystalHertz, 0),
        0x16 => new(CrystalHertz / 1_000_000 * ClockRatio, CrystalHertz / 1_000_000 * ClockRatio, 100, 0),
        <= LastBasic => default,
        Hypervisor when features.Has(CpuFeature.Hypervisor) =>
            new(Hypervisor, Word(HypervisorVendor, 0), Word(HypervisorVendor, 4), Word(HypervisorVendor, 8)),
        0x8000_0000 => new(LastExtended, 0, 0, 0),
        0x8000_0001 or 0x8000_0007 => Claims(leaf, 0),
        >= 0x8000_0002 and <= 0x8000_0004 => BrandPart((int)(leaf - 0x8000_0002) * 16),
        0x8000_0006 => new(0, 0, (1024 << 16) | (8 << 12) | LineBytes, 0),
        0x8000_0008 => Claims(leaf, 0) with { Eax = features.PhysicalAddressBits | ((uint)features.LinearAddressBits << 8) },
        > 0x8000_0000 and < LastExtended => default,
        _ => Of(LastBasic, subleaf),
    };

    private CpuidLeaf Identity()
    {
        CpuidLeaf leaf = Claims(1, 0);
        return leaf with
        {
            Eax = Signature,
            Ebx = ((LineBytes / 8) << 8) | ((uint)Math.Min(processors, 255) << 16) | (apicId << 24),
            Ecx = leaf.Ecx | ((cr4 & Cr4.OSXSAVE) != 0 ? 1u << 27 : 0),
            Edx = leaf.Edx | (processors > 1 ? 1u << 28 : 0),
        };
    }

    /// <summary>32 KiB of L1 for data and for instructions, 1 MiB of L2 a core, 16 MiB of L3 for all.</summary>
    private CpuidLeaf Cache(uint subleaf) => subleaf switch
    {
        0 => Cache(type: 1, level: 1, ways: 8, sets: 64, sharing: 1),
        1 => Cache(type: 2, level: 1, ways: 8, sets: 64, sharing: 1),
        2 => Cache(type: 3, level: 2, ways: 16, sets: 1024, sharing: 1),
        3 => Cache(type: 3, level: 3, ways: 16, sets: 16384, sharing: processors),
        _ => default,
    };

    private CpuidLeaf Cache(uint type, uint level, uint ways, uint sets, int sharing)
    {
        uint sharers = IdsFor(Math.Min(sharing, 4096)) - 1, cores = Math.Min(IdsFor(processors), 64) - 1;
        return new(type | (level << 5) | (1 << 8) | (sharers << 14) | (cores << 26), (LineBytes - 1) | ((ways - 1) << 22), sets - 1, 0);
    }

    private CpuidLeaf Structured(uint subleaf)
    {
        CpuidLeaf leaf = Claims(7, subleaf);
        return subleaf == 0 ? leaf with { Eax = 1, Ecx = leaf.Ecx | ((cr4 & Cr4.PKE) != 0 ? 1u << 4 : 0) } : leaf;
    }

    private CpuidLeaf Topology(uint subleaf) => subleaf switch
    {
        0 => new(0, 1, 1 << 8, apicId),
        1 => new((uint)BitOperations.Log2(IdsFor(processors)), (uint)processors, (2 << 8) | 1, apicId),
        _ => new(0, 0, subleaf & 0xFF, apicId),
    };

    private CpuidLeaf ExtendedState(uint subleaf)
    {
        ulong supported = StateComponents.Supported(features);
        switch (subleaf)
        {
            case 0:
                return new((uint)supported, (uint)StateComponents.StandardSize(xcr0), (uint)StateComponents.StandardSize(supported), (uint)(supported >> 32));
            case 1:
                bool compacts = features.Has(CpuFeature.Xsavec) || features.Has(CpuFeature.Xsaves);
                return Claims(0xD, 1) with { Ebx = compacts ? (uint)StateComponents.CompactedSize(xcr0 | xss) : 0 };
            case < 63 when (supported >> (int)subleaf & 1) != 0 && StateComponents.TryGet((int)subleaf, out StateComponent component):
                return new((uint)component.Size, (uint)component.Offset, component.Aligned ? 2u : 0, 0);
            default:
                return default;
        }
    }

    /// <summary>The feature bits of a leaf.</summary>
    private CpuidLeaf Claims(uint leaf, uint subleaf)
    {
        Span<uint> words = [0, 0, 0, 0];
        IReadOnlyList<CpuFeatureRow> rows = CpuFeatureTable.Rows;
        for (int i = 0; i < rows.Count; i++)
        {
            CpuFeatureRow row = rows[i];
            words[(int)row.Register] |= row.Leaf == leaf && row.Subleaf == subleaf && features.Has(row.Feature) ? 1u << row.Bit : 0;
        }

        return new(words[0], words[1], words[2], words[3]);
    }

    private static uint IdsFor(int count) => BitOperations.RoundUpToPowerOf2((uint)count);

    private static CpuidLeaf BrandPart(int at) => new(Word(Brand, at), Word(Brand, at + 4), Word(Brand, at + 8), Word(Brand, at + 12));

    private static uint Word(ReadOnlySpan<byte> text, int at) => BinaryPrimitives.ReadUInt32LittleEndian(text[at..]);
}
