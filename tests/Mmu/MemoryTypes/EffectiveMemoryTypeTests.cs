using NUnit.Framework;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>Encodings, and the SDM's tables of how types combine, line by line; then EPT.</summary>
[TestFixture]
internal sealed class EffectiveMemoryTypeTests
{
    [Test]
    public void EncodingsAreTheSdmsAndNoOthers()
    {
        using (Assert.EnterMultipleScope())
        {
            for (int encoding = 0; encoding < 256; encoding++)
            {
                string? name = SdmMemoryTypes.Encodings.SingleOrDefault(type => type.Encoding == encoding).Name;
                Assert.That(MemoryTypeEncoding.IsForPat((byte)encoding), Is.EqualTo(name is not null), $"{encoding}");
                Assert.That(MemoryTypeEncoding.IsForMtrr((byte)encoding), Is.EqualTo(name is not null and not "UC-"), $"{encoding}");
                for (int at = 0; at < 64; at += 8)
                {
                    ulong register = (0x0606_0606_0606_0606UL & ~(0xFFUL << at)) | ((ulong)encoding << at);
                    Assert.That(MemoryTypeEncoding.AreForPat(register), Is.EqualTo(name is not null), $"{register:x}");
                    Assert.That(MemoryTypeEncoding.AreForMtrr(register), Is.EqualTo(name is not null and not "UC-"), $"{register:x}");
                }

                if (name is not null)
                {
                    Assert.That(MemoryTypeEncoding.Name((MemoryType)encoding), Is.EqualTo(name));
                }
            }
        }
    }

    [Test]
    public void TypesCombineWithThePatAsTheTableSays()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(SdmMemoryTypes.EffectiveWithPat, Is.Unique.And.Length.EqualTo(30));
            foreach (string line in SdmMemoryTypes.EffectiveWithPat)
            {
                MemoryType[] types = [.. line.Split(' ').Select(Type)];
                Assert.That(EffectiveMemoryType.Combine(types[0], types[1]), Is.EqualTo(types[2]), line);
            }
        }
    }

    [Test]
    public void TypesCombineWithPcdAndPwtAsTheTableSays()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(SdmMemoryTypes.EffectiveWithoutPat, Is.Unique.And.Length.EqualTo(20));
            foreach (string line in SdmMemoryTypes.EffectiveWithoutPat)
            {
                string[] words = line.Split(' ');
                MemoryType effective = EffectiveMemoryType.CombineWithoutPat(Type(words[0]), words[1] == "1", words[2] == "1");
                Assert.That(effective, Is.EqualTo(Type(words[3])), line);
            }
        }
    }

    [TestCase(7, 6)]
    [TestCase(2, 6)]
    [TestCase(3, 0)]
    [TestCase(6, 2)]
    [TestCase(6, 3)]
    [TestCase(8, 6)]
    [TestCase(6, 8)]
    [TestCase(255, 255)]
    public void WhatIsNoTypeIsRefused(int memory, int pat) =>
        Assert.That(() => EffectiveMemoryType.Combine((MemoryType)memory, (MemoryType)pat), Throws.InstanceOf<ArgumentOutOfRangeException>());

    /// <summary>SDM Vol. 3C, "Memory Type Used for Translated Guest-Physical Addresses": every EPT type, PAT type, IPAT and CR0.CD.</summary>
    [Test]
    public void EptTakesThePlaceOfTheMtrrs()
    {
        using (Assert.EnterMultipleScope())
        {
            foreach (string line in SdmMemoryTypes.EffectiveWithPat)
            {
                MemoryType[] types = [.. line.Split(' ').Select(Type)];
                PatSelection pat = new(types[1], 3, PatSource.Page);
                ulong entry = 0x0000_0012_3456_7007 | ((ulong)types[0] << 3);
                Assert.That(EptMemoryType.OfAccess(entry, pat, cacheDisabled: false),
                    Is.EqualTo(new MemoryTypeDecision(types[2], MemoryTypeCause.PatAndEpt, pat, Ept: types[0])), line);
                Assert.That(EptMemoryType.OfAccess(entry | 0x40, pat, cacheDisabled: false),
                    Is.EqualTo(new MemoryTypeDecision(types[0], MemoryTypeCause.EptAlone, pat, Ept: types[0])), line);
                Assert.That(EptMemoryType.OfAccess(entry, pat, cacheDisabled: true).Type, Is.EqualTo(MemoryType.UC), line);
                Assert.That(EptMemoryType.OfAccess(entry | 0x40, pat, cacheDisabled: true).Cause, Is.EqualTo(MemoryTypeCause.CacheDisabled), line);
            }

            foreach (ulong reserved in (ulong[])[2, 3, 7])
            {
                Assert.That(() => EptMemoryType.OfAccess(reserved << 3, default, false), Throws.InstanceOf<ArgumentOutOfRangeException>());
            }
        }
    }

    [TestCase(0x1000ul, false, MemoryType.UC, MemoryTypeCause.Eptp)]
    [TestCase(0x101Eul, false, MemoryType.WB, MemoryTypeCause.Eptp)]
    [TestCase(0x101Eul, true, MemoryType.UC, MemoryTypeCause.CacheDisabled)]
    public void EptStructuresGoByTheEptp(ulong eptp, bool cacheDisabled, MemoryType type, MemoryTypeCause cause)
    {
        MemoryTypeDecision decision = EptMemoryType.OfStructure(eptp, cacheDisabled);
        Assert.That((decision.Type, decision.Cause), Is.EqualTo((type, cause)));
    }

    [TestCase(1ul)]
    [TestCase(4ul)]
    [TestCase(7ul)]
    public void AnEptpOfAnotherTypeIsRefused(ulong type) =>
        Assert.That(() => EptMemoryType.OfStructure(0x1000 | type, false), Throws.InstanceOf<ArgumentOutOfRangeException>());

    private static MemoryType Type(string name) => (MemoryType)SdmMemoryTypes.EncodingOf(name);
}
