using System.Globalization;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Says in words why a fault was raised.</summary>
public static class FaultCauseText
{
    /// <summary>One sentence on a fault, as far as it can be told without the paging state.</summary>
    public static string Describe(in GuestFault fault)
    {
        WalkResult walk = fault.Cause.Walk;
        return fault.Cause.Rule == FaultRule.PageWalk && walk.Failure == WalkFailure.ReservedBits
            ? string.Create(CultureInfo.InvariantCulture, $"{WalkDescription.LevelName(walk.Level)} at {walk.EntryAddress} = {walk.Entry}: reserved bits 0x{walk.ReservedMask:x} are 1")
            : Describe(fault, default);
    }

    /// <summary>One sentence on a fault.</summary>
    /// <param name="fault">The fault.</param>
    /// <param name="paging">The paging state in which it was raised.</param>
    public static string Describe(in GuestFault fault, in PagingState paging)
    {
        if (fault.Cause.Rule == FaultRule.PageWalk)
        {
            return WalkDescription.Describe(fault.Cause.Walk, fault.Address, AccessOf((PageFaultCode)(fault.ErrorCode ?? 0)), paging).TrimEnd('.');
        }

        string rule = WithSelector(fault);
        return paging.Mode == PagingMode.FiveLevel ? rule.Replace("bits 63:47", "bits 63:56", StringComparison.Ordinal) : rule;
    }

    /// <summary>The rule in words.</summary>
    public static string OfRule(FaultRule rule) => rule switch
    {
        FaultRule.PageWalk => "the address has no translation for this access",
        FaultRule.NonCanonicalAddress => "the operand's address is not canonical: bits 63:47 are not all equal",
        FaultRule.NonCanonicalTarget => "the new RIP is not canonical: bits 63:47 are not all equal",
        FaultRule.Privileged => "the instruction is allowed at CPL 0 only",
        FaultRule.IoPermission => "CPL is above IOPL, and the TSS's I/O permission bitmap does not allow the port",
        FaultRule.UndefinedOpcode => "the bytes are no instruction that this processor has",
        FaultRule.ExplicitUndefined => "the instruction is there to raise it",
        FaultRule.FetchFromNowhere => "the instruction's bytes lie in no memory",
        FaultRule.InstructionTooLong => "the instruction is longer than 15 bytes",
        FaultRule.LockNotAllowed => "LOCK is not allowed here",
        FaultRule.AvxDisabled => "AVX is not enabled: CR4.OSXSAVE is 0 or XCR0 lacks SSE or AVX state",
        FaultRule.SseDisabled => "SSE is not enabled: CR4.OSFXSR is 0 or CR0.EM is 1",
        FaultRule.TaskSwitched => "SSE or x87 with CR0.TS = 1",
        FaultRule.DivideByZero => "the divisor is 0",
        FaultRule.QuotientOverflow => "the quotient does not fit its register",
        FaultRule.MisalignedOperand => "the operand must be aligned and is not",
        FaultRule.NotEnabled => "the bit of CR4 that enables the instruction is 0",
        FaultRule.ReservedOperand => "an operand has a value that is reserved",
        FaultRule.UserModePrevention => "CR4.UMIP keeps the instruction from CPL above 0",
        FaultRule.ReservedControlBits => "a reserved bit is set, or bits that do not go together",
        FaultRule.UnknownMsr => "there is no such MSR",
        FaultRule.NullSelector => "the selector is null",
        FaultRule.SelectorOutsideTable => "the selector lies beyond its descriptor table's limit",
        FaultRule.DescriptorType => "the descriptor is of the wrong type",
        FaultRule.DescriptorPrivilege => "DPL, CPL and RPL do not go together",
        FaultRule.DescriptorNotPresent => "P is 0 in the descriptor or gate",
        FaultRule.VectorOutsideIdt => "the vector's gate lies beyond IDTR.limit",
        FaultRule.GatePrivilege => "the gate's DPL is below CPL",
        FaultRule.TssLimit => "there is no TSS, or it is too short",
        FaultRule.SecondFault => "an exception could not be delivered because of another",
        FaultRule.Requested => "the instruction asks for it",
        FaultRule.SimdException => "an unmasked SIMD floating-point exception",
        FaultRule.X87Exception => "an earlier x87 instruction found an unmasked exception",
        FaultRule.MmxDisabled => "MMX is not there while CR0.EM is 1",
        FaultRule.NestedTask => "IRET with RFLAGS.NT = 1 in 64-bit mode",
        FaultRule.NonMaskable => "a non-maskable interrupt",
        FaultRule.ExternalInterrupt => "an interrupt from outside the processor",
        FaultRule.SingleStep => "RFLAGS.TF was 1",
        FaultRule.Breakpoint => "the instruction before met a breakpoint of DR0 to DR3",
        FaultRule.InstructionBreakpoint => "an instruction breakpoint of DR0 to DR3",
        FaultRule.DebugRegisterGuard => "a debug register was used with DR7.GD = 1",
        FaultRule.StructureOutsideMemory => "the processor needs to read or write there, and no memory that allows it is there",
        FaultRule.PdpteReservedBits => "a PDPTE to be loaded is present with a reserved bit set, or lies in no memory",
        FaultRule.LongModeTransition =>
            "IA-32e mode is entered with CR4.PAE = 1, CS.L = 0 and no 16-bit TSS, keeps CR4.PAE and CR4.LA57, and is left with CS.L = 0 and CR4.PCIDE = 0",
        FaultRule.SegmentLimit => "the segment is null, does not allow this access, or ends before it",
        FaultRule.CodeLimit => "the instruction pointer lies beyond CS.limit",
        FaultRule.BoundExceeded => "the index lies outside its bounds",
        _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, "Not a rule."),
    };

    private static string WithSelector(in GuestFault fault)
    {
        string rule = OfRule(fault.Cause.Rule);
        uint code = fault.ErrorCode ?? 0;
        if ((code & ~ErrorCodes.External) == 0 || fault.Vector is ExceptionVector.PageFault or ExceptionVector.DoubleFault)
        {
            return rule;
        }

        string where = (code & ErrorCodes.Idt) != 0
            ? string.Create(CultureInfo.InvariantCulture, $"vector {code >> 3}")
            : string.Create(CultureInfo.InvariantCulture, $"selector 0x{code & 0xFFFC:x}");
        return $"{where}: {rule}";
    }

    private static WalkAccess AccessOf(PageFaultCode code)
    {
        AccessKind kind = (code & PageFaultCode.InstructionFetch) != 0 ? AccessKind.Execute
            : (code & PageFaultCode.Write) != 0 ? AccessKind.Write
            : AccessKind.Read;
        return new WalkAccess(kind, (code & PageFaultCode.User) != 0, ShadowStack: (code & PageFaultCode.ShadowStack) != 0);
    }
}
