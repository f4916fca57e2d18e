using System.Runtime.Intrinsics.X86;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class CpuidTests
{
    private const ulong AllState = StateComponents.X87 | StateComponents.Sse | StateComponents.Avx | StateComponents.Pkru;

    /// <summary>Sizes and offsets of state components (SDM Vol. 1, 13.5).</summary>
    private static readonly CpuFeatures WithState = new()
    {
        Claimed = new HashSet<CpuFeature>(CpuFeatures.Supported) { CpuFeature.Avx, CpuFeature.Pku, CpuFeature.Xsave, CpuFeature.Xsavec, CpuFeature.Xsaves },
    };

    /// <summary>Where Linux says a flag is, its CPUID bit is set.</summary>
    [Test]
    public void FeatureBitsAreWhereTheHostHasThem()
    {
        if (!X86Base.IsSupported || !File.Exists("/proc/cpuinfo"))
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        HashSet<string> flags = [.. File.ReadLines("/proc/cpuinfo").First(line => line.StartsWith("flags", StringComparison.Ordinal)).Split(' ').Select(Plain)];
        int found = 0;
        foreach (CpuFeatureRow row in CpuFeatureTable.Rows.Where(row => flags.Contains(Plain(LinuxName(row.Name)))))
        {
            (int eax, int ebx, int ecx, int edx) = X86Base.CpuId((int)row.Leaf, (int)row.Subleaf);
            uint word = (uint)(row.Register switch { CpuidRegister.Eax => eax, CpuidRegister.Ebx => ebx, CpuidRegister.Ecx => ecx, _ => edx });
            Assert.That(word >> row.Bit & 1, Is.EqualTo(1), row.Name);
            found++;
        }

        Assert.That(found, Is.GreaterThan(25));
    }

    [Test]
    public void AFeatureIsClaimedWhereItsRowSays([ValueSource(nameof(Features))] CpuFeature feature)
    {
        CpuFeatureRow row = CpuFeatureTable.Rows.Single(each => each.Feature == feature);
        CpuFeatures with = new() { Claimed = new HashSet<CpuFeature>(CpuFeatures.Supported) { feature, CpuFeature.Xsave } };
        CpuFeatures without = new() { Claimed = new HashSet<CpuFeature>(with.Claimed.Where(each => each != feature)) };
        CpuidLeaf claimed = new Cpuid(with, 0, 1, 0).Of(row.Leaf, row.Subleaf), other = new Cpuid(without, 0, 1, 0).Of(row.Leaf, row.Subleaf);
        Assert.That(WordOf(claimed, row) ^ WordOf(other, row), Is.EqualTo(1u << row.Bit));
    }

    [TestCase(0xDu, 0u, AllState, 0x207u, 2696u, 2696u, 0u)]
    [TestCase(0xDu, 0u, 3ul, 0x207u, 576u, 2696u, 0u)]
    [TestCase(0xDu, 0u, 7ul, 0x207u, 832u, 2696u, 0u)]
    [TestCase(0xDu, 1u, 7ul, 0xFu, 832u, 0u, 0u)]
    [TestCase(0xDu, 1u, AllState, 0xFu, 840u, 0u, 0u)]
    [TestCase(0xDu, 1u, 0x203ul, 0xFu, 584u, 0u, 0u)]
    [TestCase(0xDu, 2u, AllState, 256u, 576u, 0u, 0u)]
    [TestCase(0xDu, 9u, AllState, 8u, 2688u, 0u, 0u)]
    [TestCase(0xDu, 3u, AllState, 0u, 0u, 0u, 0u)]
    [TestCase(0xDu, 64u, AllState, 0u, 0u, 0u, 0u)]
    [TestCase(0x15u, 0u, 1ul, 1u, 40u, 25_000_000u, 0u, TestName = "The clock has 1 GHz")]
    [TestCase(0x16u, 0u, 1ul, 1000u, 1000u, 100u, 0u)]
    [TestCase(0xAu, 0u, 1ul, 0u, 0u, 0u, 0u, TestName = "There are no performance counters")]
    [TestCase(3u, 0u, 1ul, 0u, 0u, 0u, 0u)]
    [TestCase(4u, 4u, 1ul, 0u, 0u, 0u, 0u, TestName = "The last cache is followed by none")]
    [TestCase(7u, 2u, 1ul, 0u, 0u, 0u, 0u)]
    [TestCase(0xBu, 0u, 1ul, 0u, 1u, 0x100u, 0u)]
    [TestCase(0x1Fu, 1u, 1ul, 0u, 1u, 0x201u, 0u)]
    [TestCase(0xBu, 2u, 1ul, 0u, 0u, 2u, 0u)]
    [TestCase(0x8000_0000u, 0u, 1ul, 0x8000_0008u, 0u, 0u, 0u)]
    [TestCase(0x8000_0004u, 0u, 1ul, 0u, 0u, 0u, 0u, TestName = "The brand string ends early")]
    public void ALeafSays(uint leaf, uint subleaf, ulong xcr0, uint eax, uint ebx, uint ecx, uint edx) =>
        Assert.That(new Cpuid(WithState, 0, xcr0, 0).Of(leaf, subleaf), Is.EqualTo(new CpuidLeaf(eax, ebx, ecx, edx)));

    [TestCase("max", 46u, 57u)]
    [TestCase("max,phys-bits=52", 52u, 57u)]
    [TestCase("max,-la57,phys-bits=36", 36u, 48u)]
    [TestCase("v3,phys-bits=40", 40u, 48u)]
    [TestCase("v1,+la57", 46u, 57u)]
    public void AddressesHaveTheirWidths(string model, uint physical, uint linear) =>
        Assert.That(new Cpuid(CpuFeatures.Parse(model), 0, 1, 0).Of(0x8000_0008).Eax, Is.EqualTo(physical | (linear << 8)));

    /// <summary>SDM Vol. 2A, "CPUID": what pages and addresses may be, and where it is said. CET is none of this processor's.</summary>
    [TestCase("la57", 0u, "Ecx", 16)]
    [TestCase("pks", 0u, "Ecx", 31)]
    [TestCase("lam", 1u, "Eax", 26)]
    public void AFeatureOfAddressesIsClaimedInLeaf7(string name, uint subleaf, string register, int bit)
    {
        CpuFeatureRow at = new(CpuFeature.La57, "", 7, subleaf, Enum.Parse<CpuidRegister>(register), bit);
        foreach ((string model, bool claims) in (ReadOnlySpan<(string, bool)>)
            [("max", true), ($"max,-{name}", false), ("v1", false), ("v2", false), ("v3", false), ($"v3,+{name}", true)])
        {
            uint word = WordOf(new Cpuid(CpuFeatures.Parse(model), 0, 1, 0).Of(7, subleaf), at);
            Assert.That((word >> bit) & 1, Is.EqualTo(claims ? 1u : 0), model);
        }

        CpuidLeaf max = new Cpuid(CpuFeatures.Parse("max"), 0, 1, 0).Of(7);
        Assert.That(((max.Ecx >> 7) & 1, (max.Edx >> 20) & 1), Is.EqualTo((0u, 0u)));
    }

    [TestCase(0u, 32u << 10)]
    [TestCase(1u, 32u << 10)]
    [TestCase(2u, 1u << 20)]
    [TestCase(3u, 16u << 20)]
    public void ACacheHasItsSize(uint subleaf, uint bytes)
    {
        CpuidLeaf leaf = new Cpuid(WithState, 0, 1, 0).Of(4, subleaf);
        uint ways = (leaf.Ebx >> 22) + 1, partitions = ((leaf.Ebx >> 12) & 0x3FF) + 1, line = (leaf.Ebx & 0xFFF) + 1, sets = leaf.Ecx + 1;
        Assert.That(ways * partitions * line * sets, Is.EqualTo(bytes));
    }

    [TestCase(1u, "Ecx", 27, Cr4.OSXSAVE)]
    [TestCase(7u, "Ecx", 4, Cr4.PKE)]
    public void WhatTheSystemUsesFollowsCr4(uint leaf, string register, int bit, ulong cr4)
    {
        CpuFeatureRow at = new(CpuFeature.Xsave, "", leaf, 0, Enum.Parse<CpuidRegister>(register), bit);
        uint off = WordOf(new Cpuid(WithState, 0, 1, 0).Of(leaf), at), on = WordOf(new Cpuid(WithState, cr4, 1, 0).Of(leaf), at);
        Assert.That(on ^ off, Is.EqualTo(1u << bit));
    }

    /// <summary>SDM Vol. 2A: a leaf above the last basic one gives that one's data.</summary>
    [TestCase(0x20u)]
    [TestCase(0x4000_0000u)]
    [TestCase(0x8000_0009u)]
    [TestCase(0xFFFF_FFFFu)]
    public void ALeafThatIsNotThereAnswersAsTheLastBasicOne(uint leaf)
    {
        Cpuid cpuid = new(new CpuFeatures(), 0, 1, 0);
        Assert.That(cpuid.Of(leaf, 1), Is.EqualTo(cpuid.Of(cpuid.Of(0).Eax, 1)));
    }

    [Test]
    public void TheHypervisorLeafIsThereIfClaimed()
    {
        CpuFeatures features = new() { Claimed = new HashSet<CpuFeature>(CpuFeatures.Supported) { CpuFeature.Hypervisor } };
        CpuidLeaf leaf = new Cpuid(features, 0, 1, 0).Of(0x4000_0000);
        byte[] name = [.. BitConverter.GetBytes(leaf.Ebx), .. BitConverter.GetBytes(leaf.Ecx), .. BitConverter.GetBytes(leaf.Edx)];
        Assert.That((leaf.Eax, System.Text.Encoding.ASCII.GetString(name)), Is.EqualTo((0x4000_0000u, "QuadwalkEmu!")));
    }

    [Test]
    public void FourProcessorsShareAPackage()
    {
        Cpuid cpuid = new(new CpuFeatures(), 0, 1, 0, apicId: 3, processors: 4);
        CpuidLeaf identity = cpuid.Of(1);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(identity.Ebx >> 16, Is.EqualTo(0x0304u));
            Assert.That(identity.Edx >> 28 & 1, Is.EqualTo(1), "HTT");
            Assert.That(cpuid.Of(0xB, 1), Is.EqualTo(new CpuidLeaf(2, 4, 0x201, 3)));
            Assert.That(cpuid.Of(4, 3).Eax >> 14 & 0xFFF, Is.EqualTo(3), "sharing the last cache");
        }
    }

    private static IEnumerable<CpuFeature> Features => Enum.GetValues<CpuFeature>();

    private static uint WordOf(CpuidLeaf leaf, CpuFeatureRow row) => row.Register switch
    {
        CpuidRegister.Eax => leaf.Eax,
        CpuidRegister.Ebx => leaf.Ebx,
        CpuidRegister.Ecx => leaf.Ecx,
        _ => leaf.Edx,
    };

    /// <summary>Linux's name where it is another one.</summary>
    private static string LinuxName(string name) => name switch
    {
        "sse3" => "pni",
        "invtsc" => "nonstop_tsc",
        "tsc-deadline" => "tsc_deadline_timer",
        _ => name,
    };

    private static string Plain(string name) => name.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal)
        .Replace(".", "", StringComparison.Ordinal);
}
