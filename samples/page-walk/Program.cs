// Page tables built by hand, walked, and explained: a 4 KiB page, a 2 MiB page, a write that a right forbids, and a hole.
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

using HostMemory memory = HostMemory.Create(16UL << 20);
Memslots slots = new();
slots.Add(new Gpa(0), memory.Size, memory.Base);
UserspaceMapping access = new(slots);

PageTableBuilder tables = new(access, tables: new Gpa(0x1000), length: 0x10000);
tables.Map(new Gva(0x40_0000), new Gpa(0x20_0000), PageSize.Size4K, PageRights.User);
tables.Map(new Gva(0xffff_8000_0000_0000), new Gpa(0x40_0000), PageSize.Size2M, PageRights.Write | PageRights.NoExecute, PageSize.Shift2M);

PagingState state = new(Cr0: 0x8001_0001, tables.Cr3, Cr4: 0x20, Efer: 0xD00, AlignmentCheck: false, PhysicalAddressBits: 46);
Show(new Gva(0x40_0123), new WalkAccess(AccessKind.Read, User: true));
Show(new Gva(0xffff_8000_0012_3456), new WalkAccess(AccessKind.Write, User: false));
Show(new Gva(0x40_0123), new WalkAccess(AccessKind.Write, User: true));
Show(new Gva(0x80_0000), new WalkAccess(AccessKind.Read, User: false));

void Show(Gva gva, WalkAccess wanted)
{
    AccessTables<UserspaceMapping> entries = new(access);
    WalkTrace trace = default;
    WalkResult result = PageWalker.Walk(ref entries, state, gva, wanted, ref trace);
    Console.WriteLine($"{gva}, {WalkDescription.AccessName(wanted)}:");
    foreach (WalkStep step in trace.Steps)
    {
        Console.WriteLine($"  {WalkDescription.LevelName(step.Level),-6} at {step.Address} = 0x{step.After.Raw:x}");
    }

    Console.WriteLine("  " + (result.Succeeded ? $"-> {result.Gpa}" : WalkDescription.Describe(result, gva, wanted, state)));
}
