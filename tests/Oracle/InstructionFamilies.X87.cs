using Iced.Intel;

namespace Quadwalk.Tests;

public static partial class InstructionFamilies
{
    /// <summary>
    /// The x87 opcodes, WAIT among them. Left out: the names that stand for WAIT and another instruction, which are two to a processor.
    /// </summary>
    public static InstructionFamily X87 { get; } = new("x87",
    [
        .. Enum.GetValues<Code>().Where(code => (IsX87(code) || code == Code.Wait)
            && code.ToOpCode() is { IsInstruction: true, Mode64: true, Fwait: false }),
    ]);

    private static bool IsX87(Code code) =>
        code.CpuidFeatures().Any(feature => feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387);
}
