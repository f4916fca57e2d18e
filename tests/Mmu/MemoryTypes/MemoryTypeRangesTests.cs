using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The MTRRs: which of them an address goes by, and what overlaps come to (SDM Vol. 3A, 13.11).</summary>
[TestFixture]
internal sealed class MemoryTypeRangesTests
{
    private const ulong Enabled = 0x800, FixedEnabled = 0xC00, Valid = 0x800;
    private const byte Bits = 40;
    private const ulong Physical = (1UL << Bits) - 1;

    [TestCase(0x006ul, 0x1234ul, MemoryType.UC, MtrrSource.Disabled)]
    [TestCase(0x406ul, 0x1234ul, MemoryType.UC, MtrrSource.Disabled)]
    [TestCase(0x806ul, 0x1234ul, MemoryType.WB, MtrrSource.Default)]
    [TestCase(0xC06ul, 0x1234ul, MemoryType.WP, MtrrSource.Fixed)]
    [TestCase(0xC01ul, 0x10_0000ul, MemoryType.WC, MtrrSource.Default)]
    public void TheDefaultTypeRegisterTurnsThemOn(ulong register, ulong address, MemoryType type, MtrrSource source) =>
        Assert.That(new MemoryTypeRanges(register, Fixed(0x0505_0505_0505_0505), [], Bits).TypeAt(new Gpa(address)), Is.EqualTo(new MtrrSelection(type, source)));

    [Test]
    public void WithoutMtrrsMemoryIsWriteBack() =>
        Assert.That(MemoryTypeRanges.Absent.TypeAt(new Gpa(0xA_0000)), Is.EqualTo(new MtrrSelection(MemoryType.WB, MtrrSource.Absent)));

    /// <summary>One range after the other is WT, all others WP: its first and last byte, and those beside it. Variable ranges do not matter there.</summary>
    [Test]
    public void EachFixedRangeTypesItsOwnBytes()
    {
        using (Assert.EnterMultipleScope())
        {
            for (int register = 0; register < SdmMemoryTypes.FixedRanges.Length; register++)
            {
                (_, ulong start, ulong size) = SdmMemoryTypes.FixedRanges[register];
                for (int range = 0; range < 8; range++)
                {
                    ulong[] registers = Fixed(0x0505_0505_0505_0505);
                    registers[register] ^= 1UL << (8 * range);
                    MemoryTypeRanges ranges = new(FixedEnabled | 6, registers, [0, Valid], Bits);
                    ulong first = start + ((ulong)range * size);
                    Assert.That(ranges.TypeAt(new Gpa(first)), Is.EqualTo(new MtrrSelection(MemoryType.WT, MtrrSource.Fixed, register)));
                    Assert.That(ranges.TypeAt(new Gpa(first + size - 1)).Type, Is.EqualTo(MemoryType.WT));
                    Assert.That(first == 0 || ranges.TypeAt(new Gpa(first - 1)).Type == MemoryType.WP, Is.True);
                    MtrrSelection behind = ranges.TypeAt(new Gpa(first + size));
                    Assert.That(behind.Type, Is.EqualTo(first + size < 0x10_0000 ? MemoryType.WP : MemoryType.UC), "the variable range is UC");
                }
            }
        }
    }

    /// <summary>SDM Vol. 3A, "MTRR Precedences", over every pair of types, both in both orders.</summary>
    [Test]
    public void OverlapsFollowTheSdmsPrecedences()
    {
        string[] types = ["UC", "WC", "WT", "WP", "WB"];
        using (Assert.EnterMultipleScope())
        {
            foreach (string one in types)
            {
                foreach (string two in types)
                {
                    string? expected = one == two ? one
                        : one == "UC" || two == "UC" ? "UC"
                        : (one, two) is ("WT", "WB") or ("WB", "WT") ? "WT"
                        : null;
                    MtrrSelection selection = Variable(6, new(0x4000_0000, 0x4000_0000, one), new(0x4000_0000, 0x1000_0000, two)).TypeAt(new Gpa(0x4800_0000));
                    MtrrSource source = expected is null ? MtrrSource.UndefinedOverlap : MtrrSource.Variable;
                    MemoryType type = (MemoryType)SdmMemoryTypes.EncodingOf(expected ?? "UC");
                    Assert.That(selection, Is.EqualTo(new MtrrSelection(type, source, 3)), $"{one} {two}");
                }
            }
        }
    }

    [Test]
    public void ThreeRangesAreSettledOnlyByUncacheable()
    {
        MtrrSelection undefined = Variable(6, new(0, 1 << 30, "WT"), new(0, 1 << 30, "WB"), new(0, 1 << 30, "WP")).TypeAt(new Gpa(0x20_0000));
        MtrrSelection settled = Variable(6, new(0, 1 << 30, "WC"), new(0, 1 << 30, "UC"), new(0, 1 << 30, "WP")).TypeAt(new Gpa(0x20_0000));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(undefined, Is.EqualTo(new MtrrSelection(MemoryType.UC, MtrrSource.UndefinedOverlap, 7)));
            Assert.That(settled, Is.EqualTo(new MtrrSelection(MemoryType.UC, MtrrSource.Variable, 7)));
        }
    }

    /// <summary>The SDM's own example of base and mask pairs: 64 MiB of WB from 0 but for a hole, and a frame buffer (Vol. 3A, 13.11.3).</summary>
    [TestCase(0x0000_0000ul, MemoryType.WB)]
    [TestCase(0x03FF_FFFFul, MemoryType.WB)]
    [TestCase(0x0400_0000ul, MemoryType.WB)]
    [TestCase(0x05FF_FFFFul, MemoryType.WB)]
    [TestCase(0x0600_0000ul, MemoryType.WB)]
    [TestCase(0x063F_FFFFul, MemoryType.WB)]
    [TestCase(0x0640_0000ul, MemoryType.UC)]
    [TestCase(0x00F0_0000ul, MemoryType.UC)]
    [TestCase(0x00FF_FFFFul, MemoryType.UC)]
    [TestCase(0x00EF_FFFFul, MemoryType.WB)]
    [TestCase(0xA000_0000ul, MemoryType.WC)]
    [TestCase(0xA080_0000ul, MemoryType.UC)]
    public void TheSdmsExampleOfSixRegisters(ulong address, MemoryType type)
    {
        ulong[] registers =
        [
            0x0000_0000_0000_0006, 0x0000_000F_FC00_0800,
            0x0000_0000_0400_0006, 0x0000_000F_FE00_0800,
            0x0000_0000_0600_0006, 0x0000_000F_FFC0_0800,
            0x0000_0000_00F0_0000, 0x0000_000F_FFF0_0800,
            0x0000_0000_A000_0001, 0x0000_000F_FF80_0800,
        ];
        Assert.That(new MemoryTypeRanges(Enabled, Fixed(0), registers, 36).TypeAt(new Gpa(address)).Type, Is.EqualTo(type));
    }

    [Test]
    public void ARangeThatIsNotValidIsNotThere()
    {
        MemoryTypeRanges ranges = new(Enabled | 6, Fixed(0), [0, 0, 0x1000 | 4, 0xFF_FFFF_F000], Bits);
        Assert.That(ranges.TypeAt(new Gpa(0x1000)).Source, Is.EqualTo(MtrrSource.Default));
    }

    /// <summary>
    /// Random registers, with masks that need not be contiguous, and random addresses, against the SDM's comparison bit by bit. Whatever lies
    /// between addresses, a page's types are those of its 4 KiB parts.
    /// </summary>
    [Test]
    public void RandomRangesMatchAsTheSdmCompares()
    {
        const int seed = 20261122, rounds = 3000;
        Random random = new(seed);
        int overlaps = 0, undefined = 0, mixed = 0, split = 0;
        for (int round = 0; round < rounds; round++)
        {
            ulong[] variable = new ulong[16];
            for (int i = 0; i < 8; i++)
            {
                variable[2 * i] = ((ulong)random.NextInt64() & 0x3F_F000) | RandomType(random);
                ulong mask = random.Next(3) == 0 ? (ulong)random.NextInt64() & 0x3F_F000 : ~((0x1000UL << random.Next(11)) - 1) & Physical;
                variable[(2 * i) + 1] = mask | (random.Next(4) == 0 ? 0 : Valid);
            }

            ulong[] registers = [.. Enumerable.Range(0, 11).Select(_ => BitConverter.ToUInt64([.. Enumerable.Range(0, 8).Select(_ => (byte)RandomType(random))]))];
            ulong defaultType = RandomType(random) | (random.Next(3) == 0 ? Enabled : FixedEnabled);
            MemoryTypeRanges ranges = new(defaultType, registers, variable, Bits);
            for (int probe = 0; probe < 20; probe++)
            {
                ulong address = (ulong)random.NextInt64() & 0x3F_FFFF;
                (MemoryType? expected, int matching, bool isFixed) = Expect(address, defaultType, registers, variable);
                MtrrSelection actual = ranges.TypeAt(new Gpa(address));
                overlaps += matching != 0 && !int.IsPow2(matching) ? 1 : 0;
                undefined += expected is null ? 1 : 0;
                Assert.That(actual.Type, Is.EqualTo(expected ?? MemoryType.UC), $"seed {seed} round {round} address {address:x}");
                Assert.That(actual.Source == MtrrSource.UndefinedOverlap, Is.EqualTo(expected is null));
                Assert.That(isFixed || actual.Matching == matching, Is.True, $"seed {seed} round {round} address {address:x}");
            }

            ulong page = (ulong)random.Next(2) << 21;
            HashSet<MemoryType> low = [], high = [];
            for (ulong part = page; part < page + 0x20_0000; part += 0x1000)
            {
                (MemoryType? type, _, bool isFixed) = Expect(part, defaultType, registers, variable);
                (isFixed ? low : high).Add(type ?? MemoryType.UC);
            }

            MtrrTypes types = ranges.TypesIn(new Gpa(page + 0x1234), 21);
            mixed += types.IsMixed ? 1 : 0;
            split += types.IsSplit ? 1 : 0;
            Assert.That(types.Types, Is.EquivalentTo(low.Union(high)), $"seed {seed} round {round}");
            Assert.That(types.IsMixed, Is.EqualTo(high.Count > 1), $"seed {seed} round {round}");
            Assert.That(types.IsSplit, Is.EqualTo(high.Count <= 1 && low.Union(high).Count() > 1), $"seed {seed} round {round}");
        }

        Assert.That(new[] { overlaps, undefined, mixed, split }, Is.All.GreaterThan(rounds / 100));
    }

    [TestCase(12, false, false, TestName = "4 KiB")]
    [TestCase(21, true, false, TestName = "2 MiB over 1 MiB of UC")]
    [TestCase(30, true, false, TestName = "1 GiB")]
    public void ALargePageOverSeveralTypesIsReported(int shift, bool mixed, bool split)
    {
        MtrrTypes types = Variable(6, new VariableRange(0x4010_0000, 0x10_0000, "UC")).TypesIn(new Gpa(0x4000_0000), shift);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((types.IsMixed, types.IsSplit), Is.EqualTo((mixed, split)));
            Assert.That(types.Types, Is.EqualTo(mixed ? new[] { MemoryType.UC, MemoryType.WB } : [MemoryType.WB]));
        }
    }

    /// <summary>A mask that compares only bit 12 types every second page: as many parts as a page of 1 GiB can have.</summary>
    [Test]
    public void TheMostDividedPageIsAnswered()
    {
        MtrrTypes types = new MemoryTypeRanges(Enabled | 6, Fixed(0), [0x1000, 0x1000 | Valid], Bits).TypesIn(new Gpa(0), 30);
        Assert.That(types.Types, Is.EqualTo(new[] { MemoryType.UC, MemoryType.WB }));
    }

    private static ulong RandomType(Random random) => ((ReadOnlySpan<ulong>)[0, 1, 4, 5, 6])[random.Next(5)];

    /// <summary>The SDM's rules over again; null where they leave the type undefined.</summary>
    private static (MemoryType? Type, int Matching, bool IsFixed) Expect(ulong address, ulong defaultType, ulong[] fixedRegisters, ulong[] variable)
    {
        if ((defaultType & 0x400) != 0 && address < 0x10_0000)
        {
            int register = Array.FindIndex(SdmMemoryTypes.FixedRanges, range => address >= range.Start && address < range.Start + (8 * range.Size));
            (_, ulong start, ulong size) = SdmMemoryTypes.FixedRanges[register];
            return ((MemoryType)BitConverter.GetBytes(fixedRegisters[register])[(address - start) / size], 0, true);
        }

        List<MemoryType> found = [];
        int matching = 0;
        for (int i = 0; i < variable.Length / 2; i++)
        {
            bool same = (variable[(2 * i) + 1] & Valid) != 0;
            for (int bit = 12; bit < Bits; bit++)
            {
                bool compared = (variable[(2 * i) + 1] >> bit & 1) != 0;
                same &= !compared || (address >> bit & 1) == (variable[2 * i] >> bit & 1);
            }

            matching |= same ? 1 << i : 0;
            if (same)
            {
                found.Add((MemoryType)(byte)variable[2 * i]);
            }
        }

        MemoryType[] distinct = [.. found.Distinct().Order()];
        MemoryType? type = distinct switch
        {
            [] => (MemoryType)(byte)defaultType,
            [MemoryType only] => only,
            _ when distinct.Contains(MemoryType.UC) => MemoryType.UC,
            [MemoryType.WT, MemoryType.WB] => MemoryType.WT,
            _ => null,
        };
        return (type, matching, false);
    }

    private static ulong[] Fixed(ulong all) => [.. Enumerable.Repeat(all, 11)];

    private static MemoryTypeRanges Variable(byte defaultType, params ReadOnlySpan<VariableRange> ranges)
    {
        List<ulong> registers = [];
        foreach ((ulong first, ulong size, string type) in ranges)
        {
            registers.Add(first | (uint)SdmMemoryTypes.EncodingOf(type));
            registers.Add((~(size - 1) & Physical) | Valid);
        }

        return new MemoryTypeRanges(Enabled | (ulong)defaultType, Fixed(0), registers.ToArray(), Bits);
    }

    private readonly record struct VariableRange(ulong Base, ulong Size, string Type);
}
