using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>IA32_APIC_BASE and x2APIC mode: SDM figure 12-27 and table 12-6 as data.</summary>
[TestFixture]
public sealed class LocalApicModeTests
{
    private const ulong Base = 0xfee0_0100, En = 1 << 11, Extd = 1 << 10;

    private static IEnumerable<TestCaseData> Transitions()
    {
        (string Name, ulong Bits)[] states = [("disabled", 0), ("xAPIC", En), ("x2APIC", En | Extd), ("invalid", Extd)];
        string[] allowed = ["disabled-disabled", "disabled-xAPIC", "xAPIC-disabled", "xAPIC-xAPIC", "xAPIC-x2APIC", "x2APIC-disabled", "x2APIC-x2APIC"];
        foreach ((string from, ulong fromBits) in states[..3])
        {
            foreach ((string to, ulong toBits) in states)
            {
                yield return new TestCaseData(fromBits, toBits, allowed.Contains($"{from}-{to}")).SetArgDisplayNames($"{from} to {to}");
            }
        }
    }

    [TestCaseSource(nameof(Transitions))]
    public void ModeTransitions(ulong from, ulong to, bool allowed)
    {
        var rig = new ApicRig();
        if (from == 0)
        {
            rig.Wrmsr(LocalApic.ApicBaseMsr, Base);
        }
        else
        {
            rig.Wrmsr(LocalApic.ApicBaseMsr, Base | from);
        }

        bool done = rig.Wrmsr(LocalApic.ApicBaseMsr, Base | to);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(done, Is.EqualTo(allowed));
            Assert.That(rig.Rdmsr(LocalApic.ApicBaseMsr), Is.EqualTo(Base | (allowed ? to : from)));
        }
    }

    [TestCase(0xfee0_0901ul)]
    [TestCase(0xfee0_0980ul)]
    [TestCase(0xfee0_0b00ul)]
    [TestCase(0x100_fee0_0900ul, Description = "beyond the physical-address width of 40")]
    public void ReservedBitsOfTheBaseFault(ulong value) => Assert.That(new ApicRig().Wrmsr(LocalApic.ApicBaseMsr, value), Is.False);

    [Test]
    public void ThePageCanBeMovedAndItsOwnerIsTold()
    {
        var rig = new ApicRig();
        int told = 0;
        rig[0].BaseChanged = () => told++;

        bool moved = rig.Wrmsr(LocalApic.ApicBaseMsr, 0xfed4_0900);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(moved, Is.True);
            Assert.That(rig[0].PageAddress.Value, Is.EqualTo(0xfed4_0000));
            Assert.That(told, Is.EqualTo(1));
        }
    }

    [TestCase(En | Extd)]
    [TestCase(0ul)]
    public void OutsideOfXapicModeThePageIsNotThere(ulong mode)
    {
        var rig = new ApicRig();
        rig.Wrmsr(LocalApic.ApicBaseMsr, Base | mode);

        rig.Write(ApicRig.Tpr, 0x50);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Read(ApicRig.Version), Is.EqualTo(uint.MaxValue));
            Assert.That(rig[0].TaskPriorityClass, Is.Zero);
        }
    }

    [Test]
    public void EnablingAgainGivesTheResetState()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.LvtTimer, 0x2_0030);
        rig.Write(ApicRig.Divide, 0xb);
        rig.Write(ApicRig.InitialCount, 100);
        rig.Fixed(0x40);
        rig.Wrmsr(LocalApic.ApicBaseMsr, Base);
        rig.Fixed(0x41);
        rig.Wrmsr(LocalApic.ApicBaseMsr, Base | En);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Read(ApicRig.Svr), Is.EqualTo(0xffu));
            Assert.That(rig.Read(ApicRig.LvtTimer), Is.EqualTo(0x1_0000u));
            Assert.That(rig.Read(ApicRig.Lint0), Is.EqualTo(0x1_0000u));
            Assert.That(rig.Vectors(0, ApicRig.Irr), Is.Empty);
            Assert.That(rig[0].NextDeadline, Is.Null);
        }
    }

    [Test]
    public void GoingToX2ApicModeKeepsTheRegisters()
    {
        var rig = new ApicRig();
        rig.Write(ApicRig.Tpr, 0x25);
        rig.Fixed(0x40);

        rig.EnterX2(0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Rdmsr(0x808), Is.EqualTo(0x25ul));
            Assert.That(rig.Rdmsr(0x80f), Is.EqualTo(0x1fful));
            Assert.That(rig.Rdmsr(0x822), Is.EqualTo(1ul));
        }
    }

    // SDM table 12-6: r, w or rw; absent ones are reserved.
    private static readonly Dictionary<uint, string> X2Registers = new()
    {
        [0x802] = "r",
        [0x803] = "r",
        [0x808] = "rw",
        [0x80a] = "r",
        [0x80b] = "w",
        [0x80d] = "r",
        [0x80f] = "rw",
        [0x828] = "rw",
        [0x830] = "rw",
        [0x832] = "rw",
        [0x833] = "rw",
        [0x834] = "rw",
        [0x835] = "rw",
        [0x836] = "rw",
        [0x837] = "rw",
        [0x838] = "rw",
        [0x839] = "r",
        [0x83e] = "rw",
        [0x83f] = "w",
    };

    [Test]
    public void EveryX2ApicMsrIsReadableAndWritableAsTheTableSays()
    {
        using (Assert.EnterMultipleScope())
        {
            for (uint number = 0x800; number <= 0x8ff; number++)
            {
                string expected = number is >= 0x810 and <= 0x827 ? "r" : X2Registers.GetValueOrDefault(number, "");
                var rig = new ApicRig();
                bool inXapicMode = rig.Rdmsr(number) is not null || rig.Wrmsr(number, 0);
                rig.EnterX2(0);
                string seen = (rig.Rdmsr(number) is null ? "" : "r") + (rig.Wrmsr(number, 0) ? "w" : "");
                Assert.That(seen, Is.EqualTo(expected), $"MSR {number:x}");
                Assert.That(inXapicMode, Is.False, $"MSR {number:x} in xAPIC mode");
            }
        }
    }

    // The bits that fault when set, by register: SDM 12.12.1.2 and the registers' figures.
    [TestCase(0x808u, 0xffff_ffff_ffff_ff00ul)]
    [TestCase(0x80bu, 0xffff_ffff_ffff_fffful)]
    [TestCase(0x80fu, 0xffff_ffff_ffff_ec00ul)]
    [TestCase(0x828u, 0xffff_ffff_ffff_fffful)]
    [TestCase(0x830u, 0x0000_0000_fff3_2000ul)]
    [TestCase(0x832u, 0xffff_ffff_fff8_ef00ul)]
    [TestCase(0x833u, 0xffff_ffff_fffe_e800ul)]
    [TestCase(0x834u, 0xffff_ffff_fffe_e800ul)]
    [TestCase(0x835u, 0xffff_ffff_fffe_0800ul)]
    [TestCase(0x836u, 0xffff_ffff_fffe_0800ul)]
    [TestCase(0x837u, 0xffff_ffff_fffe_ef00ul)]
    [TestCase(0x838u, 0xffff_ffff_0000_0000ul)]
    [TestCase(0x83eu, 0xffff_ffff_ffff_fff4ul)]
    [TestCase(0x83fu, 0xffff_ffff_ffff_ff00ul)]
    public void AReservedBitFaults(uint number, ulong reserved)
    {
        var rig = new ApicRig();
        rig.EnterX2(0);
        ulong faulting = 0;
        for (int bit = 0; bit < 64; bit++)
        {
            faulting |= rig.Wrmsr(number, 1UL << bit) ? 0 : 1UL << bit;
        }

        Assert.That(faulting.ToString("x16", null), Is.EqualTo(reserved.ToString("x16", null)));
    }

    [TestCase(0, 0x0000_0001u)]
    [TestCase(5, 0x0000_0020u)]
    [TestCase(17, 0x0001_0002u)]
    public void TheX2ApicIdsFollowFromTheProcessor(int processor, uint logical)
    {
        var rig = new ApicRig(18);
        rig.EnterX2(processor);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Rdmsr(0x802, processor), Is.EqualTo((ulong)processor));
            Assert.That(rig.Rdmsr(0x80d, processor), Is.EqualTo((ulong)logical));
        }
    }

    [Test]
    public void SelfIpi()
    {
        var rig = new ApicRig();
        rig.EnterX2(0);
        rig.Wrmsr(0x83f, 0x77);
        rig.Wrmsr(0x83f, 0x0f);
        rig.Wrmsr(0x828, 0);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Pending(), Is.EqualTo((byte?)0x77));
            Assert.That(rig.Rdmsr(0x828), Is.EqualTo(0x20ul), "send illegal vector");
        }
    }

    [Test]
    public void TheCommandIsOneRegisterOf64Bits()
    {
        var rig = new ApicRig(2);
        rig.EnterX2(0);
        rig.EnterX2(1);

        rig.Wrmsr(0x830, 0x0000_0001_0000_1066);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(rig.Rdmsr(0x830), Is.EqualTo(0x0000_0001_0000_0066ul));
            Assert.That(rig.Pending(1), Is.EqualTo((byte?)0x66));
            Assert.That(rig.Pending(0), Is.Null);
        }
    }

    [TestCase(0x1bu, true)]
    [TestCase(0x6e0u, true)]
    [TestCase(0x7ffu, false)]
    [TestCase(0x800u, true)]
    [TestCase(0x8ffu, true)]
    [TestCase(0x900u, false)]
    public void TheMsrsOfTheApic(uint number, bool owned) => Assert.That(LocalApic.OwnsMsr(number), Is.EqualTo(owned));
}
