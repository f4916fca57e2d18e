using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>
/// What the XSAVE instructions refuse (SDM Vol. 1, 13.5 to 13.12), PKRU, which a host need not have, and XSAVES and XRSTORS, which a host
/// does not lend.
/// </summary>
[TestFixture]
internal sealed class ExtendedStateFaultTests
{
    private const int UD = (int)ExceptionVector.InvalidOpcode;
    private const int NM = (int)ExceptionVector.DeviceNotAvailable;
    private const int GP = (int)ExceptionVector.GeneralProtection;
    private const int PF = (int)ExceptionVector.PageFault;
    private const ulong Compacted = 1UL << 63;
    private const ulong Area = TestMachine.Data + 0x400;
    private const ulong Header = Area + 512;
    private const ulong Enabled = 0x203;

    private static readonly UInt128 One = new(0x1111_2222_3333_4444, 0x5555_6666_7777_8888);

    private TestMachine machine = null!;

    private static IEnumerable<(string Name, Action<Assembler> Write)> Each =>
    [
        ("XSAVE", c => c.xsave(__[rbx])), ("XSAVEOPT64", c => c.xsaveopt64(__[rbx])), ("XSAVEC", c => c.xsavec(__[rbx])), ("XSAVES64", c => c.xsaves64(__[rbx])),
        ("XRSTOR", c => c.xrstor(__[rbx])), ("XRSTORS64", c => c.xrstors64(__[rbx])),
    ];

    private static IEnumerable<TestCaseData<Action<Assembler>>> All =>
        Each.Select(each => new TestCaseData<Action<Assembler>>(each.Write).SetArgDisplayNames(each.Name));

    [SetUp]
    public void MakeMachine()
    {
        machine = new TestMachine();
        machine.State.Cr4 |= Cr4.OSXSAVE | Cr4.PKE;
        machine.State.Xcr0 = Enabled;
        machine.Cpu.FlushTlb();
        for (ulong at = Area; at < Area + 0xB00; at += 8)
        {
            machine[at] = 0;
        }

        machine[Header + 8] = Compacted;
    }

    [TearDown]
    public void DisposeMachine() => machine.Dispose();

    [TestCaseSource(nameof(All))]
    public void WithoutOsxsaveItIsUndefined(Action<Assembler> write)
    {
        machine.State.Cr4 &= ~Cr4.OSXSAVE;
        machine.State.Cr0 |= Cr0.TS;
        Assert.That(Run(write, Area + 1), Is.EqualTo(UD));
    }

    [TestCaseSource(nameof(All))]
    public void WithTaskSwitchedItIsNotAvailable(Action<Assembler> write)
    {
        machine.State.Cr0 |= Cr0.TS;
        Assert.That(Run(write, Area + 1), Is.EqualTo(NM));
    }

    [TestCaseSource(nameof(All))]
    public void EmulationDoesNotMatter(Action<Assembler> write)
    {
        machine.State.Cr0 |= Cr0.EM;
        Assert.That(Run(write, Area), Is.Null);
    }

    [TestCaseSource(nameof(All))]
    public void AMisalignedAreaIsRefused(Action<Assembler> write) => Assert.That(Run(write, Area + 32), Is.EqualTo(GP));

    [TestCaseSource(nameof(All))]
    public void AnAreaThatIsNotMappedFaultsWithNothingChanged(Action<Assembler> write)
    {
        Fill();
        ulong half = TestMachine.Mapped - 512;
        for (ulong at = half; at < TestMachine.Mapped; at += 8)
        {
            machine[at] = 0x7777_7777_7777_7777;
        }

        ref CpuState cpu = ref machine.State;
        UInt128 before = Low(ref cpu, 3);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Run(write, half), Is.EqualTo(PF));
            Assert.That(machine.State.Cr2, Is.EqualTo(TestMachine.Mapped));
            Assert.That(Low(ref machine.State, 3), Is.EqualTo(before));
            Assert.That(machine[half], Is.EqualTo(0x7777_7777_7777_7777));
        }
    }

    /// <summary>Headers: XSTATE_BV, XCOMP_BV, the word after them and the last one; whether XRSTOR and XRSTORS take them.</summary>
    [TestCase(0ul, 0ul, 0ul, 0ul, true, false, TestName = "Standard, nothing there")]
    [TestCase(0x203ul, 0ul, 0ul, 0ul, true, false, TestName = "Standard, everything there")]
    [TestCase(4ul, 0ul, 0ul, 0ul, false, false, TestName = "Standard, a component that is not enabled")]
    [TestCase(0ul, 3ul, 0ul, 0ul, false, false, TestName = "XCOMP_BV without bit 63")]
    [TestCase(0ul, 0ul, 1ul, 0ul, false, false, TestName = "Standard, the word after XCOMP_BV")]
    [TestCase(0ul, 0ul, 0ul, 1ul, true, false, TestName = "Standard, the last word is not looked at")]
    [TestCase(3ul, Compacted | 0x203, 0ul, 0ul, true, true, TestName = "Compacted")]
    [TestCase(0x203ul, Compacted | 3, 0ul, 0ul, false, false, TestName = "Compacted, a component that XCOMP_BV lacks")]
    [TestCase(0ul, Compacted | 4, 0ul, 0ul, false, false, TestName = "Compacted, XCOMP_BV with a component that is not enabled")]
    [TestCase(0ul, Compacted, 1ul, 0ul, false, false, TestName = "Compacted, the word after XCOMP_BV")]
    [TestCase(0ul, Compacted, 0ul, 1ul, false, false, TestName = "Compacted, the last word")]
    public void AHeaderIsChecked(ulong present, ulong format, ulong next, ulong last, bool byUser, bool bySupervisor)
    {
        machine[Header] = present;
        machine[Header + 8] = format;
        machine[Header + 16] = next;
        machine[Header + 56] = last;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Run(c => c.xrstor(__[rbx]), Area, 0), Is.EqualTo(byUser ? null : GP), "XRSTOR");
            Assert.That(Run(c => c.xrstors(__[rbx]), Area, 0), Is.EqualTo(bySupervisor ? null : GP), "XRSTORS");
        }
    }

    [TestCase(0ul, 2ul, true, TestName = "Standard: MXCSR is loaded though SSE is not there")]
    [TestCase(0ul, 1ul, false, TestName = "Standard: MXCSR is not asked for")]
    public void AReservedBitOfMxcsrIsRefused(ulong format, ulong asked, bool refused)
    {
        machine[Area + 24] = 0x1_1F80;
        machine[Header + 8] = format;
        Assert.That(Run(c => c.xrstor(__[rbx]), Area, asked), Is.EqualTo(refused ? GP : null));
    }

    [Test]
    public void TheCompactedFormatInitializesMxcsrWithSse()
    {
        machine[Area + 24] = 0x1_1F80;
        machine[Header + 8] = Compacted | 3;
        machine.State.Mxcsr = 0x9FC0;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Run(c => c.xrstor(__[rbx]), Area, 3), Is.Null);
            Assert.That(machine.State.Mxcsr, Is.EqualTo(SseState.MxcsrDefault));
        }
    }

    [TestCase(false, 2688ul)]
    [TestCase(true, 576ul)]
    public void ProtectionKeysAreState(bool compacted, ulong offset)
    {
        machine.State.Pkru = 0x5555_1234;
        machine[Header + 8] = 0;
        int? saved = Run(c => (compacted ? (Action<AssemblerMemoryOperand>)c.xsavec : c.xsave)(__[rbx]), Area, 0x200);
        ulong stored = machine[Area + offset], present = machine[Header], format = machine[Header + 8];
        machine.State.Pkru = 0;
        int? loaded = Run(c => c.xrstor(__[rbx]), Area, 0x200);
        uint pkru = machine.State.Pkru;
        machine[Header] = 0;
        Run(c => c.xrstor(__[rbx]), Area, 0x200);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((saved, loaded), Is.EqualTo(((int?)null, (int?)null)));
            Assert.That(stored, Is.EqualTo(0x5555_1234));
            Assert.That((present, format), Is.EqualTo((0x200ul, compacted ? Compacted | 0x200 : 0)));
            Assert.That(pkru, Is.EqualTo(0x5555_1234));
            Assert.That(machine.State.Pkru, Is.Zero, "the initial value");
        }
    }

    [Test]
    public void XsavesAndXrstorsRoundTrip()
    {
        Fill();
        machine.State.Pkru = 0xC;
        int? saved = Run(c => c.xsaves(__[rbx]), Area);
        for (int i = 0; i < 16; i++)
        {
            machine.State.Vector[i] = Vector512<byte>.Zero;
        }

        machine.State.Mxcsr = SseState.MxcsrDefault;
        machine.State.Pkru = 0;
        int? loaded = Run(c => c.xrstors(__[rbx]), Area);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((saved, loaded), Is.EqualTo(((int?)null, (int?)null)));
            Assert.That(machine[Header + 8], Is.EqualTo(Compacted | Enabled));
            Assert.That(machine.State.Mxcsr, Is.EqualTo(0x3FA0));
            Assert.That(machine.State.Pkru, Is.EqualTo(0xC));
            for (int i = 0; i < 16; i++)
            {
                Assert.That(Low(ref machine.State, i), Is.EqualTo(One + (UInt128)i), $"XMM{i}");
            }
        }
    }

    /// <summary>A state in its initial configuration is not in use, and an XSAVEOPT leaves its bytes alone.</summary>
    [Test]
    public void WhatIsInitialIsNotInUse()
    {
        machine.State.X87 = ExtendedStateArea.InitialX87();
        machine[Header + 8] = 0;
        machine[Area + 160] = 0x4242;
        Run(c => c.xsaveopt(__[rbx]), Area);
        ulong present = machine[Header], left = machine[Area + 160];
        machine.Kernel(c =>
        {
            c.mov(ecx, 1);
            c.xgetbv();
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That((present, left), Is.EqualTo((0ul, 0x4242ul)));
            Assert.That(machine.State.Gpr[GeneralRegister.Rax], Is.Zero);
        }
    }

    /// <summary>Outside 64-bit mode there are eight vector registers, and the bytes of the others stay.</summary>
    [Test]
    public void CompatibilityModeSavesEightRegisters()
    {
        Fill();
        machine.State.Msr.SysenterCs = TestMachine.KernelCs;
        machine.State.Gpr[GeneralRegister.Rbx] = TestMachine.UserData + 0x400;
        byte[] code = [0x0F, 0xAE, 0x23, 0x0F, 0x0B];
        machine.Machine.WriteMemory(new(TestMachine.UserCode), code);
        machine.State.Segments[SegmentIndex.Ds] = machine.State.Segments[SegmentIndex.Ss];
        machine[TestMachine.UserData + 0x400 + 160 + 128] = 0x4242;
        machine.Kernel(c =>
        {
            c.mov(edx, (uint)TestMachine.UserCode);
            c.mov(ecx, (uint)TestMachine.UserStack);
            c.mov(eax, 3);
            c.sysexit();
        });
        using (Assert.EnterMultipleScope())
        {
            Assert.That(machine.Handled, Is.EqualTo(UD));
            Assert.That(machine[TestMachine.UserData + 0x400 + 160 + 112], Is.EqualTo((ulong)(One + 7)));
            Assert.That(machine[TestMachine.UserData + 0x400 + 160 + 128], Is.EqualTo(0x4242));
        }
    }

    private static UInt128 Low(ref CpuState cpu, int index) =>
        MemoryMarshal.Cast<Vector128<byte>, UInt128>(MemoryMarshal.CreateSpan(ref ExtendedStateArea.XmmOf(ref cpu, index), 1))[0];

    private void Fill()
    {
        for (int i = 0; i < 16; i++)
        {
            UInt128 value = One + (UInt128)i;
            machine.State.Vector[i] = Vector512.Create(Vector256.Create(Vector128.Create((ulong)value, (ulong)(value >> 64)), Vector128<ulong>.Zero), Vector256<ulong>.Zero).AsByte();
        }

        machine.State.Mxcsr = 0x3FA0;
    }

    /// <summary>Runs one instruction on an area at CPL 0; the vector it raised.</summary>
    private int? Run(Action<Assembler> write, ulong area, ulong asked = Enabled)
    {
        machine.State.Gpr[GeneralRegister.Rsp] = TestMachine.KernelStack;
        machine.Kernel(c =>
        {
            c.mov(ebx, (uint)area);
            c.mov(eax, (uint)asked);
            c.xor(edx, edx);
            write(c);
        });
        return machine.Handled;
    }
}
