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

    private readonly StubMemory _memory = new();
    private readonly StubControl* _control;
    private readonly StubTemplate _plain;
    private readonly StubTemplate _ownStack;
    private readonly Dictionary<UInt128, nint> _stubs = [];
    private UInt128 _lastKey;
    private nint _lastStub;
    private int _used;
    private bool _recycled;
    private bool _disposed;

    /// <exception cref="PlatformNotSupportedException">Not an x64 Linux host.</exception>
    public HostProcessor()
    {
        if (!IsSupported)
        {
            throw new PlatformNotSupportedException("the host processor is an oracle on x64 Linux only");
        }

        _control = (StubControl*)_memory.Control;
        _plain = new StubTemplate(_control, ownStackPointer: false);
        _ownStack = new StubTemplate(_control, ownStackPointer: true);
    }

    public static bool IsSupported => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    /// <summary>Memory operands point here. It lies below 2 GiB, so that 32-bit addresses reach it too.</summary>
    public Span<byte> Scratch
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return new Span<byte>(_memory.Scratch, ScratchSize);
        }
    }

    /// <summary>The address of <see cref="Scratch"/>, a multiple of 4096.</summary>
    public ulong ScratchAddress => (ulong)_memory.Scratch;

    /// <summary>Stubs held; returns to zero whenever the code memory fills.</summary>
    public int CachedStubs => _stubs.Count;

    /// <summary>
    /// Loads <paramref name="state"/>, runs the instruction and stores the state it leaves. RSP is the host's own
    /// and its value in the state is neither read nor written.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// The bytes are not exactly one instruction that falls through and leaves system state alone, or MXCSR unmasks an exception.
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
    /// <exception cref="ArgumentException">The bytes are not exactly one relative jump, or MXCSR unmasks an exception.</exception>
    public bool RunBranch(ReadOnlySpan<byte> instruction, ref HostState state)
    {
        Call(instruction, StubKind.Branch, ref state);
        return _control->Taken != 0;
    }

    public void Dispose()
    {
        _disposed = true;
        _memory.Dispose();
    }

    private void Call(ReadOnlySpan<byte> instruction, StubKind kind, ref HostState state)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if ((state.Mxcsr & 0xFFFF_1F80) != HostState.DefaultMxcsr)
        {
            ThrowMxcsr(state.Mxcsr);
        }

        UInt128 key = Key(instruction, kind);
        nint stub = key == _lastKey ? _lastStub : Find(key, instruction, kind);
        state.Rflags = (state.Rflags & TestedFlags) | 2;
        fixed (HostState* pointer = &state)
        {
            // SAFETY: the stub is a leaf of a few hundred bytes that touches only this state, the control page and the scratch pages.
            ((delegate* unmanaged[SuppressGCTransition]<HostState*, void>)stub)(pointer);
        }

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
        if (!_stubs.TryGetValue(key, out nint stub))
        {
            stub = Emit(instruction, kind);
            _stubs.Add(key, stub);
        }

        _lastKey = key;
        _lastStub = stub;
        return stub;
    }

    private nint Emit(ReadOnlySpan<byte> instruction, StubKind kind)
    {
        StubTemplate template = kind == StubKind.OwnStack ? _ownStack : _plain;
        byte[] tested = kind == StubKind.Branch
            ? [.. StubRules.Retarget(instruction, template.NotTaken.Length), .. template.NotTaken, .. template.Taken]
            : StubRules.CheckFallsThrough(instruction);
        byte[] stub = [.. template.Prologue, .. tested, .. template.Epilogue];

        if (_used + stub.Length > StubMemory.CodeSize)
        {
            _stubs.Clear();
            _used = 0;
            _recycled = true;
        }

        stub.CopyTo(_memory.WritableCode[_used..]);
        nint entry = (nint)(_memory.Code + _used);
        _used += (stub.Length + 63) & ~63;
        if (_recycled)
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
    private static void ThrowStackOutside(ulong rsp) =>
        throw new ArgumentException($"RSP {rsp:x16} is outside the scratch memory");

    private enum StubKind
    {
        Plain,
        OwnStack,
        Branch,
    }
}
