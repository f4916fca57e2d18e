using NUnit.Framework;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>EPT and NPT builders against a list of pages, over random histories of map, unmap, protect, split and merge.</summary>
[TestFixture]
internal sealed class SecondStageBuilderTests
{
    private const ulong AddressBits = 0x000f_ffff_ffff_f000;
    private const int Frames = 4096;

    private static readonly SecondStageRights[] possible =
    [
        SecondStageRights.Read,
        SecondStageRights.Read | SecondStageRights.Write,
        SecondStageRights.Read | SecondStageRights.Execute,
        SecondStageRights.Read | SecondStageRights.Write | SecondStageRights.Execute,
    ];

    [TestCase(4)]
    [TestCase(5)]
    public void ALargeRangeTakesTheLargestPagesThatFit(int levels)
    {
        ArrayHost host = new(Frames, 0x100);
        EptBuilder builder = new(host, levels);
        builder.Map(new Gpa(0x3fe0_0000), new Hpa(0x3fe0_0000), 0x4040_2000, SecondStageRights.Read, MemoryType.WT, ignorePat: true, largestPageShift: 30);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(Leaf(host, builder.Root, levels, 0x3fe0_0000), Is.EqualTo((2, 0x3fe0_0000UL | 0xe1)));
            Assert.That(Leaf(host, builder.Root, levels, 0x4000_0000), Is.EqualTo((3, 0x4000_0000UL | 0xe1)));
            Assert.That(Leaf(host, builder.Root, levels, 0x8000_0000), Is.EqualTo((2, 0x8000_0000UL | 0xe1)));
            Assert.That(Leaf(host, builder.Root, levels, 0x8020_1000), Is.EqualTo((1, 0x8020_1000UL | 0x61)));
            Assert.That(Leaf(host, builder.Root, levels, 0x8020_2000).Raw, Is.Zero);
            Assert.That(builder.TableFrames, Is.EqualTo(levels - 2 + 2 + 1), "tables down to the PDPT, two page directories and a page table");
            Assert.That(builder.TableFrames, Is.EqualTo(Frames - host.FreeFrames));
        }
    }

    [Test]
    public void NestedTablesMoveThePatBitWithThePageSize()
    {
        ArrayHost host = new(Frames, 0x100);
        NptBuilder builder = new(host);
        builder.Map(new Gpa(0), new Hpa(0x4000_0000), 0x20_0000, SecondStageRights.Read, patIndex: 5, largestPageShift: 21);
        Assert.That(Leaf(host, builder.Root, 4, 0), Is.EqualTo((2, 0x8000_0000_4000_0000UL | 0x1000 | 0x80 | 0x8 | 5)));
        host[EntryOf(host, builder.Root, 4, 0).Address] |= 0x60;
        Assert.That(builder.Split(new Gpa(0x1000), 0x1000), Is.EqualTo(1));
        Assert.That(Leaf(host, builder.Root, 4, 0x1ff000), Is.EqualTo((1, 0x8000_0000_401f_f000UL | 0x60 | 0x80 | 0x8 | 5)));
        Assert.That(builder.Merge(new Gpa(0), 0x20_0000), Is.EqualTo(1));
        Assert.That(Leaf(host, builder.Root, 4, 0), Is.EqualTo((2, 0x8000_0000_4000_0000UL | 0x60 | 0x1000 | 0x80 | 0x8 | 5)));
    }

    [Test]
    public void PiecesKeepTheFlagsOfTheWholeAndTheWholeGetsThoseOfAnyPiece()
    {
        ArrayHost host = new(Frames, 0x100);
        EptBuilder builder = new(host);
        builder.Map(new Gpa(0x4000_0000), new Hpa(0x8000_0000), 0x4000_0000, SecondStageRights.Read | SecondStageRights.Write, largestPageShift: 30);
        host[EntryOf(host, builder.Root, 4, 0x4000_0000).Address] |= 0x300;
        Assert.That(builder.Split(new Gpa(0x4000_0000), 0x1000), Is.EqualTo(2), "1 GiB and then 2 MiB");
        Assert.That(Leaf(host, builder.Root, 4, 0x4000_1000), Is.EqualTo((1, 0x8000_1333UL)));
        Assert.That(Leaf(host, builder.Root, 4, 0x4020_0000), Is.EqualTo((2, 0x8020_03b3UL)));
        for (ulong page = 0; page < 512; page++)
        {
            host[EntryOf(host, builder.Root, 4, 0x4000_0000 + (page << 12)).Address] &= ~0x300UL;
        }

        host[EntryOf(host, builder.Root, 4, 0x4000_5000).Address] |= 0x200;
        Assert.That(builder.Merge(new Gpa(0x4000_0000), 0x20_0000), Is.EqualTo(1));
        Assert.That(Leaf(host, builder.Root, 4, 0x4000_0000), Is.EqualTo((2, 0x8000_02b3UL)));
        Assert.That(builder.Merge(new Gpa(0x4000_0000), 0x4000_0000), Is.EqualTo(1));
        Assert.That(Leaf(host, builder.Root, 4, 0x4000_0000), Is.EqualTo((3, 0x8000_03b3UL)));
        Assert.That(builder.TableFrames, Is.EqualTo(2));
    }

    [Test]
    public void WhatNoEntryCanHoldIsRefused()
    {
        ArrayHost host = new(7, 0x100);
        EptBuilder ept = new(host);
        NptBuilder npt = new(host);
        Gpa zero = new(0);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(() => ept.Map(zero, new Hpa(0), 0x1000, SecondStageRights.Write), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => ept.Map(zero, new Hpa(0), 0x1000, SecondStageRights.None), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => ept.Map(zero, new Hpa(0), 0x1000, SecondStageRights.Read, memoryType: (MemoryType)3), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => ept.Map(zero, new Hpa(0x800), 0x1000, SecondStageRights.Read), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => ept.Map(zero, new Hpa(AddressBits), 0x2000, SecondStageRights.Read), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => ept.Map(zero, new Hpa(0), 0, SecondStageRights.Read), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => ept.Map(new Gpa((1UL << 48) - 0x1000), new Hpa(0), 0x2000, SecondStageRights.Read), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => ept.Map(zero, new Hpa(0), 0x1000, SecondStageRights.Read, largestPageShift: 22), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => npt.Map(zero, new Hpa(0), 0x1000, SecondStageRights.Execute), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => npt.Map(zero, new Hpa(0), 0x1000, SecondStageRights.Read, patIndex: 8), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => new EptBuilder(host, 3), Throws.InstanceOf<ArgumentException>());
        }

        ept.Map(zero, new Hpa(0), 0x1000, SecondStageRights.Read);
        Assert.That(() => ept.Map(zero, new Hpa(0), 0x2000, SecondStageRights.Read), Throws.InvalidOperationException.With.Message.Contains("mapped already"));
        Assert.That(Leaf(host, ept.Root, 4, 0x1000).Raw, Is.Zero, "a range of which part is mapped changes nothing");
        Assert.That(() => npt.Map(zero, new Hpa(0), 0x1000, SecondStageRights.Read), Throws.InvalidOperationException.With.Message.Contains("No frame is left"));
    }

    [Test]
    public void FreedTablesGoBackAllOfThem()
    {
        ArrayHost host = new(Frames, 0x100);
        EptBuilder builder = new(host);
        builder.Map(new Gpa(0x1f_f000), new Hpa(0x1f_f000), 0x8000_3000, SecondStageRights.Read, largestPageShift: 30);
        builder.Clear();
        Assert.That(builder.TableFrames, Is.EqualTo(1));
        Assert.That(Leaf(host, builder.Root, 4, 0x1f_f000).Raw, Is.Zero);
        builder.Free();
        Assert.That(host.FreeFrames, Is.EqualTo(Frames));
    }

    [Test]
    public void HistoriesAgreeWithAListOfPages([Values(1, 2, 3, 4)] int seed, [Values] bool nested)
    {
        Random random = new(seed);
        ArrayHost host = new(Frames, 0x100);
        EptBuilder? ept = nested ? null : new EptBuilder(host);
        NptBuilder? npt = nested ? new NptBuilder(host) : null;
        Hpa root = ept?.Root ?? npt!.Root;
        Dictionary<ulong, (ulong Host, SecondStageRights Rights)> pages = [];
        int refused = 0;
        for (int step = 0; step < 120; step++)
        {
            // Within 6 MiB, at either side of 1 GiB.
            ulong first = (1UL << 18) - 768 + (ulong)(random.Next(3) == 0 ? 512 * random.Next(3) : random.Next(1536));
            ulong count = Math.Min((ulong)(random.Next(3) == 0 ? 512 : random.Next(1, 600)), (1UL << 18) + 768 - first);
            (Gpa gpa, ulong length) = (new Gpa(first << 12), count << 12);
            SecondStageRights rights = possible[random.Next(possible.Length)];
            int shift = 12 + (9 * random.Next(3));
            switch (random.Next(5))
            {
                case 0 or 1:
                    ulong target = random.Next(2) == 0 ? first : (ulong)random.Next(1 << 20);
                    bool taken = Enumerable.Range(0, (int)count).Any(i => pages.ContainsKey(first + (ulong)i));
                    Action map = () => Map(gpa, new Hpa(target << 12), length, rights, shift);
                    if (taken)
                    {
                        Assert.That(map, Throws.InvalidOperationException);
                        refused++;
                        break;
                    }

                    map();
                    for (ulong i = 0; i < count; i++)
                    {
                        pages[first + i] = (target + i, rights);
                    }

                    break;
                case 2:
                    _ = ept?.Unmap(gpa, length) ?? npt!.Unmap(gpa, length);
                    for (ulong i = 0; i < count; i++)
                    {
                        pages.Remove(first + i);
                    }

                    break;
                case 3:
                    _ = ept?.Protect(gpa, length, rights) ?? npt!.Protect(gpa, length, rights);
                    for (ulong i = first; i < first + count; i++)
                    {
                        if (pages.TryGetValue(i, out (ulong Host, SecondStageRights Rights) page))
                        {
                            pages[i] = (page.Host, rights);
                        }
                    }

                    break;
                default:
                    _ = random.Next(2) == 0
                        ? ept?.Merge(gpa, length, shift) ?? npt!.Merge(gpa, length, shift)
                        : ept?.Split(gpa, length, shift) ?? npt!.Split(gpa, length, shift);
                    break;
            }

            for (ulong frame = (1UL << 18) - 770; frame < (1UL << 18) + 770; frame++)
            {
                (int level, ulong raw) = Leaf(host, root, 4, frame << 12);
                bool mapped = raw != 0;
                ulong below = (1UL << (9 * (level - 1))) - 1;
                (ulong Host, SecondStageRights Rights) found = mapped ? ((((raw & AddressBits) >> 12) & ~below) | (frame & below), RightsOf(raw, nested)) : default;
                if (mapped != pages.TryGetValue(frame, out (ulong Host, SecondStageRights Rights) expected) || found != expected)
                {
                    Assert.Fail($"seed {seed} step {step}: frame 0x{frame:x} is {found} by 0x{raw:x} of level {level}, not {expected}");
                }
            }
        }

        int tables = ept?.TableFrames ?? npt!.TableFrames;
        Assert.That(tables, Is.EqualTo(Frames - host.FreeFrames));
        Assert.That(refused, Is.GreaterThan(0));

        void Map(Gpa gpa, Hpa hpa, ulong length, SecondStageRights rights, int shift)
        {
            ept?.Map(gpa, hpa, length, rights, largestPageShift: shift);
            npt?.Map(gpa, hpa, length, rights, largestPageShift: shift);
        }
    }

    private static SecondStageRights RightsOf(ulong raw, bool nested) => nested
        ? SecondStageRights.Read | ((raw & 2) != 0 ? SecondStageRights.Write : 0) | (raw >> 63 == 0 ? SecondStageRights.Execute : 0)
        : (SecondStageRights)(raw & 7);

    private static (int Level, ulong Raw) Leaf(ArrayHost host, Hpa root, int levels, ulong gpa)
    {
        (int level, ulong address) = EntryOf(host, root, levels, gpa);
        return (level, host[address]);
    }

    /// <summary>The entry that ends the walk: it maps a page, or is not present.</summary>
    private static (int Level, ulong Address) EntryOf(ArrayHost host, Hpa root, int levels, ulong gpa)
    {
        ulong table = root.Value;
        for (int level = levels; ; level--)
        {
            ulong address = table + (8 * ((gpa >> (3 + (9 * level))) % 512));
            ulong raw = host[address];
            if ((raw & 7) == 0 || level == 1 || (raw & 0x80) != 0)
            {
                return (level, address);
            }

            table = raw & AddressBits;
        }
    }
}
