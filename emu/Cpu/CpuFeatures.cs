using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Quadwalk.Emulation;

/// <summary>The processor model: what CPUID claims, and so which instructions there are.</summary>
public sealed record CpuFeatures
{
    /// <summary>Everything this processor has.</summary>
    private static readonly HashSet<CpuFeature> Everything =
    [
        CpuFeature.Fpu,
        CpuFeature.De, CpuFeature.Pse, CpuFeature.Tsc, CpuFeature.Msr, CpuFeature.Pae, CpuFeature.Cx8, CpuFeature.Pge, CpuFeature.Cmov, CpuFeature.Pat,
        CpuFeature.Pse36, CpuFeature.Clflush, CpuFeature.Mmx, CpuFeature.Fxsr, CpuFeature.Sse, CpuFeature.Sse2, CpuFeature.Sse3, CpuFeature.Ssse3,
        CpuFeature.Sse41, CpuFeature.Sse42, CpuFeature.Popcnt, CpuFeature.Aes, CpuFeature.Pclmulqdq, CpuFeature.Sha, CpuFeature.Avx, CpuFeature.Avx2,
        CpuFeature.Fma, CpuFeature.F16c, CpuFeature.Cx16, CpuFeature.Smep, CpuFeature.Smap,
        CpuFeature.LahfLm, CpuFeature.Syscall, CpuFeature.Nx, CpuFeature.Pdpe1gb, CpuFeature.Rdtscp, CpuFeature.Lm,
        CpuFeature.Bmi1, CpuFeature.Bmi2, CpuFeature.Lzcnt, CpuFeature.Adx, CpuFeature.Movbe, CpuFeature.Prefetchw, CpuFeature.Erms, CpuFeature.Fsrm,
        CpuFeature.Xsave, CpuFeature.Xsaveopt, CpuFeature.Xsavec, CpuFeature.Xsaves, CpuFeature.Xgetbv1,
        CpuFeature.Rdrand, CpuFeature.Rdseed, CpuFeature.Fsgsbase, CpuFeature.Rdpid, CpuFeature.Clflushopt, CpuFeature.Clwb, CpuFeature.Cldemote,
        CpuFeature.Movdiri, CpuFeature.Movdir64b, CpuFeature.Monitor, CpuFeature.Pcid, CpuFeature.Invpcid, CpuFeature.Umip, CpuFeature.Pku,
        CpuFeature.Pks, CpuFeature.La57, CpuFeature.Lam,
        CpuFeature.Sep, CpuFeature.Serialize, CpuFeature.Wbnoinvd, CpuFeature.TscAdjust, CpuFeature.Invtsc, CpuFeature.Mtrr, CpuFeature.Mce, CpuFeature.Mca,
        CpuFeature.Mmx, CpuFeature.Sse3, CpuFeature.Ssse3, CpuFeature.Sse41, CpuFeature.Sse42, CpuFeature.Popcnt,
        CpuFeature.Aes, CpuFeature.Pclmulqdq, CpuFeature.Sha,
    ];

    private static readonly (ulong Bit, CpuFeature Needs)[] Cr4Rows =
    [
        (Cr4.TSD, CpuFeature.Tsc), (Cr4.PVI, CpuFeature.Vme), (Cr4.DE, CpuFeature.De), (Cr4.PSE, CpuFeature.Pse), (Cr4.PAE, CpuFeature.Pae), (Cr4.PGE, CpuFeature.Pge),
        (Cr4.OSFXSR, CpuFeature.Fxsr), (Cr4.OSXMMEXCPT, CpuFeature.Sse), (Cr4.UMIP, CpuFeature.Umip), (Cr4.FSGSBASE, CpuFeature.Fsgsbase), (Cr4.PCIDE, CpuFeature.Pcid),
        (Cr4.OSXSAVE, CpuFeature.Xsave), (Cr4.SMEP, CpuFeature.Smep), (Cr4.SMAP, CpuFeature.Smap), (Cr4.PKE, CpuFeature.Pku),
        (Cr4.LA57, CpuFeature.La57), (Cr4.PKS, CpuFeature.Pks), (Cr4.LAM_SUP, CpuFeature.Lam),
    ];

    private static readonly (ulong Bit, CpuFeature Needs)[] EferRows =
        [(Efer.SCE, CpuFeature.Syscall), (Efer.LME, CpuFeature.Lm), (Efer.LMA, CpuFeature.Lm), (Efer.NXE, CpuFeature.Nx)];

    private const byte LeastPhysicalAddressBits = 36;
    private const byte MostPhysicalAddressBits = 52;
    private const string PhysicalAddressBitsOption = "phys-bits=";

    private InstructionGate? gate;

    /// <summary>Everything this processor can claim.</summary>
    public static IReadOnlySet<CpuFeature> Supported => Everything;

    /// <summary>The model's name and what was added and taken away, as <see cref="Parse"/> reads it.</summary>
    public string Model { get; init; } = CpuModels.Max;

    /// <summary>The features claimed.</summary>
    public IReadOnlySet<CpuFeature> Claimed { get; init; } = Everything;

    /// <summary>MAXPHYADDR: 36 to 52 bits of physical address.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is set to fewer or more.</exception>
    public byte PhysicalAddressBits
    {
        get;
        init => field = value is >= LeastPhysicalAddressBits and <= MostPhysicalAddressBits
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "MAXPHYADDR is 36 to 52.");
    } = 46;

    /// <summary>The bits of a linear address: 57 with 5-level paging, else 48.</summary>
    public byte LinearAddressBits => (byte)(Has(CpuFeature.La57) ? 57 : 48);

    /// <summary>1 GiB pages.</summary>
    public bool Page1G => Has(CpuFeature.Pdpe1gb);

    /// <summary>The names of the features claimed, in alphabetical order.</summary>
    public IReadOnlyList<string> Names => NamesOf(Claimed);

    /// <summary>The bits of CR4 that may be set, MCE and those of claimed features; another raises #GP.</summary>
    public ulong Cr4Bits => Cr4.MCE | BitsOf(Cr4Rows);

    /// <summary>The bits of IA32_EFER that may be set, those of claimed features; another raises #GP.</summary>
    public ulong EferBits => BitsOf(EferRows);

    /// <summary>Which instructions the features make available.</summary>
    internal InstructionGate Gate => gate ??= new InstructionGate(Claimed);

    /// <summary>The same model in a machine with local APICs.</summary>
    internal CpuFeatures WithApic() => new()
    {
        Model = Model,
        PhysicalAddressBits = PhysicalAddressBits,
        Claimed = new HashSet<CpuFeature>([.. Claimed, CpuFeature.Apic, CpuFeature.X2apic, CpuFeature.TscDeadline]),
    };

    /// <summary>Whether a feature is claimed.</summary>
    public bool Has(CpuFeature feature) => Claimed.Contains(feature);

    /// <summary>
    /// Reads a model and changes to it, like <c>v3</c> or <c>max,-avx2,+aes,phys-bits=40</c>. What is added brings what it needs; what is taken
    /// away takes along what needs it. Names may be spelt with - or _ or without. <c>phys-bits=N</c> sets <see cref="PhysicalAddressBits"/>.
    /// </summary>
    /// <exception cref="FormatException">There is no such model or feature, or the changes contradict each other.</exception>
    public static CpuFeatures Parse(string text) => TryParse(text, out CpuFeatures? features, out string? error) ? features : throw new FormatException(error);

    /// <summary>As <see cref="Parse"/>, with the reason as one line.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out CpuFeatures? features, [NotNullWhen(false)] out string? error)
    {
        ArgumentNullException.ThrowIfNull(text);
        features = null;
        string[] parts = text.Split(',');
        if (CpuModels.FeaturesOf(parts[0]) is not { } claimed)
        {
            error = $"there is no processor model '{parts[0]}': give {string.Join(", ", CpuModels.Names)}, then ,+FEATURE or ,-FEATURE";
            return false;
        }

        List<CpuFeature> added = [];
        byte physicalAddressBits = new CpuFeatures().PhysicalAddressBits;
        foreach (string part in parts[1..])
        {
            if (part.StartsWith(PhysicalAddressBitsOption, StringComparison.OrdinalIgnoreCase))
            {
                if (!TryParseWidth(part[PhysicalAddressBitsOption.Length..], out physicalAddressBits))
                {
                    error = $"'{part}' is no physical-address width: give {PhysicalAddressBitsOption}{LeastPhysicalAddressBits} to {PhysicalAddressBitsOption}{MostPhysicalAddressBits}";
                    return false;
                }

                continue;
            }

            if (!TryChange(claimed, added, part, out error))
            {
                return false;
            }
        }

        foreach (CpuFeature feature in added)
        {
            if (!claimed.Contains(feature))
            {
                error = $"{NameOf(feature)} was added, and what it needs was taken away";
                return false;
            }
        }

        features = new CpuFeatures { Model = text, Claimed = claimed, PhysicalAddressBits = physicalAddressBits };
        error = null;
        return true;
    }

    private static bool TryParseWidth(string text, out byte bits) =>
        byte.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out bits) && bits is >= LeastPhysicalAddressBits and <= MostPhysicalAddressBits;

    private static bool TryChange(HashSet<CpuFeature> claimed, List<CpuFeature> added, string part, [NotNullWhen(false)] out string? error)
    {
        bool removes = part.StartsWith('-');
        if (!removes && !part.StartsWith('+'))
        {
            error = $"'{part}' is no change to a processor model: give +FEATURE, -FEATURE or {PhysicalAddressBitsOption}N";
            return false;
        }

        if (Find(part[1..]) is not CpuFeature feature || !Everything.Contains(feature))
        {
            error = $"this processor has no feature '{part[1..]}': it has {string.Join(' ', NamesOf(Everything))}";
            return false;
        }

        if (removes && CpuFeatureNeeds.Indispensable.Contains(feature))
        {
            error = $"this processor cannot do without {NameOf(feature)}";
            return false;
        }

        if (removes)
        {
            added.Remove(feature);
            CpuFeatureNeeds.Remove(claimed, feature);
        }
        else
        {
            added.Add(feature);
            CpuFeatureNeeds.Add(claimed, feature);
        }

        error = null;
        return true;
    }

    private static CpuFeature? Find(string name)
    {
        foreach (CpuFeatureRow row in CpuFeatureTable.Rows)
        {
            if (Plain(row.Name) == Plain(name) || row.Feature.ToString().Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return row.Feature;
            }
        }

        return null;
    }

    private static string Plain(string name) => name.ToLowerInvariant().Replace("-", "", StringComparison.Ordinal)
        .Replace("_", "", StringComparison.Ordinal).Replace(".", "", StringComparison.Ordinal);

    private static string NameOf(CpuFeature feature) => CpuFeatureTable.Rows.First(row => row.Feature == feature).Name;

    private static List<string> NamesOf(IReadOnlySet<CpuFeature> features) =>
        [.. CpuFeatureTable.Rows.Where(row => features.Contains(row.Feature)).Select(row => row.Name).Order(StringComparer.Ordinal)];

    private ulong BitsOf((ulong Bit, CpuFeature Needs)[] rows)
    {
        ulong bits = 0;
        foreach ((ulong bit, CpuFeature needs) in rows)
        {
            bits |= Has(needs) ? bit : 0;
        }

        return bits;
    }
}
