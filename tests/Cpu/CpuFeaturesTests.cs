using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class CpuFeaturesTests
{
    /// <summary>The levels as the psABI lists them (System V ABI, AMD64 supplement, table 3.1); OSFXSR, SCE and OSXSAVE are the system's.</summary>
    private static readonly (string Name, string[] Adds)[] PsAbi =
    [
        ("v1", ["cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2"]),
        ("v2", ["cx16", "lahf-lm", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"]),
        ("v3", ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"]),
    ];

    private static readonly string[] Levels = ["v1", "v2", "v3"];

    /// <summary>What compiled code can use.</summary>
    private static readonly string[] ForPrograms =
    [
        .. PsAbi.SelectMany(level => level.Adds), "aes", "pclmulqdq", "sha-ni", "adx", "rdrand", "rdseed", "rdpid", "clflushopt", "clwb", "movdiri",
        "movdir64b", "pku", "serialize", "cldemote",
    ];

    [TestCaseSource(nameof(Levels))]
    public void ALevelHasWhatThePsAbiListsAndNoOtherInstructions(string name)
    {
        string[] supported = [.. new CpuFeatures().Names];
        string[] wanted = [.. PsAbi.TakeWhile(level => string.CompareOrdinal(level.Name, name) <= 0).SelectMany(level => level.Adds).Intersect(supported).Order()];
        string[] has = [.. CpuFeatures.Parse(name).Names.Intersect(ForPrograms).Order()];
        Assert.That(has, Is.EqualTo(wanted));
    }

    [Test]
    public void EveryModelHasWhatItsFeaturesNeed([Values("v1", "v2", "v3", "max")] string name)
    {
        CpuFeatures model = CpuFeatures.Parse(name);
        HashSet<CpuFeature> closed = [.. model.Claimed];
        foreach (CpuFeature feature in model.Claimed)
        {
            CpuFeatureNeeds.Add(closed, feature);
        }

        closed.IntersectWith(CpuFeatures.Supported);
        Assert.That(closed.Except(model.Claimed), Is.Empty);
    }

    [TestCase("v1,+xsavec", "xsavec xsave", "")]
    [TestCase("v1,+bmi1,+lzcnt", "bmi1 abm", "bmi2")]
    [TestCase("max,-xsave", "sse2", "xsave xsaveopt xsavec xsaves xgetbv1")]
    [TestCase("max,-xsavec", "xsave xsaveopt", "xsavec xsaves")]
    [TestCase("max,-XSAVE_OPT,-lahf_lm", "xsave", "xsaveopt lahf-lm")]
    [TestCase("max,-bmi1,+bmi1", "bmi1", "")]
    public void ChangesBringAndTakeAlongWhatDepends(string text, string has, string hasNot)
    {
        CpuFeatures model = CpuFeatures.Parse(text);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(has.Split(' ').Except(model.Names), Is.Empty);
            Assert.That(hasNot.Split(' ').Intersect(model.Names), Is.Empty);
            Assert.That(model.Model, Is.EqualTo(text));
        }
    }

    [TestCase("")]
    [TestCase("v5")]
    [TestCase("max,")]
    [TestCase("max,xsave")]
    [TestCase("max,+")]
    [TestCase("max,-pae")]
    [TestCase("v1,+xsavec,-xsave")]
    [TestCase("max,phys-bits=35")]
    [TestCase("max,phys-bits=53")]
    [TestCase("max,phys-bits=")]
    [TestCase("max,phys-bits=0x28")]
    [TestCase("max,phys-bits=-40")]
    [TestCase("max,+phys-bits=40")]
    [TestCase("phys-bits=40")]
    public void WhatIsNoModelIsRefused(string text) => Assert.That(() => CpuFeatures.Parse(text), Throws.TypeOf<FormatException>());

    [Test]
    public void EveryWidthOfPhysicalAddressesCanBeChosen([Range(36, 52)] int bits)
    {
        CpuFeatures model = CpuFeatures.Parse($"v3,phys-bits={bits},-avx2");
        Assert.That((model.PhysicalAddressBits, model.Has(CpuFeature.Avx2)), Is.EqualTo(((byte)bits, false)));
        using TestMachine machine = new(model);
        Assert.That(machine.Cpu.Paging.PhysicalAddressBits, Is.EqualTo(bits));
    }

    [TestCase(35)]
    [TestCase(53)]
    [TestCase(0)]
    public void NoOtherWidthCan(byte bits) => Assert.That(() => new CpuFeatures { PhysicalAddressBits = bits }, Throws.TypeOf<ArgumentOutOfRangeException>());

    [Test]
    public void TheDefaultIsEverything() => Assert.That(new CpuFeatures().Claimed, Is.EquivalentTo(CpuFeatures.Supported));

    [Test]
    public void EveryFeatureHasOneRow() =>
        Assert.That(CpuFeatureTable.Rows.Select(row => row.Feature), Is.EquivalentTo(Enum.GetValues<CpuFeature>()));
}
