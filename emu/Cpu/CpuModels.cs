namespace Quadwalk.Emulation;

/// <summary>
/// The processor models: the levels of the x86-64 psABI (System V ABI, AMD64 supplement, table 3.1), each with what every machine of the
/// level has for its operating system, and <c>max</c>, everything this processor has.
/// </summary>
public static class CpuModels
{
    /// <summary>The name of the model that has everything.</summary>
    public const string Max = "max";

    /// <summary>x86-64-v1: what compilers assume without an option.</summary>
    private static readonly CpuFeature[] Level1 =
    [
        CpuFeature.Cmov, CpuFeature.Cx8, CpuFeature.Fpu, CpuFeature.Fxsr, CpuFeature.Mmx, CpuFeature.Syscall, CpuFeature.Sse, CpuFeature.Sse2,
    ];

    private static readonly CpuFeature[] Level2 =
    [
        CpuFeature.Cx16, CpuFeature.LahfLm, CpuFeature.Popcnt, CpuFeature.Sse3, CpuFeature.Ssse3, CpuFeature.Sse41, CpuFeature.Sse42,
    ];

    private static readonly CpuFeature[] Level3 =
    [
        CpuFeature.Avx, CpuFeature.Avx2, CpuFeature.Bmi1, CpuFeature.Bmi2, CpuFeature.F16c, CpuFeature.Fma, CpuFeature.Lzcnt, CpuFeature.Movbe,
        CpuFeature.Xsave,
    ];

    private static readonly CpuFeature[] System1 =
    [
        CpuFeature.Vme, CpuFeature.De, CpuFeature.Pse, CpuFeature.Tsc, CpuFeature.Msr, CpuFeature.Pae, CpuFeature.Mce, CpuFeature.Apic,
        CpuFeature.Sep, CpuFeature.Mtrr, CpuFeature.Pge, CpuFeature.Mca, CpuFeature.Pat, CpuFeature.Pse36, CpuFeature.Clflush, CpuFeature.Nx,
        CpuFeature.Lm,
    ];

    private static readonly CpuFeature[] System2 = [CpuFeature.Rdtscp, CpuFeature.Monitor];

    private static readonly CpuFeature[] System3 = [CpuFeature.Pdpe1gb, CpuFeature.Smep, CpuFeature.Fsgsbase, CpuFeature.Xsaveopt];

    /// <summary>All names.</summary>
    public static IReadOnlyList<string> Names { get; } = ["v1", "v2", "v3", Max];

    /// <summary>What a level asks for; empty for a name that is no level.</summary>
    public static IReadOnlyList<CpuFeature> LevelOf(string name) => name switch
    {
        "v1" => Level1,
        "v2" => [.. Level1, .. Level2],
        "v3" => [.. Level1, .. Level2, .. Level3],
        _ => [],
    };

    /// <summary>The features of a model, as far as this processor has them; null where there is none of this name.</summary>
    internal static HashSet<CpuFeature>? FeaturesOf(string name)
    {
        IEnumerable<CpuFeature>? wanted = name switch
        {
            "v1" => [.. LevelOf(name), .. System1],
            "v2" => [.. LevelOf(name), .. System1, .. System2],
            "v3" => [.. LevelOf(name), .. System1, .. System2, .. System3],
            Max => CpuFeatures.Supported,
            _ => null,
        };
        return wanted is null ? null : [.. wanted.Where(CpuFeatures.Supported.Contains)];
    }
}
