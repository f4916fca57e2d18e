using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NUnit.Framework;
using Unicorn.Net;

namespace Quadwalk.Tests;

/// <summary>The hooks of the binding: what each is called with, what its answer does, and what becomes of an exception.</summary>
[TestFixture]
public sealed class UnicornHookTests
{
    private const ulong Code = 0x1000, Data = 0x4000, Device = 0x8000;

    [SetUp]
    public void RequireLibrary() => UnicornOracle.Require();

    public static IEnumerable<TestCaseData> Events =>
    [
        Case(HookKinds.Code, [0x90, 0xff, 0xc0], "code 1000+1 code 1001+2"),
        Case(HookKinds.Block, [0x90, 0xff, 0xc0], "block 1000+3"),
        Case(HookKinds.Interrupt, [0xcd, 0x80], "interrupt 80"),
        Case(HookKinds.Interrupt, [0xcc], "interrupt 3"),
        Case(HookKinds.InvalidInstruction, [0x0f, 0x0b], "invalid instruction", UnicornError.InvalidInstruction),
        Case(HookKinds.Read, [0x8b, 0x03], "Read 4000+4=0"),
        Case(HookKinds.Write, [0x89, 0x03], "Write 4000+4=5"),
        Case(HookKinds.ReadAfter, [0x8b, 0x03], "ReadAfter 4000+4=77"),
        Case(HookKinds.Memory, [0x01, 0x03], "Read 4000+4=0 Write 4000+4=7c"),
        Case(HookKinds.InvalidMemory, [0x8b, 0x83, 0, 0x10, 0, 0], "failed ReadUnmapped 5000+4", UnicornError.ReadUnmapped),
        Case(HookKinds.Unmapped, [0x89, 0x83, 0, 0x10, 0, 0], "failed WriteUnmapped 5000+4", UnicornError.WriteUnmapped),
        Case(HookKinds.Protected, [0xff, 0xe3], "failed FetchProtected 4000+1", UnicornError.FetchProtected),
    ];

    public static IEnumerable<TestCaseData> Instructions =>
    [
        new TestCaseData(X86HookInstruction.In, (byte[])[0xe4, 0x60], "in 60+1").SetArgDisplayNames("In"),
        new TestCaseData(X86HookInstruction.Out, (byte[])[0xe7, 0x61], "out 61+4=5").SetArgDisplayNames("Out"),
        new TestCaseData(X86HookInstruction.Cpuid, (byte[])[0x0f, 0xa2], "cpuid").SetArgDisplayNames("Cpuid"),
        new TestCaseData(X86HookInstruction.Syscall, (byte[])[0x0f, 0x05], "syscall").SetArgDisplayNames("Syscall"),
        new TestCaseData(X86HookInstruction.Sysenter, (byte[])[0x0f, 0x34], "syscall").SetArgDisplayNames("Sysenter"),
    ];

    [TestCaseSource(nameof(Events))]
    public void AnEventReachesTheHandler(HookKinds kinds, byte[] code, string expected, UnicornError end)
    {
        using UnicornEngine engine = Open(code);
        Recorder recorder = new();
        engine.AddHook(kinds, recorder);
        UnicornError error = engine.TryStart(Code, Code + (ulong)code.Length);
        Assert.That((recorder.Text, error), Is.EqualTo((expected, end)));
    }

    [TestCaseSource(nameof(Instructions))]
    public void AnInstructionReachesTheHandler(X86HookInstruction instruction, byte[] code, string expected)
    {
        using UnicornEngine engine = Open(code);
        Recorder recorder = new();
        engine.AddInstructionHook(instruction, recorder);
        engine.Start(Code, Code + (ulong)code.Length);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(recorder.Text, Is.EqualTo(expected));
            Assert.That(engine.ReadRegister(X86Register.Al), Is.EqualTo(instruction == X86HookInstruction.In ? 0x42UL : 5UL), "AL");
        }
    }

    [Test]
    public void EdgesAndSubtractionsReachTheHandler()
    {
        using UnicornEngine engine = Open([0x83, 0xe8, 1, 0x75, 0xfb]); // sub eax, 1; jnz back
        Recorder edges = new(), subtractions = new();
        engine.AddHook(HookKinds.EdgeGenerated, edges);
        engine.AddTcgOpcodeHook(TcgOpcode.Subtract, TcgOpcodeFlags.None, subtractions);
        engine.Start(Code, Code + 5);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(edges.Text, Is.EqualTo("edge 1000->1005"));
            Assert.That(subtractions.Text, Does.StartWith("sub 1000: 5-1"));
        }
    }

    [Test]
    public void ATlbFillTranslates()
    {
        using UnicornEngine engine = Open([0x8b, 0x0c, 0x25, 0, 0x20, 0x12, 0]); // mov ecx, [0x122000]
        engine.SetTlbType(TlbType.Virtual);
        Recorder recorder = new();
        engine.AddHook(HookKinds.TlbFill, recorder);
        engine.Start(Code, Code + 7);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(recorder.Text, Is.EqualTo("fill Fetch 1000 fill Read 122000"));
            Assert.That(engine.ReadRegister(X86Register.Ecx), Is.EqualTo(0x77));
        }
    }

    [Test]
    public void ADeviceIsReadAndWritten()
    {
        using UnicornEngine engine = Open([0x66, 0x8b, 0x83, 4, 0x40, 0, 0, 0x88, 0x83, 9, 0x40, 0, 0]); // mov ax, [rbx+4004]; mov [rbx+4009], al
        RecordingDevice device = new();
        engine.MapMmio(Device, 0x1000, device);
        engine.Start(Code, Code + 13);
        Assert.That(device.Log, Is.EqualTo(new[] { "read 4+2", "write 9+1=34" }));
    }

    [Test]
    public void ARemovedHookIsCalledNoMore()
    {
        using UnicornEngine engine = Open([0x90]);
        Recorder recorder = new();
        Hook hook = engine.AddHook(HookKinds.Code, recorder);
        engine.Start(Code, Code + 1);
        hook.Dispose();
        hook.Dispose();
        engine.Start(Code, Code + 1);
        Assert.That(recorder.Text, Is.EqualTo("code 1000+1"));
    }

    [TestCase(HookKinds.Code, 0x90)]
    [TestCase(HookKinds.Block, 0x90)]
    [TestCase(HookKinds.Interrupt, 0xcc)]
    [TestCase(HookKinds.InvalidInstruction, 0xce)]
    [TestCase(HookKinds.Read, 0x5b)]
    [TestCase(HookKinds.InvalidMemory, 0xa4)]
    [TestCase(HookKinds.TlbFill, 0x90)]
    public void AnExceptionInAHookComesOutOfStart(HookKinds kinds, byte code)
    {
        using UnicornEngine engine = Open([code, 0x90]);
        if (kinds == HookKinds.TlbFill)
        {
            engine.SetTlbType(TlbType.Virtual);
        }

        InvalidTimeZoneException thrown = new("thrown in a hook");
        Hook hook = engine.AddHook(kinds, new Thrower(thrown));
        Assert.That(() => engine.Start(Code, Code + 1), Throws.Exception.SameAs(thrown));
        hook.Dispose();
        Assert.That(() => engine.ReadRegister(X86Register.Rax), Throws.Nothing);
    }

    [Test]
    public void AnExceptionInADeviceComesOutOfStart()
    {
        using UnicornEngine engine = Open([0x8b, 0x83, 0, 0x40, 0, 0]);
        engine.MapMmio(Device, 0x1000, new ThrowingDevice());
        Assert.That(() => engine.Start(Code, Code + 6), Throws.TypeOf<NotSupportedException>());
    }

    [TestCase(HookKinds.Code | HookKinds.Block)]
    [TestCase(HookKinds.Read | HookKinds.ReadUnmapped)]
    [TestCase(HookKinds.Instruction)]
    [TestCase(HookKinds.TcgOpcode)]
    [TestCase((HookKinds)0)]
    public void KindsThatLeadToNoOneMethodAreRefused(HookKinds kinds)
    {
        using UnicornEngine engine = Open([]);
        Assert.That(() => engine.AddHook(kinds, new Recorder()), Throws.ArgumentException);
    }

    [Test]
    public unsafe void AFunctionPointerIsCalledDirectly()
    {
        using UnicornEngine engine = Open([0x90, 0x90, 0x90]);
        long count = 0;
        delegate* unmanaged[Cdecl]<nint, ulong, uint, nint, void> callback = &CountUp;
        engine.AddHook(HookKinds.Code, callback, (nint)(&count));
        engine.Start(Code, Code + 3);
        Assert.That(count, Is.EqualTo(3));
    }

    [Test]
    public void AHookMayStopTheRunAndRemoveItself()
    {
        using UnicornEngine engine = Open([0x90, 0x90, 0x90]);
        SelfRemoving handler = new();
        handler.Hook = engine.AddHook(HookKinds.Code, handler, Code + 1, Code + 1);
        engine.Start(Code, Code + 3);
        ulong stopped = engine.ReadRegister(X86Register.Rip);
        engine.Start(Code, Code + 3);
        Assert.That((stopped, engine.ReadRegister(X86Register.Rip), handler.Calls), Is.EqualTo((Code + 1, Code + 3, 1)));
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static unsafe void CountUp(nint uc, ulong address, uint size, nint data) => ++*(long*)data;

    private static TestCaseData Case(HookKinds kinds, byte[] code, string expected, UnicornError end = UnicornError.Ok) =>
        new TestCaseData(kinds, code, expected, end).SetArgDisplayNames($"{kinds}", Convert.ToHexString(code));

    private static UnicornEngine Open(ReadOnlySpan<byte> code)
    {
        UnicornEngine engine = new(UnicornArchitecture.X86, UnicornMode.Bits64) { CpuModel = (int)X86CpuModel.Haswell };
        engine.Map(Code, 0x1000, MemoryPermissions.All);
        engine.Map(Data, 0x1000, MemoryPermissions.Read | MemoryPermissions.Write);
        engine.Write(Code, code);
        engine.Write(Data, [0x77]);
        engine.WriteRegisters([X86Register.Rax, X86Register.Rbx, X86Register.Rsp], [5, Data, Data + 0x100]);
        return engine;
    }

    private sealed class Recorder : HookHandler
    {
        private readonly List<string> events = [];

        public string Text => string.Join(' ', events);

        public override void OnCode(UnicornEngine engine, ulong address, uint size) => events.Add($"code {address:x}+{size}");

        public override void OnBlock(UnicornEngine engine, ulong address, uint size) => events.Add($"block {address:x}+{size}");

        public override void OnInterrupt(UnicornEngine engine, uint vector) => events.Add($"interrupt {vector:x}");

        public override bool OnInvalidInstruction(UnicornEngine engine)
        {
            events.Add("invalid instruction");
            return false;
        }

        public override void OnMemory(UnicornEngine engine, MemoryAccessType type, ulong address, int size, long value) =>
            events.Add($"{type} {address:x}+{size}={value:x}");

        public override bool OnInvalidMemory(UnicornEngine engine, MemoryAccessType type, ulong address, int size, long value)
        {
            events.Add($"failed {type} {address:x}+{size}");
            return false;
        }

        public override bool OnTlbFill(UnicornEngine engine, ulong address, MemoryAccessType type, out TlbEntry entry)
        {
            events.Add($"fill {type} {address:x}");
            entry = address == Code ? new(Code, MemoryPermissions.All) : new(Data, MemoryPermissions.Read);
            return true;
        }

        public override void OnEdge(UnicornEngine engine, TranslationBlock current, TranslationBlock previous) =>
            events.Add($"edge {previous.Address:x}->{current.Address:x}");

        public override void OnTcgOpcode(UnicornEngine engine, ulong address, ulong left, ulong right, uint size) =>
            events.Add($"sub {address:x}: {left:x}-{right:x}");

        public override uint OnPortIn(UnicornEngine engine, uint port, int size)
        {
            events.Add($"in {port:x}+{size}");
            return 0x42;
        }

        public override void OnPortOut(UnicornEngine engine, uint port, int size, uint value) => events.Add($"out {port:x}+{size}={value:x}");

        public override void OnSyscall(UnicornEngine engine) => events.Add("syscall");

        public override bool OnCpuid(UnicornEngine engine)
        {
            events.Add("cpuid");
            return true;
        }
    }

    private sealed class Thrower(Exception exception) : HookHandler
    {
        public override void OnCode(UnicornEngine engine, ulong address, uint size) => throw exception;

        public override void OnBlock(UnicornEngine engine, ulong address, uint size) => throw exception;

        public override void OnInterrupt(UnicornEngine engine, uint vector) => throw exception;

        public override bool OnInvalidInstruction(UnicornEngine engine) => throw exception;

        public override void OnMemory(UnicornEngine engine, MemoryAccessType type, ulong address, int size, long value) => throw exception;

        public override bool OnInvalidMemory(UnicornEngine engine, MemoryAccessType type, ulong address, int size, long value) => throw exception;

        public override bool OnTlbFill(UnicornEngine engine, ulong address, MemoryAccessType type, out TlbEntry entry) => throw exception;
    }

    private sealed class SelfRemoving : HookHandler
    {
        public Hook? Hook { get; set; }

        public int Calls { get; private set; }

        public override void OnCode(UnicornEngine engine, ulong address, uint size)
        {
            Calls++;
            Hook!.Dispose();
            engine.Stop();
        }
    }

    private sealed class RecordingDevice : MmioHandler
    {
        public List<string> Log { get; } = [];

        public override ulong Read(UnicornEngine engine, ulong offset, uint size)
        {
            Log.Add($"read {offset:x}+{size}");
            return 0x1234;
        }

        public override void Write(UnicornEngine engine, ulong offset, uint size, ulong value) => Log.Add($"write {offset:x}+{size}={value:x}");
    }

    private sealed class ThrowingDevice : MmioHandler
    {
        public override ulong Read(UnicornEngine engine, ulong offset, uint size) => throw new NotSupportedException();

        public override void Write(UnicornEngine engine, ulong offset, uint size, ulong value) => throw new NotSupportedException();
    }
}
