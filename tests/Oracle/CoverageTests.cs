using System.Text.RegularExpressions;
using Iced.Intel;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>The table of what verifies each opcode is up to date, and no opcode is verified by nothing.</summary>
[TestFixture]
public sealed class CoverageTests
{
    private static readonly CoverageTable Table = new();

    private static string Tests { get; } = Path.GetFullPath(Path.Combine(GuestSamples.Folder, "..", "..", "tests"));

    [Test]
    public void TheTableIsUpToDate()
    {
        string path = Path.Combine(Tests, "Golden", "coverage.md");
        string made = Table.ToString();
        string there = File.Exists(path) ? File.ReadAllText(path) : "";
        if (there != made)
        {
            string generated = Path.Combine(TestContext.CurrentContext.WorkDirectory, "coverage.md");
            File.WriteAllText(generated, made);
            string[] before = there.Split('\n'), after = made.Split('\n');
            Assert.Fail($"tests/Golden/coverage.md is not what is verified now: look at the changes, then\n  cp '{generated}' '{path}'\n"
                + string.Join('\n', before.Except(after).Take(10).Select(line => $"- {line}").Concat(after.Except(before).Take(10).Select(line => $"+ {line}"))));
        }
    }

    [Test]
    public void NothingIsVerifiedByNothing() => Assert.That(Table.Unverified, Is.Empty);

    [Test]
    public void WhatIsComparedIsImplemented() => Assert.That(Table.ComparedInVain, Is.Empty);

    /// <summary>Every instruction of x86-64-v3 that user programs run without asking the system is compared with the host, but for those that name a test.</summary>
    [TestCase(CpuidFeature.SSE)]
    [TestCase(CpuidFeature.SSE2)]
    [TestCase(CpuidFeature.SSE3)]
    [TestCase(CpuidFeature.SSSE3)]
    [TestCase(CpuidFeature.SSE4_1)]
    [TestCase(CpuidFeature.SSE4_2)]
    [TestCase(CpuidFeature.MMX)]
    [TestCase(CpuidFeature.FPU)]
    [TestCase(CpuidFeature.AVX)]
    [TestCase(CpuidFeature.AVX2)]
    [TestCase(CpuidFeature.FMA)]
    [TestCase(CpuidFeature.F16C)]
    [TestCase(CpuidFeature.BMI1)]
    [TestCase(CpuidFeature.BMI2)]
    [TestCase(CpuidFeature.LZCNT)]
    [TestCase(CpuidFeature.MOVBE)]
    [TestCase(CpuidFeature.POPCNT)]
    [TestCase(CpuidFeature.CMOV)]
    [TestCase(CpuidFeature.CX8)]
    [TestCase(CpuidFeature.CMPXCHG16B)]
    [TestCase(CpuidFeature.AES)]
    [TestCase(CpuidFeature.PCLMULQDQ)]
    [TestCase(CpuidFeature.SHA)]
    [TestCase(CpuidFeature.ADX)]
    public void EveryOpcodeOfTheFeatureIsComparedWithTheHost(CpuidFeature feature)
    {
        Code[] codes =
        [
            .. Enum.GetValues<Code>().Where(code => code.CpuidFeatures() is var features && features.Contains(feature)
                && features.All(each => each is CpuidFeature.X64 || VectorSet.Contains(each))
                && code.ToOpCode() is { IsInstruction: true, Mode64: true, IsPrivileged: false, Fwait: false, DecoderOption: DecoderOptions.None }),
        ];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(codes, Is.Not.Empty);
            Assert.That(codes.Where(code => VerificationSuites.Of(code) is null), Is.Empty);
        }
    }

    [Test]
    public void TestsNameWhatTheyVerify()
    {
        List<string> missing = [];
        foreach (DefinitionTest test in DefinitionTests.All)
        {
            string source = File.ReadAllText(Path.Combine(Tests, test.File));
            foreach (Mnemonic mnemonic in test.Mnemonics)
            {
                if (!Regex.IsMatch(source, $@"\b{mnemonic}", RegexOptions.IgnoreCase))
                {
                    missing.Add($"{test.File}: {mnemonic}");
                }
            }
        }

        Assert.That(missing, Is.Empty);
    }

    private static readonly HashSet<CpuidFeature> VectorSet =
    [
        CpuidFeature.SSE, CpuidFeature.SSE2, CpuidFeature.SSE3, CpuidFeature.SSSE3, CpuidFeature.SSE4_1, CpuidFeature.SSE4_2, CpuidFeature.MMX,
        CpuidFeature.FPU, CpuidFeature.AVX, CpuidFeature.AVX2, CpuidFeature.FMA, CpuidFeature.F16C, CpuidFeature.BMI1, CpuidFeature.BMI2, CpuidFeature.LZCNT,
        CpuidFeature.MOVBE, CpuidFeature.POPCNT, CpuidFeature.CMOV, CpuidFeature.CX8, CpuidFeature.CMPXCHG16B, CpuidFeature.AES, CpuidFeature.PCLMULQDQ,
        CpuidFeature.SHA, CpuidFeature.ADX, CpuidFeature.INTEL8086, CpuidFeature.INTEL386,
    ];
}
