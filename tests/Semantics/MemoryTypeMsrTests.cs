using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>The registers of memory types: what WRMSR lets them hold, what CPUID says of them, what a write invalidates, and what they mean.</summary>
[TestFixture]
internal sealed class MemoryTypeMsrTests
{
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const uint Pat = 0x277, DefaultType = 0x2FF;

    private TestMachine machine = null!;

    [SetUp]
    public void MakeMachine() => machine = new TestMachine();

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    public static IEnumerable<uint> ByteRegisters => SdmMemoryTypes.FixedRanges.Select(range => range.Register).Append(Pat);

    /// <summary>Every byte of each fixed-range register and of IA32_PAT, with every type and what is none.</summary>
    [Test]
    public void EachByteTakesATypeAndNothingElse([ValueSource(nameof(ByteRegisters))] uint register)
    {
        string[] refused = register == Pat ? [] : ["UC-"];
        using (Assert.EnterMultipleScope())
        {
            foreach (int encoding in (int[])[0, 1, 2, 3, 4, 5, 6, 7, 8, 0x16, 0x86, 0xFF])
            {
                bool allowed = SdmMemoryTypes.Encodings.Any(type => type.Encoding == encoding && !refused.Contains(type.Name));
                for (int at = 0; at < 64; at += 8)
                {
                    ulong value = (0x0605_0401_0006_0406UL & ~(0xFFUL << at)) | ((ulong)encoding << at);
                    ulong before = Read(register);
                    Assert.That(Write(register, value), Is.EqualTo(allowed ? null : GP), $"{register:x} {value:x}");
                    Assert.That(Read(register), Is.EqualTo(allowed ? value : before));
                }
            }
        }
    }

    /// <summary>MAXPHYADDR is 46 here.</summary>
    [Test]
    public void BasesAndMasksKeepTheirReservedBits([Range(0, 7)] int range)
    {
        uint physBase = 0x200u + (2 * (uint)range), mask = physBase + 1;
        using (Assert.EnterMultipleScope())
        {
            for (int bit = 0; bit < 64; bit++)
            {
                bool isType = bit is 0 or 2;
                Assert.That(Write(physBase, 1UL << bit), Is.EqualTo(isType || bit is >= 12 and < 46 ? null : GP), $"base, bit {bit}");
                Assert.That(Write(mask, 1UL << bit), Is.EqualTo(bit is >= 11 and < 46 ? null : GP), $"mask, bit {bit}");
            }

            foreach (int encoding in (int[])[0, 1, 2, 3, 4, 5, 6, 7])
            {
                bool allowed = SdmMemoryTypes.Encodings.Any(type => type.Encoding == encoding && type.Name != "UC-");
                Assert.That(Write(physBase, 0x1234_5000UL | (uint)encoding), Is.EqualTo(allowed ? null : GP), $"type {encoding}");
            }
        }
    }

    [Test]
    public void TheDefaultTypeHasTwoEnables()
    {
        using (Assert.EnterMultipleScope())
        {
            for (int bit = 0; bit < 64; bit++)
            {
                Assert.That(Write(DefaultType, 1UL << bit), Is.EqualTo(bit is 0 or 2 or 10 or 11 ? null : GP), $"bit {bit}");
            }
        }
    }

    [TestCase("max", true, true)]
    [TestCase("max,-mtrr", false, true)]
    [TestCase("max,-pat", true, false)]
    public void CpuidAndTheRegistersAgree(string model, bool mtrrs, bool pat)
    {
        machine.Dispose();
        machine = new TestMachine(CpuFeatures.Parse(model));
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack;
        machine.Kernel(c =>
        {
            c.mov(eax, 1);
            c.cpuid();
        });
        ulong edx = machine.State.Gpr[GeneralRegister.Rdx];
        MemoryTyping types = machine.Cpu.MemoryTypes;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(((edx >> 12) & 1, (edx >> 16) & 1), Is.EqualTo((mtrrs ? 1ul : 0, pat ? 1ul : 0)));
            Assert.That(Write(DefaultType, 6), Is.EqualTo(mtrrs ? null : GP));
            Assert.That(Write(0x250, 0), Is.EqualTo(mtrrs ? null : GP));
            Assert.That(Write(0x20F, 0), Is.EqualTo(mtrrs ? null : GP));
            Assert.That(Write(Pat, 0), Is.EqualTo(pat ? null : GP));
            Read(Pat);
            Assert.That(machine.Handled, Is.EqualTo(pat ? null : GP));
            Assert.That(types.Pat.HasValue, Is.EqualTo(pat));
            Assert.That(types.Ranges.TypeAt(new Gpa(0)).Source, Is.EqualTo(mtrrs ? MtrrSource.Disabled : MtrrSource.Absent));
        }
    }

    /// <summary>SDM Vol. 2D, WRMSR: a write to an MTRR invalidates the TLBs, global entries too. One to IA32_PAT does not, nor does one that faults.</summary>
    [TestCase(0x200u, 0x6ul, true)]
    [TestCase(0x201u, 0x800ul, true)]
    [TestCase(0x20Fu, 0x0ul, true)]
    [TestCase(0x250u, 0x0606_0606_0606_0606ul, true)]
    [TestCase(0x26Fu, 0x0ul, true)]
    [TestCase(DefaultType, 0xC06ul, true)]
    [TestCase(Pat, 0x0007_0406_0007_0406ul, false)]
    [TestCase(DefaultType, 0xC02ul, false)]
    public void AWriteToAnMtrrInvalidatesTheTlb(uint register, ulong value, bool invalidates)
    {
        const ulong first = TestMachine.Data, second = TestMachine.Data + 0x1000;
        machine[first] = 1;
        machine[second] = 2;
        ulong entry = LeafOf(first);
        machine[entry] |= PageTableEntry.GBit;
        ulong other = (machine[entry] & ~PageTableEntry.AddressMask4K) | second;
        machine.SetGate(GP, target: TestMachine.KernelCode + 0x800);
        machine.Place(TestMachine.KernelCode + 0x800, c => c.mov(rbx, __qword_ptr[first]), halt: true);
        machine.Kernel(c =>
        {
            c.mov(rbx, __qword_ptr[first]);
            c.mov(rax, other);
            c.mov(__qword_ptr[entry], rax);
            c.mov(rbx, __qword_ptr[first]);
            c.mov(rsi, rbx);
            c.mov(ecx, register);
            c.mov(eax, (uint)value);
            c.mov(edx, (uint)(value >> 32));
            c.wrmsr();
            c.mov(rbx, __qword_ptr[first]);
        });
        Assert.That(
            (machine.State.Gpr[GeneralRegister.Rsi], machine.State.Gpr[GeneralRegister.Rbx]), Is.EqualTo((1ul, invalidates ? 2ul : 1ul)));
    }

    [Test]
    public void WhatIsWrittenIsWhatMemoryIs()
    {
        Assert.That(TypeAt(0x5_0000), Is.EqualTo((MemoryType.UC, MtrrSource.Disabled)), "after RESET");
        Write(0x200, 0x10_0000 | 4);
        Write(0x201, (((1UL << 46) - 1) & ~0xF_FFFFUL) | 0x800);
        Write(0x250, 0x0606_0506_0606_0606);
        Write(DefaultType, 0xC06);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(TypeAt(0x5_0000), Is.EqualTo((MemoryType.WP, MtrrSource.Fixed)));
            Assert.That(TypeAt(0x10_0000), Is.EqualTo((MemoryType.WT, MtrrSource.Variable)));
            Assert.That(TypeAt(0x20_0000), Is.EqualTo((MemoryType.WB, MtrrSource.Default)));
            Assert.That(machine.Cpu.MemoryTypes.CacheDisabled, Is.False);
            Assert.That(machine.Cpu.MemoryTypes.Pat, Is.EqualTo(new PageAttributeTable(0x0007_0406_0007_0406)));
        }

        machine.Cpu.Init();
        Assert.That(TypeAt(0x10_0000), Is.EqualTo((MemoryType.WT, MtrrSource.Variable)), "INIT leaves them");
        machine.Cpu.Reset();
        Assert.That(TypeAt(0x10_0000), Is.EqualTo((MemoryType.UC, MtrrSource.Disabled)), "RESET does not");
        Assert.That(machine.Cpu.MemoryTypes.CacheDisabled, Is.True, "CR0.CD after RESET");
    }

    private (MemoryType Type, MtrrSource Source) TypeAt(ulong address)
    {
        MtrrSelection selection = machine.Cpu.MemoryTypes.Ranges.TypeAt(new Gpa(address));
        return (selection.Type, selection.Source);
    }

    private ulong LeafOf(ulong gva)
    {
        AccessTables<IGuestMemoryAccess> tables = new(machine.Machine.Access);
        NoWalkObserver none = default;
        return PageWalker.Walk(ref tables, machine.Cpu.Paging, new Gva(gva), new WalkAccess(AccessKind.Read, User: false), ref none).EntryAddress.Value;
    }

    private ulong Read(uint number)
    {
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack;
        machine.Kernel(c =>
        {
            c.mov(ecx, number);
            c.rdmsr();
        });
        return (machine.State.Gpr[GeneralRegister.Rdx] << 32) | (uint)machine.State.Gpr[GeneralRegister.Rax];
    }

    /// <summary>The vector that the write raised, or null.</summary>
    private int? Write(uint number, ulong value)
    {
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack;
        machine.Kernel(c =>
        {
            c.mov(ecx, number);
            c.mov(eax, (uint)value);
            c.mov(edx, (uint)(value >> 32));
            c.wrmsr();
        });
        return machine.Handled;
    }
}
