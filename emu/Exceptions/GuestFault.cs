using System.Globalization;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>An exception as the guest gets it, with its cause.</summary>
/// <param name="Vector">The vector.</param>
/// <param name="ErrorCode">The error code pushed, for the vectors that have one.</param>
/// <param name="Address">The linear address concerned: CR2 of #PF, the operand or target of others; 0 where there is none.</param>
/// <param name="Cause">Why.</param>
public readonly record struct GuestFault(ExceptionVector Vector, uint? ErrorCode, Gva Address, FaultCause Cause)
{
    /// <summary>The mnemonic: <c>#PF</c>.</summary>
    public string Name => Cause.Rule == FaultRule.ExternalInterrupt ? InterruptName : Vector switch
    {
        ExceptionVector.DivideError => "#DE",
        ExceptionVector.Debug => "#DB",
        ExceptionVector.NonMaskableInterrupt => "NMI",
        ExceptionVector.Breakpoint => "#BP",
        ExceptionVector.Overflow => "#OF",
        ExceptionVector.BoundRange => "#BR",
        ExceptionVector.InvalidOpcode => "#UD",
        ExceptionVector.DeviceNotAvailable => "#NM",
        ExceptionVector.DoubleFault => "#DF",
        ExceptionVector.InvalidTss => "#TS",
        ExceptionVector.SegmentNotPresent => "#NP",
        ExceptionVector.StackFault => "#SS",
        ExceptionVector.GeneralProtection => "#GP",
        ExceptionVector.PageFault => "#PF",
        ExceptionVector.FloatingPoint => "#MF",
        ExceptionVector.AlignmentCheck => "#AC",
        ExceptionVector.MachineCheck => "#MC",
        ExceptionVector.SimdFloatingPoint => "#XM",
        _ => InterruptName,
    };

    /// <summary>The mnemonic with the error code, where there is one: <c>#PF(0x2)</c>.</summary>
    public string NameWithCode => ErrorCode is uint error ? string.Create(CultureInfo.InvariantCulture, $"{Name}(0x{error:x})") : Name;

    private string InterruptName => string.Create(CultureInfo.InvariantCulture, $"INT 0x{(byte)Vector:x2}");

    /// <inheritdoc/>
    public override string ToString()
    {
        string address = Cause.HasAddress ? $" at {Address}" : "";
        return $"{NameWithCode}{address}: {FaultCauseText.Describe(this)}";
    }
}

/// <summary>Why a fault was raised.</summary>
/// <param name="Rule">The rule that was broken.</param>
/// <param name="Walk">The failed walk, for <see cref="FaultRule.PageWalk"/>.</param>
public readonly record struct FaultCause(FaultRule Rule, WalkResult Walk = default)
{
    /// <summary>Whether the fault's address says something.</summary>
    public bool HasAddress => Rule is FaultRule.PageWalk or FaultRule.NonCanonicalAddress or FaultRule.NonCanonicalTarget
        or FaultRule.MisalignedOperand or FaultRule.StructureOutsideMemory or FaultRule.FetchFromNowhere;

    /// <summary>Whether it came between two instructions, with RIP at the one that is next.</summary>
    internal bool IsBetweenInstructions => Rule is FaultRule.NonMaskable or FaultRule.ExternalInterrupt or FaultRule.SingleStep
        or FaultRule.Breakpoint or FaultRule.InstructionBreakpoint;

    /// <inheritdoc/>
    public override string ToString() => Rule == FaultRule.PageWalk ? $"{Walk.Failure}" : FaultCauseText.OfRule(Rule);
}
