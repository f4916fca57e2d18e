using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>For a guest that invalidates as the SDM requires, the TLB cannot be told from a walk for every access.</summary>
[TestFixture]
public sealed unsafe class TlbModelTests
{
    private const ulong Region = 0x50_0000_0000;
    private const int Pages = 8;
    private const ulong Frames = 0x10_0000;
    private const ulong LargeFrame = 0x20_0000;
    private const ulong EntryFlags = PageTableEntry.RWBit | PageTableEntry.USBit | PageTableEntry.NXBit | PageTableEntry.GBit | PageTableEntry.DBit;

    [Test]
    public void EveryTranslationIsTheOneThatAWalkFinds([Values] TlbMode mode, [Range(1, 6)] int seed)
    {
        using PagedGuest guest = new(mode);
        guest.Map(Region, Frames, PageRights.Write | PageRights.User, length: Pages * PageSize.Size4K);
        WalkResult first = guest.Cpu.Memory.Walk(Region, new WalkAccess(AccessKind.Read, User: false));
        ulong table = first.EntryAddress.Value;
        ulong directoryEntry = DirectoryEntry(guest);
        ulong toTable = Get(guest, directoryEntry);
        OperandSource source = new((ulong)seed);
        ulong missesBefore = guest.Cpu.Counters.DataMisses;
        int translated = 0, faulted = 0, data = 0;
        for (int step = 0; step < 30_000; step++)
        {
            switch (source.NextIndex(40))
            {
                case < 4:
                    Edit(guest, table + (8 * (ulong)source.NextIndex(Pages)), source);
                    break;
                case 4:
                    Put(guest, directoryEntry, source.NextIndex(2) == 0 ? toTable : Large(source));
                    FlushForAnySize(guest, source);
                    break;
                case 5:
                    ChangeState(guest, source);
                    break;
                default:
                    AccessKind kind = (AccessKind)source.NextIndex(3);
                    data += kind != AccessKind.Execute ? 1 : 0;
                    bool succeeded = IsWhatAWalkFinds(guest, Region + (ulong)source.NextIndex(Pages * 0x1000), kind, step);
                    translated += succeeded ? 1 : 0;
                    faulted += succeeded ? 0 : 1;
                    break;
            }
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(translated, Is.GreaterThan(2000));
            Assert.That(faulted, Is.GreaterThan(2000));
            Assert.That(guest.Cpu.Tlb.Statistics.StaleUses, Is.Zero);
            Assert.That(guest.Cpu.Counters.DataMisses - missesBefore, Is.LessThan((ulong)data - 1000), "some were hits");
        }
    }

    /// <summary>The walk comes second: where the TLB holds a page, the flags in its entries have long been set.</summary>
    private static bool IsWhatAWalkFinds(PagedGuest guest, ulong gva, AccessKind kind, int step)
    {
        byte* host = guest.Cpu.Memory.Translate(gva, kind);
        GuestFault fault = guest.Cpu.PendingFault;
        WalkResult walk = guest.Cpu.Memory.Walk(gva, new WalkAccess(kind, guest.Cpu.State.Cpl == 3));
        Assert.That(host != null, Is.EqualTo(walk.Succeeded), $"step {step}: {kind} 0x{gva:x}: {walk.Failure}");
        if (walk.Succeeded)
        {
            guest.Machine.Slots.TryTranslate(walk.Gpa, out Hva expected, out _);
            Assert.That((ulong)host, Is.EqualTo(expected.Value), $"step {step}: {kind} 0x{gva:x}");
            return true;
        }

        Assert.That(fault.ErrorCode, Is.EqualTo((uint)walk.ErrorCode), $"step {step}: {kind} 0x{gva:x}");
        return false;
    }

    /// <summary>A changed entry is invalidated by its page, where nothing is global by CR3, or by PGE.</summary>
    private static void Edit(PagedGuest guest, ulong entry, OperandSource source)
    {
        ulong page = Region + ((entry & PageSize.Mask4K) << 9);
        bool wasGlobal = (Get(guest, entry) & PageTableEntry.GBit) != 0;
        Put(guest, entry, Frames + ((ulong)source.NextIndex(Pages) << 12) + (source.NextBits() & EntryFlags) + (source.NextIndex(5) == 0 ? 0 : PageTableEntry.PBit));
        switch (source.NextIndex(3))
        {
            case 0 when !wasGlobal:
                guest.Cpu.FlushTlbNonGlobal();
                break;
            case 1:
                guest.Cpu.FlushTlb();
                break;
            default:
                guest.Cpu.FlushTlbPage(new Gva(page + (ulong)source.NextIndex(0x1000)));
                break;
        }
    }

    private static ulong Large(OperandSource source) =>
        LargeFrame | PageTableEntry.PSBit | PageTableEntry.PBit | (source.NextBits() & EntryFlags);

    private static void FlushForAnySize(PagedGuest guest, OperandSource source)
    {
        if (source.NextIndex(3) == 0)
        {
            guest.Cpu.FlushTlb();
            return;
        }

        for (ulong page = 0; page < Pages; page++)
        {
            guest.Cpu.FlushTlbPage(new Gva(Region + (page << 12)));
        }
    }

    /// <summary>Changes what rights depend on, by the instructions where they are short.</summary>
    private static void ChangeState(PagedGuest guest, OperandSource source)
    {
        ref CpuState cpu = ref guest.Cpu.State;
        switch (source.NextIndex(4))
        {
            case 0:
                cpu.Cpl = (byte)(3 * source.NextIndex(2));
                guest.Cpu.ContextChanged();
                break;
            case 1:
                guest.Cpu.Rflags ^= Rflags.AC;
                break;
            case 2:
                ControlRegisterRules.SetCr0(ref cpu, guest.Cpu, cpu.Cr0 ^ Cr0.WP);
                break;
            default:
                cpu.Cr4 ^= source.NextBits() & (Cr4.SMEP | Cr4.SMAP | Cr4.PGE);
                guest.Cpu.FlushTlb();
                break;
        }
    }

    private static ulong DirectoryEntry(PagedGuest guest)
    {
        ulong table = guest.Cpu.State.Cr3;
        for (int shift = 39; shift > 21; shift -= 9)
        {
            table = Get(guest, table + (8 * ((Region >> shift) & 511))) & PageTableEntry.AddressMask4K;
        }

        return table + (8 * ((Region >> 21) & 511));
    }

    private static ulong Get(PagedGuest guest, ulong gpa) => BitConverter.ToUInt64(guest.Ram(gpa, 8));

    private static void Put(PagedGuest guest, ulong gpa, ulong value) => BitConverter.TryWriteBytes(guest.Ram(gpa, 8), value);
}
