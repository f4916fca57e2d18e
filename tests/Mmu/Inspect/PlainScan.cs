using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>
/// What an address space maps, by looking at every entry of every table on every way to it: written from the SDM's tables of entry formats
/// (Vol. 3A, chapter 5), and of no use where tables are dense.
/// </summary>
internal static class PlainScan
{
    public static List<MappedPage> Pages(FrameTables tables, PagingState state)
    {
        List<MappedPage> pages = [];
        switch (state.Mode)
        {
            case PagingMode.Bits32:
                Scan32(tables, state, pages);
                break;
            case PagingMode.Pae:
                for (int i = 0; i < 4; i++)
                {
                    ulong pdpte = state.Pdptes[i];
                    if ((pdpte & 1) != 0)
                    {
                        Scan(tables, state, pages, pdpte & 0xf_ffff_f000, 2, (ulong)i << 30, true, true, false);
                    }
                }

                break;
            default:
                Scan(tables, state, pages, state.Cr3 & 0xf_ffff_f000, state.Mode == PagingMode.FiveLevel ? 5 : 4, 0, true, true, false);
                break;
        }

        return pages;
    }

    /// <summary>Neighbouring pages with equal rights, on one side of the canonical hole.</summary>
    public static List<MappedRange> Merge(IEnumerable<MappedPage> pages)
    {
        List<MappedRange> ranges = [];
        foreach (MappedPage page in pages)
        {
            Gva last = page.Gva + ((1UL << page.PageShift) - 1);
            bool follows = ranges.Count != 0 && ranges[^1].Rights == page.Rights && ranges[^1].Addresses.Last.Value + 1 == page.Gva.Value;
            GvaRange range = new(follows ? ranges[^1].Addresses.First : page.Gva, last);
            if (follows)
            {
                ranges.RemoveAt(ranges.Count - 1);
            }

            ranges.Add(new MappedRange(range, page.Rights));
        }

        return ranges;
    }

    private static void Scan(
        FrameTables tables, PagingState state, List<MappedPage> pages, ulong table, int level, ulong start, bool user, bool write, bool noExecute)
    {
        int shift = 12 + (9 * (level - 1));
        for (int index = 0; index < 512; index++)
        {
            ulong address = table + ((ulong)index * 8);
            if (!tables.TryRead(new Gpa(address), out ulong raw) || (raw & 1) == 0)
            {
                continue;
            }

            bool ps = (raw & 0x80) != 0;
            bool leaf = level == 1 || (ps && (level == 2 || (level == 3 && state.Page1G)));
            ulong reserved = 0xf_fff0_0000_0000;
            reserved |= (state.Efer & PagingState.EferNXE) == 0 ? 1UL << 63 : 0UL;
            reserved |= state.Mode == PagingMode.Pae ? 0x7ff0_0000_0000_0000u : 0UL;
            reserved |= level >= 3 && !leaf ? 0x80UL : 0UL;
            reserved |= leaf && level == 2 ? 0x1f_e000UL : 0UL;
            reserved |= leaf && level == 3 ? 0x3fff_e000UL : 0UL;
            if ((raw & reserved) != 0)
            {
                continue;
            }

            ulong position = start + ((ulong)index << shift);
            bool u = user && (raw & 4) != 0, w = write && (raw & 2) != 0, nx = noExecute || raw >> 63 != 0;
            if (!leaf)
            {
                Scan(tables, state, pages, raw & 0xf_ffff_f000, level - 1, position, u, w, nx);
                continue;
            }

            int signBit = state.Mode == PagingMode.FourLevel ? 47 : state.Mode == PagingMode.FiveLevel ? 56 : 63;
            ulong gva = (ulong)((long)(position << (63 - signBit)) >> (63 - signBit));
            ulong gpa = raw & 0xf_ffff_ffff & ~((1UL << shift) - 1);
            pages.Add(new MappedPage(new Gva(gva), new Gpa(gpa), shift, level, new Gpa(address), new PageTableEntry(raw), Rights(u, w, nx)));
        }
    }

    private static void Scan32(FrameTables tables, PagingState state, List<MappedPage> pages)
    {
        for (uint i = 0; i < 1024; i++)
        {
            ulong address = (state.Cr3 & 0xffff_f000) + (i * 4);
            uint pde = Half(tables, address, out bool found);
            if (!found || (pde & 1) == 0)
            {
                continue;
            }

            bool user = (pde & 4) != 0, write = (pde & 2) != 0;
            if ((pde & 0x80) != 0 && (state.Cr4 & PagingState.Cr4PSE) != 0)
            {
                // MAXPHYADDR is 36: bits 16:13 of the PDE are address bits 35:32, where there is PSE-36.
                if ((pde & (state.Pse36 ? 0x3e_0000u : 0x3f_e000u)) == 0)
                {
                    ulong gpa = (pde & 0xffc0_0000) | ((ulong)((pde >> 13) & 0xff) << 32);
                    pages.Add(new MappedPage(new Gva(i << 22), new Gpa(gpa), 22, 2, new Gpa(address), new PageTableEntry(pde), Rights(user, write, false)));
                }

                continue;
            }

            for (uint j = 0; j < 1024; j++)
            {
                ulong entry = (pde & 0xffff_f000) + (j * 4);
                uint pte = Half(tables, entry, out found);
                if (found && (pte & 1) != 0)
                {
                    PageRights rights = Rights(user && (pte & 4) != 0, write && (pte & 2) != 0, false);
                    pages.Add(new MappedPage(new Gva((i << 22) | (j << 12)), new Gpa(pte & 0xffff_f000), 12, 1, new Gpa(entry), new PageTableEntry(pte), rights));
                }
            }
        }
    }

    private static uint Half(FrameTables tables, ulong address, out bool found)
    {
        found = tables.TryRead(new Gpa(address & ~7UL), out ulong word);
        return (uint)(word >> (int)((address & 7) * 8));
    }

    private static PageRights Rights(bool user, bool write, bool noExecute) =>
        (user ? PageRights.User : 0) | (write ? PageRights.Write : 0) | (noExecute ? PageRights.NoExecute : 0);
}
