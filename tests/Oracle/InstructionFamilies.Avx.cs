using Iced.Intel;

namespace Quadwalk.Tests;

/// <content>The VEX-encoded vector instructions.</content>
public static partial class InstructionFamilies
{
    /// <summary>AVX, AVX2, FMA, F16C, and the VEX forms of AES and PCLMULQDQ.</summary>
    public static IReadOnlyList<InstructionFamily> Vex { get; } =
    [
        OfFeature("avx", CpuidFeature.AVX, CpuidFeature.AES, CpuidFeature.PCLMULQDQ),
        OfFeature("avx2", CpuidFeature.AVX2),
        OfFeature("fma", CpuidFeature.FMA),
        OfFeature("f16c", CpuidFeature.F16C),
    ];
}
