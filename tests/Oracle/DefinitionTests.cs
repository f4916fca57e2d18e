using Iced.Intel;

namespace Quadwalk.Tests;

/// <summary>How instructions are verified that a stub on the host cannot run: privileged ones, those that change the mode, and those whose result is the machine's own.</summary>
/// <param name="Kind">"definition" for a test that has the SDM's results as data, "system" for one that runs them in a whole machine.</param>
/// <param name="File">The test's file below tests/, which names each of the mnemonics.</param>
/// <param name="Operand">When given, only opcodes with an operand of this kind.</param>
/// <param name="Mnemonics">What it verifies.</param>
internal sealed record DefinitionTest(string Kind, string File, OpCodeOperandKind? Operand, params Mnemonic[] Mnemonics)
{
    public DefinitionTest(string kind, string file, params Mnemonic[] mnemonics)
        : this(kind, file, null, mnemonics)
    {
    }

    /// <summary>Whether it is of opcodes alone that 64-bit code does not have.</summary>
    public bool IsLegacy { get; init; }

    /// <summary>Whether it verifies an opcode.</summary>
    public bool Verifies(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        return Mnemonics.Contains(info.Mnemonic) && !(IsLegacy && info.Mode64)
            && (Operand is null || Enumerable.Range(0, info.OpCount).Any(i => info.GetOpKind(i) == Operand));
    }
}

/// <summary>The tests of what is not compared with the host's processor.</summary>
internal static class DefinitionTests
{
    private const string Definition = "definition", System = "system";
    private const string SegmentLoads = "Semantics/SegmentLoadTests.cs", FarTransfers = "Semantics/FarTransferTests.cs";
    private const string LegacySegments = "Modes/LegacySegmentTests.cs", LegacyInterrupts = "Modes/LegacyInterruptTests.cs", LegacyBranches = "Modes/LegacyBranchTests.cs";

    /// <summary>The tests; the first that verifies an opcode counts.</summary>
    public static IReadOnlyList<DefinitionTest> All { get; } =
    [
        new(Definition, "Modes/LegacyInstructionTests.cs", Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Sgdt, Mnemonic.Sidt) { IsLegacy = true },
        new(Definition, "Modes/LegacyInstructionTests.cs", OpCodeOperandKind.dr_reg, Mnemonic.Mov) { IsLegacy = true },
        new(System, "Modes/ModeChangeTests.cs", OpCodeOperandKind.cr_reg, Mnemonic.Mov) { IsLegacy = true },
        .. LegacySegmentOperands.Select(operand => new DefinitionTest(Definition, LegacySegments, operand, Mnemonic.Pop) { IsLegacy = true }),
        new(Definition, "Semantics/DescriptorQueryTests.cs", Mnemonic.Lar, Mnemonic.Lsl, Mnemonic.Verr, Mnemonic.Verw),
        new(Definition, FarTransfers, Mnemonic.Retf),
        .. FarPointers.Select(operand => new DefinitionTest(Definition, "Modes/LegacyTransferTests.cs", operand, Mnemonic.Jmp, Mnemonic.Call)),
        new(Definition, FarTransfers, OpCodeOperandKind.mem, Mnemonic.Jmp, Mnemonic.Call),
        new(Definition, "Semantics/InterruptReturnTests.cs", Mnemonic.Iret, Mnemonic.Iretd, Mnemonic.Iretq),
        new(Definition, SegmentLoads, Mnemonic.Lss, Mnemonic.Lfs, Mnemonic.Lgs),
        new(Definition, SegmentLoads, OpCodeOperandKind.seg_reg, Mnemonic.Mov),
        new(Definition, SegmentLoads, OpCodeOperandKind.fs, Mnemonic.Push, Mnemonic.Pop),
        new(Definition, SegmentLoads, OpCodeOperandKind.gs, Mnemonic.Push, Mnemonic.Pop),
        new(Definition, "Semantics/ExtendedStateTests.cs", Mnemonic.Xsave, Mnemonic.Xsave64, Mnemonic.Xsaveopt, Mnemonic.Xsaveopt64, Mnemonic.Xsavec,
            Mnemonic.Xsavec64, Mnemonic.Xrstor, Mnemonic.Xrstor64),
        new(Definition, "Semantics/ExtendedStateFaultTests.cs", Mnemonic.Xsaves, Mnemonic.Xsaves64, Mnemonic.Xrstors, Mnemonic.Xrstors64),
        new(Definition, "Semantics/SseFaultTests.cs", Mnemonic.Fxsave, Mnemonic.Fxsave64, Mnemonic.Fxrstor, Mnemonic.Fxrstor64),
        new(Definition, "Exceptions/VectorTests.cs", Mnemonic.Int, Mnemonic.Int1, Mnemonic.Int3),
        new(Definition, "Semantics/UndefinedInstructionTests.cs", Mnemonic.Ud0, Mnemonic.Ud1, Mnemonic.Ud2, Mnemonic.Reservednop),
        new(Definition, "Semantics/PortInstructionTests.cs", Mnemonic.Insb, Mnemonic.Insd, Mnemonic.Outsb, Mnemonic.Outsd),
        new(Definition, "Exceptions/BreakpointTests.cs", Mnemonic.Insw, Mnemonic.Outsw),
        new(Definition, "Semantics/LaterSystemTests.cs", Mnemonic.Rdfsbase, Mnemonic.Rdgsbase, Mnemonic.Wrfsbase, Mnemonic.Wrgsbase, Mnemonic.Rdpid,
            Mnemonic.Rdrand, Mnemonic.Rdseed, Mnemonic.Movdiri, Mnemonic.Movdir64b, Mnemonic.Serialize, Mnemonic.Rdpkru, Mnemonic.Wrpkru,
            Mnemonic.Rdpmc, Mnemonic.Xgetbv, Mnemonic.Xsetbv, Mnemonic.Monitor, Mnemonic.Mwait, Mnemonic.Sysenter, Mnemonic.Sysexit, Mnemonic.Sysexitq,
            Mnemonic.Invpcid, Mnemonic.Wbnoinvd),
        new(Definition, "Decode/CpuidClaimTests.cs", Mnemonic.Rdsspd, Mnemonic.Rdsspq),
        new(Definition, "Semantics/ControlRegisterTests.cs", OpCodeOperandKind.cr_reg, Mnemonic.Mov),
        new(System, "Semantics/SystemInstructionTests.cs", Mnemonic.Cpuid, Mnemonic.Rdtsc, Mnemonic.Syscall, Mnemonic.Sysretq, Mnemonic.Swapgs,
            Mnemonic.Rdmsr, Mnemonic.Wrmsr, Mnemonic.Lldt, Mnemonic.Ltr, Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Sgdt, Mnemonic.Sidt, Mnemonic.Lmsw,
            Mnemonic.Invlpg, Mnemonic.Clts, Mnemonic.Hlt, Mnemonic.Cli, Mnemonic.Sti, Mnemonic.Stac, Mnemonic.Clac, Mnemonic.Wbinvd, Mnemonic.In, Mnemonic.Out),
        new(Definition, "Semantics/SystemRegisterTests.cs", Mnemonic.Sysret),
        new(System, "Semantics/SystemRegisterTests.cs", Mnemonic.Rdtscp, Mnemonic.Sldt, Mnemonic.Str, Mnemonic.Smsw, Mnemonic.Invd),
        new(System, "Exceptions/BreakpointTests.cs", OpCodeOperandKind.dr_reg, Mnemonic.Mov),
        new(System, "Exceptions/InterruptTests.cs", Mnemonic.Popf, Mnemonic.Popfq),
        new(Definition, LegacySegments, Mnemonic.Les, Mnemonic.Lds),
        new(Definition, LegacyInterrupts, Mnemonic.Into),
        new(Definition, LegacyBranches, Mnemonic.Jo, Mnemonic.Jno, Mnemonic.Jb, Mnemonic.Jae, Mnemonic.Je, Mnemonic.Jne, Mnemonic.Jbe, Mnemonic.Ja, Mnemonic.Js,
            Mnemonic.Jns, Mnemonic.Jp, Mnemonic.Jnp, Mnemonic.Jl, Mnemonic.Jge, Mnemonic.Jle, Mnemonic.Jg, Mnemonic.Jmp, Mnemonic.Call, Mnemonic.Ret,
            Mnemonic.Loopne, Mnemonic.Loope, Mnemonic.Loop, Mnemonic.Jcxz, Mnemonic.Jecxz),
    ];

    private static IEnumerable<OpCodeOperandKind> FarPointers => [OpCodeOperandKind.farbr2_2, OpCodeOperandKind.farbr4_2];

    private static IEnumerable<OpCodeOperandKind> LegacySegmentOperands =>
        [OpCodeOperandKind.es, OpCodeOperandKind.ss, OpCodeOperandKind.ds, OpCodeOperandKind.fs, OpCodeOperandKind.gs];
}
