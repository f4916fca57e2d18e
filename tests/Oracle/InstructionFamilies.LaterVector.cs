using Iced.Intel;

namespace Quadwalk.Tests;

/// <content>MMX, and what came after SSE2 in the legacy encoding.</content>
public static partial class InstructionFamilies
{
    /// <summary>MMX registers in whatever feature, then SSE3 to SHA on vector registers.</summary>
    public static IReadOnlyList<InstructionFamily> LaterVector =>
    [
        new("mmx", [.. Enum.GetValues<Code>().Where(code => code == Code.Emms || IsMmx(code.ToOpCode()))]),
        OnVectors("sse3", CpuidFeature.SSE3),
        OnVectors("ssse3", CpuidFeature.SSSE3),
        OnVectors("sse4.1", CpuidFeature.SSE4_1),
        OnVectors("sse4.2", CpuidFeature.SSE4_2),
        OnVectors("aes", CpuidFeature.AES),
        OnVectors("pclmulqdq", CpuidFeature.PCLMULQDQ),
        OnVectors("sha", CpuidFeature.SHA),
    ];

    /// <summary>The families whose instructions work on general registers only.</summary>
    public static IEnumerable<InstructionFamily> OnGeneralRegisters => All.Where(family => !IsVector(family));

    /// <summary>Whether a family's instructions work on vector or MMX registers.</summary>
    public static bool IsVector(InstructionFamily family) => family.Name is "sse" or "sse2" || LaterVectorNames.Contains(family.Name) || Vex.Contains(family);

    /// <summary>Whether a memory operand may lie anywhere: sixteen bytes of most instructions on vector registers must be aligned.</summary>
    public static bool MayBeUnaligned(in Instruction instruction) => instruction.MemorySize.GetSize() < 16
        || (instruction.Encoding == EncodingKind.VEX && !FormStates.IsAlignedMove(instruction.Mnemonic) && !instruction.IsVsib)
        || instruction.Mnemonic is Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu or Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64
            or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64 or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm;

    /// <summary>Whether processors differ in the result, within a bound.</summary>
    public static bool IsApproximate(in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Rcpss or Mnemonic.Rcpps or Mnemonic.Rsqrtss or Mnemonic.Rsqrtps
            or Mnemonic.Vrcpss or Mnemonic.Vrcpps or Mnemonic.Vrsqrtss or Mnemonic.Vrsqrtps;

    private static readonly HashSet<string> LaterVectorNames = [.. LaterVector.Select(family => family.Name)];

    private static InstructionFamily OnVectors(string name, CpuidFeature feature) =>
        new(name, [.. OfFeature(name, feature).Codes.Where(code => code.Mnemonic() != Mnemonic.Crc32 && !IsMmx(code.ToOpCode()))]);

    private static bool IsMmx(OpCodeInfo info) => info.IsInstruction && info.Mode64
        && info.Code.CpuidFeatures().All(feature => feature is CpuidFeature.MMX or CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSSE3)
        && Operands(info).Any(kind => kind is OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm or OpCodeOperandKind.mm_or_mem);
}
