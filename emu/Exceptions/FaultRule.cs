namespace Quadwalk.Emulation;

/// <summary>The rule that an instruction broke: what a person wants to read beside a vector and an error code.</summary>
public enum FaultRule : byte
{
    /// <summary>A page walk failed; the walk says where and why.</summary>
    PageWalk,

    /// <summary>A memory operand's address is not canonical.</summary>
    NonCanonicalAddress,

    /// <summary>A branch target or return address is not canonical.</summary>
    NonCanonicalTarget,

    /// <summary>A privileged instruction at CPL above 0.</summary>
    Privileged,

    /// <summary>CPL above IOPL and no leave in the TSS's I/O permission bitmap.</summary>
    IoPermission,

    /// <summary>The bytes are no instruction, or one that this processor does not have.</summary>
    UndefinedOpcode,

    /// <summary>UD2 and its kin.</summary>
    ExplicitUndefined,

    /// <summary>The instruction's bytes lie in no memory.</summary>
    FetchFromNowhere,

    /// <summary>The instruction is longer than 15 bytes.</summary>
    InstructionTooLong,

    /// <summary>LOCK on an instruction or operand that does not take it.</summary>
    LockNotAllowed,

    /// <summary>SSE with CR4.OSFXSR = 0 or CR0.EM = 1.</summary>
    SseDisabled,

    /// <summary>AVX with CR4.OSXSAVE = 0, or with SSE or AVX state missing in XCR0.</summary>
    AvxDisabled,

    /// <summary>SSE with CR0.TS = 1.</summary>
    TaskSwitched,

    /// <summary>Division by zero.</summary>
    DivideByZero,

    /// <summary>A quotient too large for its register.</summary>
    QuotientOverflow,

    /// <summary>A memory operand that must be aligned is not.</summary>
    MisalignedOperand,

    /// <summary>A CR4 bit that enables the instruction is 0.</summary>
    NotEnabled,

    /// <summary>A register or a structure in memory that an instruction reads has a value that is reserved.</summary>
    ReservedOperand,

    /// <summary>CR4.UMIP keeps the instruction from CPL 1 to 3.</summary>
    UserModePrevention,

    /// <summary>A reserved bit, or a combination of bits, that a control register or MSR does not take.</summary>
    ReservedControlBits,

    /// <summary>An MSR that this processor does not have.</summary>
    UnknownMsr,

    /// <summary>A null selector where a segment is needed.</summary>
    NullSelector,

    /// <summary>A selector beyond its descriptor table's limit.</summary>
    SelectorOutsideTable,

    /// <summary>A descriptor of the wrong type.</summary>
    DescriptorType,

    /// <summary>A descriptor, CPL and RPL that do not go together.</summary>
    DescriptorPrivilege,

    /// <summary>A descriptor or gate that is not present.</summary>
    DescriptorNotPresent,

    /// <summary>A vector beyond IDTR.limit.</summary>
    VectorOutsideIdt,

    /// <summary>INT n through a gate whose DPL is below CPL.</summary>
    GatePrivilege,

    /// <summary>The TSS is too short, or there is none.</summary>
    TssLimit,

    /// <summary>A contributory fault while another was being delivered.</summary>
    SecondFault,

    /// <summary>INT3, INT n, INT1 or a debug event: a trap the guest asked for.</summary>
    Requested,

    /// <summary>An unmasked SIMD floating-point exception.</summary>
    SimdException,

    /// <summary>MMX with CR0.EM = 1.</summary>
    MmxDisabled,

    /// <summary>An unmasked x87 exception of an earlier instruction.</summary>
    X87Exception,

    /// <summary>IRET with RFLAGS.NT in 64-bit mode.</summary>
    NestedTask,

    /// <summary>A non-maskable interrupt.</summary>
    NonMaskable,

    /// <summary>An interrupt from outside the processor.</summary>
    ExternalInterrupt,

    /// <summary>RFLAGS.TF after an instruction, or a task switch that wants a trap.</summary>
    SingleStep,

    /// <summary>A data or port breakpoint, after the instruction that met it.</summary>
    Breakpoint,

    /// <summary>An instruction breakpoint.</summary>
    InstructionBreakpoint,

    /// <summary>A debug register while DR7.GD = 1.</summary>
    DebugRegisterGuard,

    /// <summary>A descriptor table, a TSS or an exception frame that lies in no memory, or a frame in memory that cannot be written.</summary>
    StructureOutsideMemory,

    /// <summary>A PDPTE that a change of a control register loads is present with a reserved bit set, or lies in no memory.</summary>
    PdpteReservedBits,

    /// <summary>IA-32e mode would be entered or left in a way that the SDM forbids.</summary>
    LongModeTransition,

    /// <summary>An access beyond a segment's limit, or of a kind that the segment does not allow, or to a segment that is not there.</summary>
    SegmentLimit,

    /// <summary>An instruction pointer beyond CS.limit.</summary>
    CodeLimit,

    /// <summary>BOUND with an index outside its bounds.</summary>
    BoundExceeded,
}
