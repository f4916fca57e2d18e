using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// Histories of three address spaces with PCIDs, two page tables each, and two global pages. With the invalidations that the SDM requires a
/// translation is always what a walk finds; without some of them it is at least one that the tables once had, and strict mode says so.
/// </summary>
[TestFixture]
public sealed unsafe class TlbHistoryTests
{
    private const ulong Region = 0x50_0000_0000;
    private const int Pages = 8;
    private const int FirstGlobal = 6;
    private const int Spaces = 3;
    private const ulong Frames = 0x10_0000;
    private const ulong Tables = 0x20_0000;
    private const ulong TableBytes = 0x4_0000;
    private const ulong Keep = 1UL << 63;
    private const ulong Flags = PageTableEntry.RWBit | PageTableEntry.USBit | PageTableEntry.NXBit;

    [Test]
    public void WithItsInvalidationsEveryTranslationIsTheOneThatAWalkFinds([Values] TlbMode mode, [Range(1, 5)] int seed)
    {
        using History history = new(mode, (ulong)seed, forgets: false);
        history.Run(20_000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(history.Deviations, Is.Zero);
            Assert.That(history.StaleUses, Is.Zero);
            Assert.That(history.Translated, Is.GreaterThan(2000));
            Assert.That(history.Faulted, Is.GreaterThan(1000));
            Assert.That(history.Hits, Is.GreaterThan(1000ul));
        }
    }

    [Test]
    public void WithoutSomeEveryTranslationWasOnceInTheTables([Values] TlbMode mode, [Range(11, 15)] int seed)
    {
        using History history = new(mode, (ulong)seed, forgets: true);
        history.Run(20_000);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(history.Deviations, Is.GreaterThan(100), "the TLB holds what the tables no longer have");
            Assert.That(history.StaleUses, mode == TlbMode.Strict ? Is.GreaterThanOrEqualTo((ulong)history.Deviations) : Is.Zero);
            Assert.That(history.Reports, mode == TlbMode.Strict ? Is.InRange(1, (Spaces * Pages) + 2) : Is.Zero, "once a page");
        }
    }

    private sealed class History : IDisposable
    {
        private readonly PagedGuest guest;
        private readonly OperandSource source;
        private readonly bool forgets;
        private readonly Space[] spaces = new Space[Spaces];
        private readonly HashSet<(int Space, int Page, ulong Frame)> everMapped = [];
        private int current;

        public History(TlbMode mode, ulong seed, bool forgets)
        {
            guest = new PagedGuest(mode);
            source = new OperandSource(seed);
            this.forgets = forgets;
            guest.Cpu.StaleTranslationUsed += _ => Reports++;
            for (int i = 0; i < Spaces; i++)
            {
                spaces[i] = MakeSpace(i);
            }

            guest.Cpu.State.Cr4 |= Cr4.PCIDE | Cr4.PGE;
            guest.Cpu.State.Cr3 = spaces[0].Root;
            guest.Cpu.FlushTlb();
            for (int page = FirstGlobal; page < Pages; page++)
            {
                EditGlobal(page);
            }

            guest.Cpu.FlushTlb();
        }

        public int Translated { get; private set; }

        public int Faulted { get; private set; }

        public int Deviations { get; private set; }

        public int Reports { get; private set; }

        public ulong StaleUses => guest.Cpu.Tlb.Statistics.StaleUses;

        public ulong Hits => (ulong)(Translated + Faulted) - guest.Cpu.Tlb.Statistics.Misses(TlbContext.Supervisor) - guest.Cpu.Tlb.Statistics.Misses(TlbContext.User);

        public void Run(int steps)
        {
            for (int step = 0; step < steps; step++)
            {
                switch (source.NextIndex(20))
                {
                    case 0:
                        Edit(source.NextIndex(Spaces), source.NextIndex(FirstGlobal));
                        break;
                    case 1 when source.NextIndex(2) == 0:
                        int page = FirstGlobal + source.NextIndex(Pages - FirstGlobal);
                        EditGlobal(page);
                        FlushGlobal(Address(page));
                        break;
                    case 2 when source.NextIndex(2) == 0:
                        SwapTables(source.NextIndex(Spaces));
                        break;
                    case 3:
                        Switch(source.NextIndex(Spaces), keep: source.NextIndex(4) != 0);
                        break;
                    case 4:
                        guest.Cpu.State.Cpl = (byte)(3 * source.NextIndex(2));
                        guest.Cpu.ContextChanged();
                        break;
                    default:
                        Access(source.NextIndex(Pages), (AccessKind)source.NextIndex(3), step);
                        break;
                }
            }
        }

        public void Dispose() => guest.Dispose();

        /// <summary>The walk comes second: what the access found is compared with tables whose flags it has set.</summary>
        private void Access(int page, AccessKind kind, int step)
        {
            ulong gva = Address(page) + (ulong)source.NextIndex(0x1000);
            ulong staleBefore = StaleUses;
            byte* host = guest.Cpu.Memory.Translate(gva, kind);
            GuestFault fault = guest.Cpu.PendingFault;
            WalkResult walk = guest.Cpu.Memory.Walk(gva, new WalkAccess(kind, guest.Cpu.State.Cpl == 3));
            string name = $"step {step}: {kind} 0x{gva:x} in space {current}: {walk.Failure}";
            if (host == null)
            {
                Faulted++;
                Assert.That(walk.Succeeded, Is.False, $"{name}: what the tables allow never faults");
                Assert.That(fault.ErrorCode, Is.EqualTo((uint)walk.ErrorCode), name);
                return;
            }

            Translated++;
            guest.Machine.Slots.TryTranslate(new Gpa(0), out Hva ram, out _);
            ulong used = (ulong)host - ram.Value;
            Assert.That(everMapped, Does.Contain((page >= FirstGlobal ? 0 : current, page, used & ~PageSize.Mask4K)), $"{name}: the tables never had it");
            if (!walk.Succeeded || walk.Gpa.Value != used)
            {
                Deviations++;
                Assert.That(guest.Cpu.Tlb.Mode != TlbMode.Strict || StaleUses == staleBefore + 1, $"{name}: not noticed");
            }
        }

        private void Edit(int space, int page)
        {
            ulong table = spaces[space].Tables[source.NextIndex(2)];
            Write(space, table, page, RandomEntry());
            if (!Forgotten())
            {
                Flush(space, Address(page));
            }
        }

        private void EditGlobal(int page)
        {
            ulong entry = RandomEntry() | PageTableEntry.GBit;
            foreach (ulong table in spaces.SelectMany(space => space.Tables))
            {
                Write(0, table, page, entry);
            }
        }

        private void FlushGlobal(ulong gva)
        {
            switch (Forgotten() ? -1 : source.NextIndex(3))
            {
                case 0:
                    guest.Cpu.FlushTlbPage(new Gva(gva));
                    break;
                case 1:
                    guest.Cpu.FlushTlb(TlbFlushCause.InvpcidAll);
                    break;
                case 2:
                    TogglePge();
                    break;
                default:
                    break;
            }
        }

        /// <summary>INVPCID type 0 for each page, or anything that drops all of the PCID.</summary>
        private void SwapTables(int space)
        {
            Space edited = spaces[space];
            ulong entry = Get(edited.Directory);
            ulong other = edited.Tables[(entry & PageTableEntry.AddressMask4K) == edited.Tables[0] ? 1 : 0];
            Put(edited.Directory, other | (entry & ~PageTableEntry.AddressMask4K));
            if (Forgotten())
            {
                return;
            }

            if (source.NextIndex(2) == 0)
            {
                for (int page = 0; page < Pages; page++)
                {
                    guest.Cpu.FlushTlbPage((ushort)(space + 1), new Gva(Address(page)));
                }
            }
            else
            {
                guest.Cpu.FlushTlbPcid((ushort)(space + 1), TlbFlushCause.InvpcidContext);
            }
        }

        private void Flush(int space, ulong gva)
        {
            ushort pcid = (ushort)(space + 1);
            switch (source.NextIndex(space == current ? 7 : 5))
            {
                case 0:
                    guest.Cpu.FlushTlbPage(pcid, new Gva(gva));
                    break;
                case 1:
                    guest.Cpu.FlushTlbPcid(pcid, TlbFlushCause.InvpcidContext);
                    break;
                case 2:
                    guest.Cpu.FlushTlbNonGlobal();
                    break;
                case 3:
                    TogglePge();
                    break;
                case 4:
                    Switch(space, keep: false);
                    break;
                default:
                    guest.Cpu.FlushTlbPage(new Gva(gva + 0x800));
                    break;
            }
        }

        private void Switch(int space, bool keep)
        {
            Assert.That(ControlRegisterRules.SetCr3(ref guest.Cpu.State, guest.Cpu, spaces[space].Root | (keep ? Keep : 0)));
            current = space;
        }

        private void TogglePge()
        {
            ulong cr4 = guest.Cpu.State.Cr4;
            Assert.That(ControlRegisterRules.SetCr4(ref guest.Cpu.State, guest.Cpu, cr4 & ~Cr4.PGE));
            Assert.That(ControlRegisterRules.SetCr4(ref guest.Cpu.State, guest.Cpu, cr4));
        }

        private bool Forgotten() => forgets && source.NextIndex(3) == 0;

        private ulong RandomEntry() =>
            Frames + ((ulong)source.NextIndex(Pages) << 12) + (source.NextBits() & Flags) + (source.NextIndex(5) == 0 ? 0 : PageTableEntry.PBit);

        private void Write(int space, ulong table, int page, ulong entry)
        {
            Put(table + (8 * (ulong)page), entry);
            everMapped.Add((page >= FirstGlobal ? 0 : space, page, entry & PageTableEntry.AddressMask4K));
        }

        private Space MakeSpace(int index)
        {
            ulong at = Tables + ((ulong)index * TableBytes);
            PageTableBuilder builder = new(guest.Machine.Access, new Gpa(at), TableBytes);
            builder.Map(new Gva(Region), new Gpa(Frames), Pages * PageSize.Size4K, PageRights.Write | PageRights.User);
            builder.Map(new Gva(Region + PageSize.Size2M), new Gpa(Frames), Pages * PageSize.Size4K, PageRights.Write | PageRights.User);
            ulong directory = builder.Cr3;
            for (int shift = 39; shift > 21; shift -= 9)
            {
                directory = Get(directory + (8 * ((Region >> shift) & 511))) & PageTableEntry.AddressMask4K;
            }

            directory += 8 * ((Region >> 21) & 511);
            ulong[] tables = [Get(directory) & PageTableEntry.AddressMask4K, Get(directory + 8) & PageTableEntry.AddressMask4K];
            for (int page = 0; page < Pages; page++)
            {
                everMapped.Add((page >= FirstGlobal ? 0 : index, page, Frames + ((ulong)page << 12)));
            }

            return new Space(builder.Cr3 + (ulong)(index + 1), directory, tables);
        }

        private ulong Get(ulong gpa) => BitConverter.ToUInt64(guest.Ram(gpa, 8));

        private void Put(ulong gpa, ulong value) => BitConverter.TryWriteBytes(guest.Ram(gpa, 8), value);

        private static ulong Address(int page) => Region + ((ulong)page << 12);
    }

    private sealed record Space(ulong Root, ulong Directory, ulong[] Tables);
}
