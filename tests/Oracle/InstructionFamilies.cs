using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>
/// The user-mode opcodes that can be compared with the host processor, by family. Left out: operands in segment,
/// control or debug registers, which a stub cannot lend out, and POPF, which could set TF or AC on the host.
/// </summary>
public static partial class InstructionFamilies
{
    private static readonly OpCodeInfo[] Candidates =
    [
        .. Enum.GetValues<Code>().Select(code => code.ToOpCode()).Where(info =>
            info.IsInstruction && info.Mode64 && info.Encoding == EncodingKind.Legacy && !info.IsPrivileged
            && !Operands(info).Any(kind => kind is OpCodeOperandKind.seg_reg or OpCodeOperandKind.fs or OpCodeOperandKind.gs or OpCodeOperandKind.cr_reg or OpCodeOperandKind.dr_reg
                or OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm or OpCodeOperandKind.mm_or_mem)),
    ];

    public static IReadOnlyList<InstructionFamily> All { get; } =
    [
        OfMnemonics("alu", Mnemonic.Add, Mnemonic.Adc, Mnemonic.Sub, Mnemonic.Sbb, Mnemonic.And, Mnemonic.Or, Mnemonic.Xor, Mnemonic.Cmp,
            Mnemonic.Test, Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Neg, Mnemonic.Not),
        OfMnemonics("shift", Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr),
        OfMnemonics("double shift", Mnemonic.Shld, Mnemonic.Shrd),
        OfMnemonics("bit test", Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc),
        OfMnemonics("bit scan", Mnemonic.Bsf, Mnemonic.Bsr, Mnemonic.Popcnt),
        OfMnemonics("checksum", Mnemonic.Crc32),
        OfMnemonics("multiply", Mnemonic.Mul, Mnemonic.Imul),
        OfMnemonics("divide", Mnemonic.Div, Mnemonic.Idiv),
        OfMnemonics("move", Mnemonic.Mov, Mnemonic.Movzx, Mnemonic.Movsx, Mnemonic.Movsxd, Mnemonic.Lea, Mnemonic.Bswap, Mnemonic.Xlatb, Mnemonic.Nop),
        OfMnemonics("exchange", Mnemonic.Xchg, Mnemonic.Xadd, Mnemonic.Cmpxchg, Mnemonic.Cmpxchg8b, Mnemonic.Cmpxchg16b),
        Conditional("set", "Set"),
        Conditional("conditional move", "Cmov"),
        OfMnemonics("sign extension", Mnemonic.Cbw, Mnemonic.Cwde, Mnemonic.Cdqe, Mnemonic.Cwd, Mnemonic.Cdq, Mnemonic.Cqo),
        OfMnemonics("flags", Mnemonic.Lahf, Mnemonic.Sahf, Mnemonic.Clc, Mnemonic.Stc, Mnemonic.Cmc, Mnemonic.Cld, Mnemonic.Std),
        OfMnemonics("stack", Mnemonic.Push, Mnemonic.Pop, Mnemonic.Pushf, Mnemonic.Pushfq),
        OfMnemonics("string", Mnemonic.Movsb, Mnemonic.Movsw, Mnemonic.Movsd, Mnemonic.Movsq, Mnemonic.Stosb, Mnemonic.Stosw, Mnemonic.Stosd,
            Mnemonic.Stosq, Mnemonic.Lodsb, Mnemonic.Lodsw, Mnemonic.Lodsd, Mnemonic.Lodsq, Mnemonic.Scasb, Mnemonic.Scasw, Mnemonic.Scasd,
            Mnemonic.Scasq, Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsd, Mnemonic.Cmpsq),
        Feature("sse", CpuidFeature.SSE),
        Feature("sse2", CpuidFeature.SSE2),
        .. LaterVector,
    ];

    /// <summary>
    /// The user-mode opcodes of 64-bit mode of which every feature is among those given and at least one is the first, in any encoding,
    /// with or without MMX registers.
    /// </summary>
    public static InstructionFamily OfFeature(string name, CpuidFeature feature, params CpuidFeature[] others) => new(name,
    [
        .. Enum.GetValues<Code>().Where(code => code.CpuidFeatures() is var features && features.Contains(feature)
            && features.All(each => each == feature || others.Contains(each))
            && code.ToOpCode() is { IsInstruction: true, Mode64: true, IsPrivileged: false }),
    ]);

    /// <exception cref="KeyNotFoundException">No family has this name.</exception>
    public static InstructionFamily Named(string name) =>
        All.FirstOrDefault(family => family.Name == name) ?? throw new KeyNotFoundException(name);

    /// <summary>The integer opcodes of some mnemonics. MOVSD and CMPSD are also SSE2 names, and those opcodes are not meant.</summary>
    public static InstructionFamily OfMnemonics(string name, params Mnemonic[] mnemonics) =>
        new(name, [.. Candidates.Where(info => mnemonics.Contains(info.Mnemonic) && !IsSse(info)).Select(info => info.Code)]);

    private static InstructionFamily Conditional(string name, string prefix) =>
        new(name, [.. Candidates.Where(info => IsConditional(info, prefix)).Select(info => info.Code)]);

    private static InstructionFamily Feature(string name, CpuidFeature feature) =>
        new(name, [.. Candidates.Where(info => info.Code.CpuidFeatures().Contains(feature)).Select(info => info.Code)]);

    private static bool IsConditional(OpCodeInfo info, string prefix) =>
        info.Mnemonic.ToString().StartsWith(prefix, StringComparison.Ordinal) && info.Code.ConditionCode() != ConditionCode.None;

    private static bool IsSse(OpCodeInfo info) =>
        info.Code.CpuidFeatures().Any(feature => feature is CpuidFeature.SSE or CpuidFeature.SSE2);

    private static IEnumerable<OpCodeOperandKind> Operands(OpCodeInfo info) => Enumerable.Range(0, info.OpCount).Select(info.GetOpKind);
}
