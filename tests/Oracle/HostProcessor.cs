using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Quadwalk.Tests;

/// <summary>
/// Runs one user-mode instruction on the host's own processor. An instruction that faults ends the process: the
/// caller keeps memory operands inside <see cref="Scratch"/>, 16-byte operands of SSE instructions aligned, and
/// divisions in range. Not thread-safe: one instance per thread.
/// </summary>
public sealed unsafe class HostProcessor : IDisposable
{
    /// <summary>Bytes of memory the tested instruction may address.</summary>
    public const int ScratchSize = StubMemory.ScratchSize;

    private const ulong TestedFlags = HostState.StatusFlags | HostState.DirectionFlag;
    private const int MaxInstructionLength = 15;
    private const int XsaveOffset = 1024;

    private readonly StubMemory memory = new();
    private readonly StubControl* control;
    private readonly XsaveArea* area;
    private readonly StubTemplate plain;
    private readonly StubTemplate ownStack;
    private readonly Dictionary<UInt128, nint> stubs = [];
    private UInt128 lastKey;
    private nint lastStub;
    private int used;
    private bool recycled;
    private bool disposed;

    /// <exception cref="PlatformNotSupportedException">Not an x64 Linux host.</exception>
    public HostProcessor()
    {
        if (!IsSupported)
        {
            throw new PlatformNotSupportedException("the host processor is an oracle on x64 Linux only");
        }

        control = (StubControl*)memory.Control;
        area = (XsaveArea*)(memory.Control + XsaveOffset);
        plain = new StubTemplate(control, area, ownStackPointer: false);
        ownStack = new StubTemplate(control, area, ownStackPointer: true);
    }

    public static bool IsSupported => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    /// <summary>Memory operands point here. It lies below 2 GiB, so that 32-bit addresses reach it too.</summary>
    public Span<byte> Scratch
    {
        get
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            return new Span<byte>(memory.Scratch, ScratchSize);
        }
    }

    /// <summary>The address of <see cref="Scratch"/>, a multiple of 4096.</summary>
    public ulong ScratchAddress => (ulong)memory.Scratch;

    /// <summary>Stubs held; returns to zero whenever the code memory fills.</summary>
    public int CachedStubs => stubs.Count;

    /// <summary>
    /// Loads <paramref name="state"/>, runs the instruction and stores the state it leaves. RSP is the host's own
    /// and its value in the state is neither read nor written.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// The bytes are not exactly one instruction that falls through and leaves system state alone, or MXCSR or the x87 control word unmasks an exception.
    /// </exception>
    public void Run(ReadOnlySpan<byte> instruction, ref HostState state) => Call(instruction, StubKind.Plain, ref state);

    /// <summary>As <see cref="Run"/>, with RSP taken from the state and stored back.</summary>
    /// <exception cref="ArgumentException">As for <see cref="Run"/>, or RSP is not inside <see cref="Scratch"/> or at its end.</exception>
    public void RunOnStack(ReadOnlySpan<byte> instruction, ref HostState state)
    {
        if (state.Gpr[4] - ScratchAddress > ScratchSize)
        {
            ThrowStackOutside(state.Gpr[4]);
        }

        Call(instruction, StubKind.OwnStack, ref state);
    }

    /// <summary>Runs a relative jump (JMP, Jcc, LOOPcc, JRCXZ), whatever its displacement, and says whether it was taken.</summary>
    /// <exception cref="ArgumentException">The bytes are not exactly one relative jump, or MXCSR or the x87 control word unmasks an exception.</exception>
    public bool RunBranch(ReadOnlySpan<byte> instruction, ref HostState state)
    {
        Call(instruction, StubKind.Branch, ref state);
        return control->Taken != 0;
    }

    /// <summary>
    /// Where <see cref="RunNear"/> runs an instruction, and the only address to which it may go. Both hold until another instruction
    /// is run.
    /// </summary>
    /// <exception cref="ArgumentException">The bytes are not exactly one near CALL, RET or indirect JMP with 64-bit operands.</exception>
    public (ulong Address, ulong Landing) PlaceNear(ReadOnlySpan<byte> instruction)
    {
        nint stub = Find(Key(instruction, StubKind.Near), instruction, StubKind.Near);
        ulong address = (ulong)stub + (ulong)ownStack.Prologue.Length;
        return (address, address + (ulong)(instruction.Length + ownStack.NotTaken.Length));
    }

    /// <summary>
    /// Runs a near CALL, RET or indirect JMP, RSP taken from the state and stored back, and says whether it arrived. What is not relative
    /// must find the landing of <see cref="PlaceNear"/> in its operand: elsewhere it would be lost.
    /// </summary>
    /// <exception cref="ArgumentException">As for <see cref="RunOnStack"/> and <see cref="PlaceNear"/>.</exception>
    public bool RunNear(ReadOnlySpan<byte> instruction, ref HostState state)
    {
        if (state.Gpr[4] - ScratchAddress > ScratchSize)
        {
            ThrowStackOutside(state.Gpr[4]);
        }

        Call(instruction, StubKind.Near, ref state);
        return control->Taken != 0;
    }

    public void Dispose()
    {
        disposed = true;
        memory.Dispose();
    }

    private void Call(ReadOnlySpan<byte> instruction, StubKind kind, ref HostState state)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if ((state.Mxcsr & 0xFFFF_1F80) != HostState.DefaultMxcsr)
        {
            ThrowMxcsr(state.Mxcsr);
        }

        if ((~state.X87.Control & HostX87.ExceptionMasks) != 0)
        {
            ThrowControlWord(state.X87.Control);
        }

        UInt128 key = Key(instruction, kind);
        nint stub = key == lastKey ? lastStub : Find(key, instruction, kind);
        state.Rflags = (state.Rflags & TestedFlags) | 2;
        area->Load(state);
        fixed (HostState* pointer = &state)
        {
            // SAFETY: the stub is a leaf of a few hundred bytes that touches only this state, the control page (whose XSAVE area is 64-byte aligned) and the scratch pages.
            ((delegate* unmanaged[SuppressGCTransition]<HostState*, void>)stub)(pointer);
        }

        area->Store(ref state);
        state.Rflags = (state.Rflags & TestedFlags) | 2;
    }

    private static UInt128 Key(ReadOnlySpan<byte> instruction, StubKind kind)
    {
        if (instruction.Length is 0 or > MaxInstructionLength)
        {
            ThrowLength(instruction.Length);
        }

        UInt128 key = 0;
        instruction.CopyTo(new Span<byte>(&key, MaxInstructionLength));
        ((byte*)&key)[MaxInstructionLength] = (byte)((instruction.Length << 4) | (int)kind);
        return key;
    }

    private nint Find(UInt128 key, ReadOnlySpan<byte> instruction, StubKind kind)
    {
        if (!stubs.TryGetValue(key, out nint stub))
        {
            stub = Emit(instruction, kind);
            stubs.Add(key, stub);
        }

        lastKey = key;
        lastStub = stub;
        return stub;
    }

    private nint Emit(ReadOnlySpan<byte> instruction, StubKind kind)
    {
        StubTemplate template = kind is StubKind.OwnStack or StubKind.Near ? ownStack : plain;
        byte[] tested = kind switch
        {
            StubKind.Branch => [.. StubRules.Retarget(instruction, template.NotTaken.Length), .. template.NotTaken, .. template.Taken],
            StubKind.Near => [.. StubRules.CheckNear(instruction, template.NotTaken.Length), .. template.NotTaken, .. template.Taken],
            _ => StubRules.CheckFallsThrough(instruction),
        };
        byte[] stub = [.. template.Prologue, .. tested, .. template.Epilogue];

        if (used + stub.Length > StubMemory.CodeSize)
        {
            stubs.Clear();
            used = 0;
            recycled = true;
        }

        stub.CopyTo(memory.WritableCode[used..]);
        nint entry = (nint)(memory.Code + used);
        used += (stub.Length + 63) & ~63;
        if (recycled)
        {
            // SDM vol. 3, 9.1.3: code changed through another linear address needs a serializing instruction before it runs.
            _ = X86Base.CpuId(0, 0);
        }

        return entry;
    }

    [DoesNotReturn]
    private static void ThrowLength(int length) =>
        throw new ArgumentException($"an instruction has 1 to {MaxInstructionLength} bytes, not {length}");

    [DoesNotReturn]
    private static void ThrowMxcsr(uint mxcsr) =>
        throw new ArgumentException($"MXCSR {mxcsr:x8} unmasks an exception or sets a reserved bit");

    [DoesNotReturn]
    private static void ThrowControlWord(ushort control) =>
        throw new ArgumentException($"the x87 control word {control:x4} unmasks an exception");

    [DoesNotReturn]
    private static void ThrowStackOutside(ulong rsp) =>
        throw new ArgumentException($"RSP {rsp:x16} is outside the scratch memory");

    private enum StubKind
    {
        Plain,
        OwnStack,
        Branch,
        Near,
    }
}
