using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>What general registers got after the first 64-bit processors.</summary>
public static partial class InstructionFamilies
{
    public static IReadOnlyList<InstructionFamily> BitManipulation { get; } =
    [
        OfFeature("bmi1", CpuidFeature.BMI1, CpuidFeature.X64),
        OfFeature("bmi2", CpuidFeature.BMI2, CpuidFeature.X64),
        OfFeature("lzcnt", CpuidFeature.LZCNT, CpuidFeature.X64),
        OfFeature("adx", CpuidFeature.ADX, CpuidFeature.X64),
        OfFeature("movbe", CpuidFeature.MOVBE, CpuidFeature.X64),
    ];
}
