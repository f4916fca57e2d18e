using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The state of one logical processor: architectural registers first, then what the run loop keeps beside them.
/// It lives in unmanaged memory at a fixed address; decoded operations name its registers by byte offset.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
[SuppressMessage("Design", "CA1051:Do not declare visible instance fields", Justification = "A record of machine words.")]
public unsafe struct CpuState
{
    /// <summary>RAX to R15 in encoding order, then a word that always holds 0: the base or index an address does not have.</summary>
    public GeneralRegisters Gpr;

    /// <summary>The instruction pointer: exact whenever no block is being executed.</summary>
    public ulong Rip;

    /// <summary>RFLAGS.CF, PF, AF, ZF, SF and OF, not yet computed.</summary>
    public LazyFlags Flags;

    /// <summary>The RFLAGS bits that are not status flags: TF, IF, DF, IOPL, NT, RF, AC, ID.</summary>
    public ulong SystemFlags;

    /// <summary>The vector registers; SSE uses the low 128 bits of the first sixteen.</summary>
    public VectorRegisters Vector;

    /// <summary>MXCSR.</summary>
    public uint Mxcsr;

    /// <summary>PKRU: access and write rights of the sixteen user protection keys.</summary>
    public uint Pkru;

    /// <summary>The x87 unit, whose registers MMX shares.</summary>
    public X87State X87;

    /// <summary>XCR0: the state components that XSAVE manages.</summary>
    public ulong Xcr0;

    /// <summary>The current privilege level.</summary>
    public byte Cpl;

    /// <summary>ES, CS, SS, DS, FS, GS with their hidden parts.</summary>
    public SegmentRegisters Segments;

    /// <summary>The task register.</summary>
    public SegmentRegister Tr;

    /// <summary>The local descriptor table register.</summary>
    public SegmentRegister Ldtr;

    /// <summary>GDTR.</summary>
    public DescriptorTableRegister Gdtr;

    /// <summary>IDTR.</summary>
    public DescriptorTableRegister Idtr;

    /// <summary>CR0.</summary>
    public ulong Cr0;

    /// <summary>CR2: the linear address of the last page fault.</summary>
    public ulong Cr2;

    /// <summary>CR3.</summary>
    public ulong Cr3;

    /// <summary>CR4.</summary>
    public ulong Cr4;

    /// <summary>CR8: the task priority.</summary>
    public ulong Cr8;

    /// <summary>DR0 to DR7; 4 and 5 are aliases that the instructions resolve.</summary>
    public DebugRegisters Dr;

    /// <summary>
    /// The PDPTE registers of PAE paging: what MOV to a control register last found in memory. Whoever sets CR3 from outside sets them too.
    /// </summary>
    public PdpteRegisters Pdpte;

    /// <summary>The model-specific registers.</summary>
    public ModelSpecificRegisters Msr;

    /// <summary>Where the sequence stands from which RDRAND and RDSEED draw.</summary>
    public ulong Random;

    /// <summary>Where a method that is not inlined leaves the result for its handler; see <see cref="Result{T}"/>.</summary>
    internal Vector512<byte> LastResult;

    /// <summary>What the running SSE or AVX instruction found while computing.</summary>
    internal FloatStatus FloatStatus;

    /// <summary>What the running x87 instruction found while computing.</summary>
    internal X87Status X87Status;

    /// <summary>The TLB entries of the current privilege context.</summary>
    internal TlbEntry* Tlb;

    /// <summary>The table of decoded blocks, for indirect branches.</summary>
    internal Block** BlockTable;

    /// <summary>The operation at which the last chain ended.</summary>
    internal Op* Current;

    /// <summary>The TLB epoch at which blocks were last found valid.</summary>
    internal ulong Epoch;

    /// <summary>What blocks depend on beside their bytes: see <see cref="BlockMode"/>.</summary>
    internal BlockMode Mode;

    /// <summary>Low half: instructions left in this slice. High half: data accesses made in it.</summary>
    internal ulong Meter;

    /// <summary>Instructions left in this slice.</summary>
    internal readonly int Remaining
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (int)Meter;
    }

    /// <summary>A register by its byte offset in this structure.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ref T At<T>(ref CpuState cpu, int offset)
        where T : unmanaged =>
        ref Unsafe.As<byte, T>(ref Unsafe.AddByteOffset(ref Unsafe.As<CpuState, byte>(ref cpu), (nint)(uint)offset));

    /// <summary>A number or a vector that a method hands to its handler, which must have no local whose address is taken.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ref T Result<T>(ref CpuState cpu)
        where T : unmanaged => ref Unsafe.As<Vector512<byte>, T>(ref cpu.LastResult);

    /// <summary>Writes a general register: a 32-bit write clears the upper half (SDM Vol. 1, 3.4.1.1).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Set<T>(ref CpuState cpu, int offset, T value)
        where T : unmanaged
    {
        if (sizeof(T) == sizeof(uint))
        {
            At<ulong>(ref cpu, offset) = Unsafe.BitCast<T, uint>(value);
        }
        else
        {
            At<T>(ref cpu, offset) = value;
        }
    }
}

/// <summary>RAX to R15, and a seventeenth word that always holds 0.</summary>
[InlineArray(GeneralRegister.Count + 1)]
public struct GeneralRegisters
{
    private ulong first;
}

/// <summary>Thirty-two vector registers of 512 bits.</summary>
[InlineArray(32)]
public struct VectorRegisters
{
    private Vector512<byte> first;
}

/// <summary>DR0 to DR7.</summary>
[InlineArray(8)]
public struct DebugRegisters
{
    private ulong first;
}
