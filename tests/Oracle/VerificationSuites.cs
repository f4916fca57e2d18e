using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>
/// Everything that is compared with the host's processor: what <see cref="HostAgreementTests"/> runs, and from which the table of
/// tests/Golden/coverage.md is made.
/// </summary>
public static class VerificationSuites
{
    private static readonly Code[] RelativeBranches =
    [
        .. Enum.GetValues<Code>().Where(code => code.ToOpCode() is { IsInstruction: true, Mode64: true, OpCount: 1 } info
            && info.GetOpKind(0) is OpCodeOperandKind.br64_1 or OpCodeOperandKind.br64_4
            && code.CpuidFeatures().All(feature => feature is CpuidFeature.INTEL8086 or CpuidFeature.INTEL386 or CpuidFeature.X64)),
    ];

    /// <summary>
    /// Hints, and orders to caches: nothing that a register or memory shows. Left out is 0F 0D with a register, which AMD's processors refuse.
    /// </summary>
    private static readonly Code[] Hints =
    [
        .. Enum.GetValues<Code>().Where(code => code.ToOpCode() is { IsInstruction: true, Mode64: true, IsPrivileged: false } info
            && info.Mnemonic is Mnemonic.Prefetch or Mnemonic.Prefetchw or Mnemonic.Prefetchwt1 or Mnemonic.Prefetchit0 or Mnemonic.Prefetchit1
                or Mnemonic.Clflush or Mnemonic.Clflushopt or Mnemonic.Clwb or Mnemonic.Cldemote or Mnemonic.Pause or Mnemonic.Reservednop
                or Mnemonic.Endbr32 or Mnemonic.Endbr64
            && code is not (Code.Reservednop_rm16_r16_0F0D or Code.Reservednop_rm32_r32_0F0D or Code.Reservednop_rm64_r64_0F0D)),
    ];

    private static readonly Code[] Frames =
        [Code.Enterq_imm16_imm8, Code.Enterw_imm16_imm8, Code.Leaveq, Code.Leavew];

    /// <summary>The suites; no opcode is in two of them.</summary>
    public static IReadOnlyList<VerificationSuite> All { get; } = Make();

    private static readonly Dictionary<Code, VerificationSuite> ByCode = All.SelectMany(suite => suite.Codes.Select(code => (code, suite))).ToDictionary();

    /// <summary>
    /// Opcodes that only 16-bit and 32-bit code has, and that <see cref="Integer32Tests"/> compares with the host, which has both beside 64-bit
    /// code. Left out are those whose forms are few among random bytes or may fault: branches, and loads of segment registers.
    /// </summary>
    public static IReadOnlyList<Code> Legacy { get; } =
    [
        .. Enum.GetValues<Code>().Where(code => code.ToOpCode() is { IsInstruction: true, Mode64: false, IsPrivileged: false, DecoderOption: DecoderOptions.None } info
            && code.FlowControl() == FlowControl.Next
            && code.CpuidFeatures().All(feature => feature is CpuidFeature.INTEL8086 or CpuidFeature.INTEL186 or CpuidFeature.INTEL286 or CpuidFeature.INTEL386)
            && (info.Mnemonic is Mnemonic.Aaa or Mnemonic.Aad or Mnemonic.Aam or Mnemonic.Aas or Mnemonic.Daa or Mnemonic.Das or Mnemonic.Salc
                or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Pusha or Mnemonic.Pushad or Mnemonic.Popa or Mnemonic.Popad or Mnemonic.Push
                or Mnemonic.Pushfd or Mnemonic.Popfd or Mnemonic.Enter or Mnemonic.Leave or Mnemonic.Bound or Mnemonic.Arpl
                or Mnemonic.Add or Mnemonic.Or or Mnemonic.Adc or Mnemonic.Sbb or Mnemonic.And or Mnemonic.Sub or Mnemonic.Xor or Mnemonic.Cmp
                || code is Code.Pop_r32 or Code.Pop_rm32)),
    ];

    /// <summary>The suite of an opcode; null when it is not compared with the host.</summary>
    public static VerificationSuite? Of(Code code) => ByCode.GetValueOrDefault(code);

    private static List<VerificationSuite> Make()
    {
        HashSet<Code> seen = [];
        List<VerificationSuite> suites = [];
        foreach (InstructionFamily family in InstructionFamilies.All.Concat(InstructionFamilies.Vex).Concat(InstructionFamilies.BitManipulation))
        {
            Add(family.Name, SuiteKind.Straight, family.Codes);
        }

        Add("x87", SuiteKind.X87, InstructionFamilies.X87.Codes);
        Add("hints", SuiteKind.Straight, Hints);
        Add("frames", SuiteKind.Straight, Frames);
        Add("branches", SuiteKind.Branch, [.. RelativeBranches, Code.Jmp_rm64, Code.Call_rm64, Code.Retnq, Code.Retnq_imm16]);
        return suites;

        void Add(string name, SuiteKind kind, IEnumerable<Code> codes) => suites.Add(new VerificationSuite(name, kind, [.. codes.Where(seen.Add)]));
    }
}
