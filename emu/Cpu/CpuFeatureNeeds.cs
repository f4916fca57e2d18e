namespace Quadwalk.Emulation;

/// <summary>Which features rest on which others (SDM Vol. 1, chapters 5, 10 to 14).</summary>
internal static class CpuFeatureNeeds
{
    /// <summary>A feature and what it needs at once.</summary>
    private static readonly (CpuFeature Feature, CpuFeature[] Needs)[] Table =
    [
        (CpuFeature.Mmx, [CpuFeature.Fpu]),
        (CpuFeature.Sse, [CpuFeature.Fxsr]),
        (CpuFeature.Sse2, [CpuFeature.Sse]),
        (CpuFeature.Sse3, [CpuFeature.Sse2]),
        (CpuFeature.Ssse3, [CpuFeature.Sse3]),
        (CpuFeature.Sse41, [CpuFeature.Ssse3]),
        (CpuFeature.Sse42, [CpuFeature.Sse41]),
        (CpuFeature.Aes, [CpuFeature.Sse2]),
        (CpuFeature.Pclmulqdq, [CpuFeature.Sse2]),
        (CpuFeature.Sha, [CpuFeature.Sse2]),
        (CpuFeature.Xsave, [CpuFeature.Fxsr]),
        (CpuFeature.Avx, [CpuFeature.Xsave, CpuFeature.Sse42]),
        (CpuFeature.Avx2, [CpuFeature.Avx]),
        (CpuFeature.Fma, [CpuFeature.Avx]),
        (CpuFeature.F16c, [CpuFeature.Avx]),
        (CpuFeature.Xsaveopt, [CpuFeature.Xsave]),
        (CpuFeature.Xsavec, [CpuFeature.Xsave]),
        (CpuFeature.Xgetbv1, [CpuFeature.Xsave]),
        (CpuFeature.Xsaves, [CpuFeature.Xsavec]),
        (CpuFeature.Cx16, [CpuFeature.Cx8]),
        (CpuFeature.Rdtscp, [CpuFeature.Tsc]),
        (CpuFeature.TscAdjust, [CpuFeature.Tsc, CpuFeature.Msr]),
        (CpuFeature.Invtsc, [CpuFeature.Tsc]),
        (CpuFeature.Pse36, [CpuFeature.Pse]),
        (CpuFeature.Mca, [CpuFeature.Mce]),
        (CpuFeature.Mtrr, [CpuFeature.Msr]),
        (CpuFeature.Pat, [CpuFeature.Msr]),
        (CpuFeature.Sep, [CpuFeature.Msr]),
        (CpuFeature.Syscall, [CpuFeature.Msr]),
        (CpuFeature.X2apic, [CpuFeature.Apic, CpuFeature.Msr]),
        (CpuFeature.TscDeadline, [CpuFeature.Apic, CpuFeature.Tsc]),
        (CpuFeature.Pcid, [CpuFeature.Lm]),
        (CpuFeature.Pdpe1gb, [CpuFeature.Lm]),
        (CpuFeature.Pku, [CpuFeature.Lm]),
        (CpuFeature.Pks, [CpuFeature.Lm, CpuFeature.Msr]),
        (CpuFeature.La57, [CpuFeature.Lm]),
        (CpuFeature.Lam, [CpuFeature.Lm]),
        (CpuFeature.Lm, [CpuFeature.Pae, CpuFeature.Msr]),
    ];

    /// <summary>What this processor cannot do without.</summary>
    public static IReadOnlySet<CpuFeature> Indispensable { get; } = new HashSet<CpuFeature> { CpuFeature.Lm, CpuFeature.Pae, CpuFeature.Msr };

    /// <summary>Adds a feature and, step by step, what it needs.</summary>
    public static void Add(HashSet<CpuFeature> features, CpuFeature feature)
    {
        features.Add(feature);
        foreach ((CpuFeature each, CpuFeature[] needs) in Table)
        {
            if (each == feature)
            {
                foreach (CpuFeature need in needs)
                {
                    Add(features, need);
                }
            }
        }
    }

    /// <summary>Takes a feature away and, step by step, what needs it.</summary>
    public static void Remove(HashSet<CpuFeature> features, CpuFeature feature)
    {
        features.Remove(feature);
        foreach ((CpuFeature each, CpuFeature[] needs) in Table)
        {
            if (needs.Contains(feature) && features.Contains(each))
            {
                Remove(features, each);
            }
        }
    }
}
