using System.Runtime.InteropServices;
using NUnit.Framework;
using Unicorn.Net;

namespace Quadwalk.Tests;

/// <summary>The binding: each part of the engine does through it what unicorn.h says.</summary>
[TestFixture]
public sealed class UnicornEngineTests
{
    private const ulong Code = 0x1000, Data = 0x4000;

    [SetUp]
    public void RequireLibrary() => UnicornOracle.Require();

    [Test]
    public void TheLibraryIsNewEnoughAndKnowsX86()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(UnicornLibrary.Version, Is.GreaterThanOrEqualTo(UnicornLibrary.OldestVersion));
            Assert.That(UnicornLibrary.Supports(UnicornArchitecture.X86), Is.True);
            Assert.That(UnicornLibrary.Supports((UnicornArchitecture)99), Is.False);
            Assert.That(() => UnicornLibrary.Load("another"), Throws.InvalidOperationException);
        }
    }

    [Test]
    public void AnEngineThatCannotBeOpenedSaysWhyInTheEnginesWords() =>
        Assert.That(
            () => new UnicornEngine((UnicornArchitecture)99, UnicornMode.Bits64),
            Throws.TypeOf<UnicornException>().With.Property(nameof(UnicornException.Error)).EqualTo(UnicornError.Architecture)
                .And.Message.Contain("architecture"));

    [Test]
    public void EveryErrorHasItsText() =>
        Assert.That(
            Enum.GetValues<UnicornError>().Where(error => error != UnicornError.HookExists).Select(error => new UnicornException(error).Message),
            Is.Unique.And.None.Empty.And.None.Contain("Unknown"));

    [Test]
    public void CodeRunsOnRegisters()
    {
        using UnicornEngine engine = Open([0x48, 0x01, 0xd8, 0x48, 0x0f, 0xc9]); // add rax, rbx; bswap rcx
        engine.WriteRegisters([X86Register.Rax, X86Register.Rbx, X86Register.Rcx], [40, 2, 0x0102030405060708]);
        engine.Start(Code, Code + 6);
        ulong[] values = new ulong[4];
        engine.ReadRegisters([X86Register.Eax, X86Register.Rbx, X86Register.Rcx, X86Register.Rip], values);
        Assert.That(values, Is.EqualTo(new ulong[] { 42, 2, 0x0807060504030201, Code + 6 }));
    }

    [Test]
    public void EveryGeneralAndVectorRegisterHoldsWhatIsWritten()
    {
        using UnicornEngine engine = Open([]);
        string[] names = ["Rax", "Rbx", "Rcx", "Rdx", "Rsi", "Rdi", "Rbp", "Rsp", .. Enumerable.Range(8, 8).Select(i => $"R{i}"), "FsBase", "GsBase", "Cr2", "Cr3"];
        X86Register[] words = [.. names.Select(Enum.Parse<X86Register>)];
        ulong[] written = [.. words.Select((_, i) => 0x1234_5000UL * (ulong)(i + 1))];
        engine.WriteRegisters(words, written);
        for (int i = 0; i < 16; i++)
        {
            engine.WriteValue(X86Register.Ymm0 + i, new Wide((UInt128)i << 100 | 7, (UInt128)i << 90 | 9));
        }

        ulong[] read = new ulong[words.Length];
        engine.ReadRegisters(words, read);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(read, Is.EqualTo(written));
            for (int i = 0; i < 16; i++)
            {
                Assert.That(engine.ReadValue<UInt128>(X86Register.Xmm0 + i), Is.EqualTo((UInt128)i << 100 | 7));
                Assert.That(engine.ReadValue<Wide>(X86Register.Ymm0 + i), Is.EqualTo(new Wide((UInt128)i << 100 | 7, (UInt128)i << 90 | 9)));
            }
        }
    }

    [Test]
    public void X87AndSystemRegistersHaveTheirOwnShapes()
    {
        using UnicornEngine engine = Open([]);
        UInt128 one = new(0x3fff, 1UL << 63);
        X86TableRegister gdtr = new(0, 0x7000, 0x7f, 0);
        engine.WriteValue(X86Register.St0, one);
        engine.WriteValue(X86Register.Gdtr, gdtr);
        engine.WriteMsr(0xc000_0081, 0x0123_4567_89ab_cdef);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(engine.ReadValue<UInt128>(X86Register.St0), Is.EqualTo(one));
            Assert.That(engine.ReadValue<X86TableRegister>(X86Register.Gdtr), Is.EqualTo(gdtr));
            Assert.That(engine.ReadMsr(0xc000_0081), Is.EqualTo(0x0123_4567_89ab_cdef));
            Assert.That(
                () => engine.ReadRegister(X86Register.Xmm0),
                Throws.TypeOf<UnicornException>().With.Property(nameof(UnicornException.Error)).EqualTo(UnicornError.Overflow));
        }
    }

    [Test]
    public void RegistersAndValuesOfABatchAreAsMany()
    {
        using UnicornEngine engine = Open([]);
        Assert.That(() => engine.WriteRegisters([X86Register.Rax], []), Throws.ArgumentException);
    }

    [Test]
    public void MemoryIsMappedProtectedReadAndUnmapped()
    {
        using UnicornEngine engine = Open([0x48, 0x89, 0x03]); // mov [rbx], rax
        engine.WriteRegisters([X86Register.Rax, X86Register.Rbx], [0x1122_3344, Data]);
        engine.Start(Code, Code + 3);
        byte[] bytes = new byte[4];
        engine.Read(Data, bytes);
        engine.Protect(Data, 0x1000, MemoryPermissions.Read);
        UnicornError protectedWrite = engine.TryStart(Code, Code + 3);
        MemoryRegion[] regions = engine.Regions;
        engine.Unmap(Data, 0x1000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(bytes, Is.EqualTo(new byte[] { 0x44, 0x33, 0x22, 0x11 }));
            Assert.That(protectedWrite, Is.EqualTo(UnicornError.WriteProtected));
            Assert.That(regions, Is.EqualTo(new MemoryRegion[]
            {
                new(Code, Code + 0xfff, MemoryPermissions.All), new(Data, Data + 0xfff, MemoryPermissions.Read),
            }));
            Assert.That(engine.TryStart(Code, Code + 3), Is.EqualTo(UnicornError.WriteUnmapped));
            Assert.That(() => engine.Read(Data, bytes), Throws.TypeOf<UnicornException>());
        }
    }

    [Test]
    public unsafe void MemoryOfTheHostIsUsedInPlace()
    {
        using UnicornEngine engine = Open([0x48, 0x89, 0x03]);
        ulong* host = (ulong*)NativeMemory.AlignedAlloc(0x1000, 0x1000);
        try
        {
            host[1] = 0;
            engine.MapPointer(0x8000, 0x1000, MemoryPermissions.All, (nint)host);
            engine.WriteRegisters([X86Register.Rax, X86Register.Rbx], [99, 0x8008]);
            engine.Start(Code, Code + 3);
            Assert.That(host[1], Is.EqualTo(99));
            engine.Unmap(0x8000, 0x1000);
        }
        finally
        {
            NativeMemory.AlignedFree(host);
        }
    }

    [Test]
    public void ContextsBringRegistersBack()
    {
        using UnicornEngine engine = Open([0x48, 0xff, 0xc0]); // inc rax
        engine.WriteRegister(X86Register.Rax, 7);
        using UnicornContext context = engine.CreateContext();
        engine.Start(Code, Code + 3);
        ulong after = engine.ReadRegister(X86Register.Rax);
        ulong saved = context.ReadRegister(X86Register.Rax);
        context.WriteRegister(X86Register.Rax, 100);
        engine.Restore(context);
        ulong restored = engine.ReadRegister(X86Register.Rax);
        engine.Start(Code, Code + 3);
        engine.Save(context);
        Assert.That((after, saved, restored, context.ReadRegister(X86Register.Rax)), Is.EqualTo((8UL, 7UL, 100UL, 101UL)));
    }

    [Test]
    public void AContextOfAnotherEngineIsRefused()
    {
        using UnicornEngine engine = Open([]), other = Open([]);
        using UnicornContext context = engine.CreateContext();
        Assert.That(() => other.Restore(context), Throws.ArgumentException);
    }

    [Test]
    public void AContextMayOutliveItsEngine()
    {
        UnicornEngine engine = Open([]);
        UnicornContext context = engine.CreateContext();
        engine.Dispose();
        Assert.That(context.Dispose, Throws.Nothing);
    }

    [Test]
    public void ExitsReplaceTheOneEnd()
    {
        using UnicornEngine engine = Open([0x90, 0x90, 0x90, 0x90]);
        engine.UseExits(true);
        engine.SetExits([Code + 2, Code + 3]);
        engine.Start(Code, 0);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(engine.ReadRegister(X86Register.Rip), Is.EqualTo(Code + 2));
            Assert.That(engine.GetExits(), Is.EquivalentTo((ulong[])[Code + 2, Code + 3]));
        }

        engine.UseExits(false);
        Assert.That(engine.GetExits, Throws.TypeOf<UnicornException>());
    }

    [Test]
    public void ControlsSayWhatTheEngineIs()
    {
        using UnicornEngine engine = new(UnicornArchitecture.X86, UnicornMode.Bits64);
        engine.CpuModel = (int)X86CpuModel.Haswell;
        engine.Map(Code, 0x1000, MemoryPermissions.All);
        engine.Write(Code, [0x90, 0x90, 0xeb, 0xfc]);
        engine.Start(Code, Code + 2);
        TranslationBlock block = engine.RequestBlock(Code);
        engine.RemoveBlocks(Code, Code + 4);
        engine.FlushBlocks();
        engine.FlushTlb();
        engine.SetContextContent(ContextContent.Cpu);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(engine.CpuModel, Is.EqualTo((int)X86CpuModel.Haswell));
            Assert.That((engine.Mode, engine.Architecture, engine.PageSize), Is.EqualTo((UnicornMode.Bits64, UnicornArchitecture.X86, 4096u)));
            Assert.That(engine.Query(QueryType.PageSize), Is.EqualTo((nuint)4096));
            Assert.That(block.Address, Is.EqualTo(Code));
            Assert.That(engine.TcgBufferSize, Is.Positive);
        }
    }

    [Test]
    public void TimeAndCountEndARun()
    {
        using UnicornEngine engine = Open([0x48, 0xff, 0xc0, 0xeb, 0xfb]); // inc rax; jmp back
        engine.Start(Code, 0, count: 11);
        ulong counted = engine.ReadRegister(X86Register.Rax);
        engine.Start(Code, 0, TimeSpan.FromMilliseconds(5));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(counted, Is.EqualTo(6));
            Assert.That(engine.Query(QueryType.Timeout), Is.EqualTo((nuint)1));
            Assert.That(engine.Timeout, Is.EqualTo(TimeSpan.FromMilliseconds(5)));
        }
    }

    private static UnicornEngine Open(ReadOnlySpan<byte> code)
    {
        UnicornEngine engine = new(UnicornArchitecture.X86, UnicornMode.Bits64);
        engine.Map(Code, 0x1000, MemoryPermissions.All);
        engine.Map(Data, 0x1000, MemoryPermissions.Read | MemoryPermissions.Write);
        engine.Write(Code, code);
        return engine;
    }

    private readonly record struct Wide(UInt128 Low, UInt128 High);
}
