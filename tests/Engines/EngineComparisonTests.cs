using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>The interpreter and Unicorn side by side: programs for what is hard to do alike, noise, and the guests; and differences are found.</summary>
[TestFixture]
internal sealed class EngineComparisonTests
{
    private const ulong Data = TestMachine.Data;

    [SetUp]
    public void RequireLibrary() => UnicornOracle.Require();

    private static IEnumerable<TestCaseData> Programs()
    {
        foreach ((string name, Action<Assembler> write) in (IEnumerable<(string, Action<Assembler>)>)
        [
            ("DivisionByZeroIsPrecise", c => { c.mov(eax, 5); c.xor(ecx, ecx); c.inc(ebx); c.div(ecx); c.inc(ebx); }),
            ("FaultInTheMiddleOfABlock", c => { c.mov(rax, Data); c.mov(__qword_ptr[rax], rax); c.mov(rbx, 0x40_0000_0000); c.inc(rcx); c.mov(__qword_ptr[rbx], rax); c.inc(rcx); }),
            ("StoreAcrossPagesIsWholeOrNotAtAll", c => { c.mov(rax, TestMachine.Mapped - 4); c.mov(rcx, -1L); c.mov(__qword_ptr[rax], rcx); }),
            ("JumpToNowhereCanonical", c => { c.mov(rax, TestMachine.NonCanonical); c.jmp(rax); }),
            ("ReturnToNowhereCanonical", c => { c.mov(rax, TestMachine.NonCanonical); c.push(rax); c.ret(8); }),
            ("CallOfNowhereMapped", c => { c.mov(rax, 0x40_0000_0000); c.call(rax); }),
            ("LoadFromNowhereCanonical", c => { c.mov(rax, TestMachine.NonCanonical); c.mov(rbx, __qword_ptr[rax]); }),
            ("InvalidOpcodeAfterCode", c => { c.inc(eax); c.ud2(); }),
            ("InvalidFormAfterCode", c => { c.inc(ebx); c.db([0x40, 0x0F, 0x38, 0xF0, 0xCC]); c.inc(ebx); }), // MOVBE of two registers
            ("WaitWithoutTheUnit", c => { c.mov(rax, cr0); c.or(eax, 0xA); c.mov(cr0, rax); c.inc(rbx); c.wait(); c.inc(rbx); }), // CR0.MP and TS: #NM
            ("JumpsToItself", JumpsToItself),
            ("HorizontalInPlace", HorizontalInPlace),
            ("StringComparisons", StringComparisons),
            ("CompareExchangeMisaligned", c => { c.mov(rsi, Data + 8); c.cmpxchg16b(__xmmword_ptr[rsi]); }),
            ("SystemInstructionsBetween", c => { c.mov(rax, cr3); c.inc(rbx); c.mov(cr3, rax); c.inc(rbx); c.cpuid(); c.inc(rbx); c.pushfq(); c.pop(rdx); c.cli(); c.inc(rbx); }),
            ("RepeatedStrings", c => { c.mov(rdi, Data); c.mov(ecx, 300); c.mov(al, 7); c.rep.stosb(); c.mov(rsi, Data); c.mov(rdi, Data + 1000); c.mov(ecx, 40); c.rep.movsq(); c.std(); c.lodsb(); c.cld(); }),
            ("MisalignedAligned", c => { c.mov(rsi, Data + 1); c.movaps(xmm0, __xmmword_ptr[rsi]); }),
            ("AlignedSse", c => { c.mov(rsi, Data); c.mov(__qword_ptr[rsi], rsi); c.movaps(xmm3, __xmmword_ptr[rsi]); c.pshufd(xmm4, xmm3, 0x4E); c.movups(__xmmword_ptr[rsi + 17], xmm4); }),
            ("FloatsWithFlags", c => { c.mov(eax, 3); c.cvtsi2sd(xmm0, eax); c.mov(eax, 7); c.cvtsi2sd(xmm1, eax); c.divsd(xmm0, xmm1); c.mov(rsi, Data); c.stmxcsr(__dword_ptr[rsi]); c.mov(eax, __dword_ptr[rsi]); }),
            ("WritesItsNextInstruction", WritesItsNextInstruction),
            ("WritesCodeThatRanBefore", WritesCodeThatRanBefore),
            ("RemapsCode", RemapsCode),
            ("ProtectsAPageThatItWrote", ProtectsAPageThatItWrote),
            ("DirtyFlagIsSetByTheFirstWrite", DirtyFlagIsSetByTheFirstWrite),
            ("SegmentBases", c => { c.mov(ecx, 0xC000_0100); c.mov(eax, (uint)Data); c.xor(edx, edx); c.wrmsr(); c.mov(rbx, 0x1234); c.mov(__qword_ptr.fs[0x40], rbx); c.mov(rsi, __qword_ptr.fs[0x40]); }),
        ])
        {
            foreach (ComparisonStep step in Enum.GetValues<ComparisonStep>())
            {
                yield return new TestCaseData(write, step).SetArgDisplayNames(name, step.ToString());
            }
        }
    }

    [TestCaseSource(nameof(Programs))]
    public void ProgramsRunAlike(Action<Assembler> write, ComparisonStep step)
    {
        using TestMachine reference = Make(write, new MachineOptions());
        using TestMachine subject = Make(write, new MachineOptions { Engine = EngineKind.Unicorn });
        EngineComparison comparison = new(reference.Machine, subject.Machine, step);
        EngineDifference? difference = comparison.Run(10_000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(difference is null ? [] : difference.Differences, Is.Empty, difference?.Instruction);
            Assert.That(comparison.Ended?.Reason, Is.EqualTo(StopReason.Halted));
            Assert.That(subject.Cpu.Counters.UnicornInstructions, Is.Positive);
        }
    }

    [Test]
    public void ToleratedAlignmentIsADifferenceThatIsFound()
    {
        static void Write(Assembler c)
        {
            c.mov(rsi, Data + 1);
            c.inc(rbx);
            c.movaps(xmm0, __xmmword_ptr[rsi]);
        }

        using TestMachine reference = Make(Write, new MachineOptions());
        using TestMachine subject = Make(Write, new MachineOptions { Engine = EngineKind.Unicorn, Tolerated = [UnicornErrata.SseAlignment] });
        EngineDifference? difference = new EngineComparison(reference.Machine, subject.Machine, ComparisonStep.Instruction).Run(100);
        Assert.That(difference, Is.Not.Null);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(difference.Before, Is.EqualTo(2));
            Assert.That(difference.Instruction, Does.StartWith("movaps"));
            Assert.That(difference.Differences.Select(item => item.Name), Does.Contain("rip"));
            Assert.That(difference.SubjectWalks, Is.Not.Empty);
        }
    }

    [Test]
    public void ToleratedFlagsOfMxcsrAreNoDifference()
    {
        static void Write(Assembler c)
        {
            c.mov(eax, 3);
            c.cvtsi2sd(xmm0, eax);
            c.mov(eax, 7);
            c.cvtsi2sd(xmm1, eax);
            c.divsd(xmm0, xmm1);
        }

        using TestMachine reference = Make(Write, new MachineOptions());
        using TestMachine subject = Make(Write, new MachineOptions { Engine = EngineKind.Unicorn, Tolerated = [UnicornErrata.MxcsrFlags] });
        EngineDifference? difference = new EngineComparison(reference.Machine, subject.Machine, ComparisonStep.Exit).Run(100);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(difference, Is.Null);
            Assert.That(subject.Cpu.Counters.UnicornInstructions, Is.EqualTo(5));
            Assert.That(reference.State.Mxcsr & 0x20, Is.Not.Zero, "the erratum shows");
        }
    }

    [Test]
    public void DifferentMemoryIsFoundAtTheEnd()
    {
        using TestMachine reference = Make(c => c.nop(), new MachineOptions());
        using TestMachine subject = Make(c => c.nop(), new MachineOptions { Engine = EngineKind.Unicorn });
        subject[0x7_0008] = 5;
        EngineDifference? difference = new EngineComparison(reference.Machine, subject.Machine, ComparisonStep.Exit).Run(100);
        Assert.That(difference?.Differences, Is.EqualTo((ComparedValue[])[new("memory at guest-physical 0x70008", "0x0000000000000000", "0x0000000000000005")]));
    }

    [Test]
    public void DifferentRegisterIsFoundAfterItsInstruction()
    {
        using TestMachine reference = Make(c => c.inc(rax), new MachineOptions());
        using TestMachine subject = Make(c => c.inc(rax), new MachineOptions { Engine = EngineKind.Unicorn });
        subject.State.Gpr[15] = 7;
        EngineDifference? difference = new EngineComparison(reference.Machine, subject.Machine, ComparisonStep.Block).Run(100);
        Assert.That(difference?.Differences, Is.EqualTo((ComparedValue[])[new("r15", "0x0", "0x7")]));
    }

    [TestCase(11ul, 40)]
    [TestCase(12ul, 40)]
    public void RandomInstructionsRunAlike(ulong seed, int guests) =>
        RunGuests(seed, guests, new RandomInstructions(new FormOptions(StackPointer: true, AbsoluteAddress: 0x1000)).Valid);

    [TestCase(14ul, 40)]
    public void NoiseRunsAlike(ulong seed, int guests) => RunGuests(seed, guests, RandomInstructions.Noise);

    [TestCase("hello.elf", ComparisonStep.Instruction, 2_000ul)]
    [TestCase("ring3.elf", ComparisonStep.Block, 2_000ul)]
    [TestCase("pager.elf", ComparisonStep.Exit, 1_000_000ul)]
    [TestCase("quicksort.elf", ComparisonStep.Block, 1_000_000ul)]
    [TestCase("nbody.elf", ComparisonStep.Exit, 1_000_000ul)]
    [TestCase("uart.elf", ComparisonStep.Exit, 100_000ul)]
    [TestCase("quicksort.elf", ComparisonStep.Instruction, 10_000_000ul, Category = "Full")]
    [TestCase("pager.elf", ComparisonStep.Exit, 20_000_000ul, Category = "Full")]
    [TestCase("primes.elf", ComparisonStep.Exit, 40_000_000ul, Category = "Full")]
    [TestCase("sha256.elf", ComparisonStep.Exit, 30_000_000ul, Category = "Full")]
    [TestCase("quicksort.elf", ComparisonStep.Exit, 30_000_000ul, Category = "Full")]
    [TestCase("nbody.elf", ComparisonStep.Exit, 30_000_000ul, Category = "Full")]
    [TestCase("blend.elf", ComparisonStep.Exit, 4_000_000ul, Category = "Full")]
    [TestCase("matmul.elf", ComparisonStep.Exit, 4_000_000ul, Category = "Full")]
    [TestCase("mandel80.elf", ComparisonStep.Exit, 4_000_000ul, Category = "Full")]
    [TestCase("fault_storm.elf", ComparisonStep.Exit, 10_000_000ul, Category = "Full")]
    [TestCase("mmio_storm.elf", ComparisonStep.Exit, 10_000_000ul, Category = "Full")]
    public void GuestsRunAlike(string image, ComparisonStep step, ulong limit)
    {
        using Machine reference = Load(image, new MachineOptions());
        using Machine subject = Load(image, new MachineOptions { Engine = EngineKind.Unicorn, Tolerated = UnicornErrata.All });
        EngineComparison comparison = new(reference, subject, step);
        EngineDifference? difference = comparison.Run(limit);
        TestContext.Out.WriteLine($"{subject.Cpu.Counters.Instructions} instructions, {subject.Cpu.Counters.UnicornInstructions} by Unicorn, {comparison.Comparisons} comparisons");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(difference is null ? [] : difference.Differences, Is.Empty, $"{difference?.Before}: {difference?.Instruction}");
            Assert.That(subject.Cpu.Counters.UnicornInstructions, Is.Positive);
        }
    }

    private static Machine Load(string image, MachineOptions options)
    {
        Machine machine = new(options);
        ImageLoader.Load(machine, ElfImage.Parse(File.ReadAllBytes(GuestSamples.PathOf(image)), options.RamBytes));
        return machine;
    }

    private static TestMachine Make(Action<Assembler> write, MachineOptions options)
    {
        TestMachine machine = new(options);
        machine.Place(TestMachine.KernelCode, write, halt: true);
        machine.State.Rip = TestMachine.KernelCode;
        return machine;
    }

    private static void RunGuests(ulong seed, int guests, Action<OperandSource, Span<byte>, ulong> fillCode)
    {
        const ulong Length = 400;
        List<string> found = [];
        ulong instructions = 0, byUnicorn = 0;
        for (int guest = 0; guest < guests && found.Count < 20; guest++)
        {
            using HostileGuest reference = new(seed + ((ulong)guest << 8));
            using HostileGuest subject = new(seed + ((ulong)guest << 8), new MachineOptions { Engine = EngineKind.Unicorn });
            reference.Reset(fillCode);
            subject.Reset(fillCode);
            ComparisonStep step = (ComparisonStep)(guest % 3);
            EngineDifference? difference = new EngineComparison(reference.Machine, subject.Machine, step).Run(Length);
            instructions += subject.Machine.Cpu.Counters.Instructions;
            byUnicorn += subject.Machine.Cpu.Counters.UnicornInstructions;
            if (difference is { UsesUndefinedFlags: false })
            {
                EngineDifference shown = ByInstruction(seed + ((ulong)guest << 8), fillCode, difference) ?? difference;
                found.Add($"guest {guest}, {step}, {shown.Before} to {shown.After}, {shown.Begin} {shown.Instruction}: {string.Join("; ", shown.Differences.Select(value => $"{value.Name} {value.Reference} {value.Subject}"))}");
            }
        }

        TestContext.Out.WriteLine($"{instructions} instructions, {byUnicorn} by Unicorn");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(found, Is.Empty);
            Assert.That(byUnicorn, Is.GreaterThan(instructions / 4));
        }
    }

    private static EngineDifference? ByInstruction(ulong seed, Action<OperandSource, Span<byte>, ulong> fillCode, EngineDifference difference)
    {
        using HostileGuest reference = new(seed);
        using HostileGuest subject = new(seed, new MachineOptions { Engine = EngineKind.Unicorn });
        foreach (HostileGuest guest in (HostileGuest[])[reference, subject])
        {
            guest.Reset(fillCode);
            guest.Machine.RunInterpreted(difference.Before);
        }

        return new EngineComparison(reference.Machine, subject.Machine, ComparisonStep.Instruction).Run(difference.After - difference.Before + 1);
    }

    /// <summary>Puts the address of the page table of the lowest 2 MiB into RAX.</summary>
    private static void FindPageTable(Assembler c)
    {
        c.mov(rax, cr3);
        for (int level = 0; level < 3; level++)
        {
            c.and(rax, -4096);
            c.mov(rax, __qword_ptr[rax]);
        }

        c.and(rax, -4096);
    }

    private static void JumpsToItself(Assembler c)
    {
        Label self = c.CreateLabel();
        c.mov(ecx, 5);
        c.Label(ref self);
        c.loop(self);
        c.inc(ebx);
    }

    private static void HorizontalInPlace(Assembler c)
    {
        c.mov(rax, 0x0102_0408_1020_4081);
        c.movq(xmm1, rax);
        c.pshufd(xmm1, xmm1, 0x1B);
        foreach (Action<AssemblerRegisterXMM> operation in (Action<AssemblerRegisterXMM>[])
        [
            xmm => c.phaddw(xmm, xmm), xmm => c.phaddd(xmm, xmm), xmm => c.phaddsw(xmm, xmm),
            xmm => c.phsubw(xmm, xmm), xmm => c.phsubd(xmm, xmm), xmm => c.phsubsw(xmm, xmm),
        ])
        {
            c.movdqa(xmm2, xmm1);
            operation(xmm2);
            c.pshufd(xmm1, xmm2, 0x63);
            c.pinsrw(xmm1, eax, 3);
        }
    }

    /// <summary>Ordered words, the negation masked by what is valid, for lengths that QEMU 5.0 takes wrongly and others.</summary>
    private static void StringComparisons(Assembler c)
    {
        c.mov(rbx, 0x0003_0002_0001_0000);
        c.movq(xmm7, rbx);
        foreach ((int first, int second) in (IEnumerable<(int, int)>)[(0, 0), (0, 1), (1, 0), (0, 8), (8, 0), (3, 5), (5, 3), (8, 8)])
        {
            c.mov(eax, first);
            c.mov(edx, second);
            c.pcmpestri(xmm13, xmm7, 0x3F);
            c.pcmpestrm(xmm13, xmm7, 0x3F);
            c.pcmpistri(xmm13, xmm7, 0x3F);
            c.pcmpistrm(xmm13, xmm7, 0x3F);
        }
    }

    private static void WritesItsNextInstruction(Assembler c)
    {
        Label next = c.CreateLabel();
        c.mov(ecx, 3);
        c.lea(rsi, __[next]);
        c.mov(__byte_ptr[rsi + 1], 0xCB);
        c.Label(ref next);
        c.inc(ebx);
        c.inc(ebp);
    }

    private static void WritesCodeThatRanBefore(Assembler c)
    {
        Label routine = c.CreateLabel(), again = c.CreateLabel(), end = c.CreateLabel();
        c.mov(ecx, 4);
        c.Label(ref again);
        c.call(routine);
        c.lea(rsi, __[routine]);
        c.xor(__byte_ptr[rsi + 1], 0x08);
        c.dec(ecx);
        c.jnz(again);
        c.jmp(end);
        c.Label(ref routine);
        c.inc(ebx);
        c.inc(ebp);
        c.ret();
        c.Label(ref end);
        c.nop();
    }

    private static void RemapsCode(Assembler c)
    {
        c.mov(rdi, Data);
        c.mov(rdx, 0xC3_0000_0001_BBUL);
        c.mov(__qword_ptr[rdi], rdx);
        c.mov(rdx, 0xC3_0000_0002_BBUL);
        c.mov(__qword_ptr[rdi + 0x1000], rdx);
        c.call(rdi);
        c.mov(r8d, ebx);
        FindPageTable(c);
        c.add(__qword_ptr[rax + (int)(Data >> 9)], 0x1000);
        c.invlpg(__byte_ptr[rdi]);
        c.call(rdi);
        c.lea(r8d, __[r8 + (rbx * 8)]);
    }

    private static void ProtectsAPageThatItWrote(Assembler c)
    {
        c.mov(rdi, Data);
        c.mov(__qword_ptr[rdi], rdi);
        FindPageTable(c);
        c.and(__qword_ptr[rax + (int)(Data >> 9)], -3);
        c.invlpg(__byte_ptr[rdi]);
        c.inc(rbx);
        c.mov(__qword_ptr[rdi], rax);
        c.inc(rbx);
    }

    private static void DirtyFlagIsSetByTheFirstWrite(Assembler c)
    {
        c.mov(rdi, Data);
        FindPageTable(c);
        c.mov(rbx, __qword_ptr[rdi]);
        c.mov(r8, __qword_ptr[rax + (int)(Data >> 9)]);
        c.mov(__qword_ptr[rdi], rbx);
        c.mov(r9, __qword_ptr[rax + (int)(Data >> 9)]);
        c.mov(rbx, __qword_ptr[rdi]);
    }
}
