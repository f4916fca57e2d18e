namespace Quadwalk.Tests;

/// <summary>
/// The sweeps over walks of a guest's tables under a second stage: two that span everything, too large to be walked whole, and slices of them
/// that are.
/// </summary>
internal static class NestedSweeps
{
    private const ulong P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, Open = P | RW | US, NX = 1UL << 63, Reserved = 1UL << 51, Misaligned = 1 << 13;
    private const ulong WP = 1 << 16, SMEP = 1 << 20, SMAP = 1 << 21, NXE = 1 << 11, AC = 1 << 18;
    private const ulong Page4K = 0x6b3c_9000, Page2M = 0x6b20_0000;
    private const ulong EptA = SdmEptRules.A, EptD = SdmEptRules.D;

    // Memory type 6 becomes 3, which is reserved; where an entry references a table, bits 5:3 become 5.
    private const ulong ReservedType = 5 << 3;

    /// <summary>All dimensions at once: states with every two values and random ones.</summary>
    public static IReadOnlyList<Sweep> Whole { get; } = [Everything(npt: false), Everything(npt: true)];

    /// <summary>Small enough to be walked in full.</summary>
    public static IReadOnlyList<Sweep> Slices { get; } =
    [
        GuestAndTable(npt: false), GuestAndTable(npt: true),
        GuestAndPage(npt: false), GuestAndPage(npt: true),
        TableAndPage(npt: false), TableAndPage(npt: true),
        Levels(npt: false), Levels(npt: true),
    ];

    public static IEnumerable<Sweep> All => [.. Whole, .. Slices];

    private static Sweep Everything(bool npt)
    {
        SweepBuilder builder = Begin("everything", npt).Flag("EFER.NXE", Slot.Efer, NXE, "1", "0");
        Registers(builder);
        Controls(builder, npt, advanced: true);
        Accesses(builder);
        Flag(builder, Slot.Pml4e, "PML4E", ("~P", P), ("~W", RW), ("~U", US), ("NX", NX), ("A", A));
        Flag(builder, Slot.Pdpte, "PDPTE", ("~P", P), ("~W", RW), ("~U", US), ("NX", NX), ("A", A));
        Guest(builder, upper: true);
        Tables(builder);
        At(builder, "table", NestedControls.TableAtShift);
        At(builder, "page", NestedControls.PageAtShift);
        Second(builder, "table", Slot.SecondTable, npt, executable: true, broken: true);
        Second(builder, "page", Slot.SecondPage, npt, executable: true, broken: true).Exclude("PDE.PS=0 PDE.13=1");
        return builder.Build();
    }

    private static Sweep GuestAndTable(bool npt)
    {
        SweepBuilder builder = Begin("guest and table", npt).Flag("CR0.WP", Slot.Cr0, WP);
        Dirty(builder, npt);
        Accesses(builder);
        Guest(builder, upper: false);
        Tables(builder);
        return Second(builder, "table", Slot.SecondTable, npt, executable: false, broken: false).Build();
    }

    private static Sweep GuestAndPage(bool npt)
    {
        SweepBuilder builder = Begin("guest and page", npt);
        Registers(builder);
        Controls(builder, npt, advanced: false);
        Accesses(builder);
        builder.Flag("PDE.PS", Slot.Pde, PS | (NestedLayout.GuestTable(1) ^ NestedLayout.Part(0) ^ Page2M));
        Flag(builder, Slot.Pde, "PDE", ("~W", RW), ("~U", US));
        Flag(builder, Slot.Pte, "PTE", ("~W", RW), ("~U", US), ("NX", NX), ("D", D));
        return Second(builder, "page", Slot.SecondPage, npt, executable: true, broken: false).Build();
    }

    private static Sweep TableAndPage(bool npt)
    {
        SweepBuilder builder = Begin("table and page", npt);
        Controls(builder, npt, advanced: false);
        Accesses(builder);
        builder.Choice(
            "A", ("0", []), ("above", [(Slot.Pml4e, A), (Slot.Pdpte, A)]), ("1", [(Slot.Pml4e, A), (Slot.Pdpte, A), (Slot.Pde, A), (Slot.Pte, A)]));
        Flag(builder, Slot.Pte, "PTE", ("~U", US), ("D", D));
        Second(builder, "table", Slot.SecondTable, npt, executable: false, broken: true);
        return Second(builder, "page", Slot.SecondPage, npt, executable: true, broken: true).Build();
    }

    /// <summary>Each table of the guest, and each level of its translation and of the page's, with one bit flipped.</summary>
    private static Sweep Levels(bool npt)
    {
        SweepBuilder builder = Begin("levels", npt);
        Controls(builder, npt, advanced: true);
        Accesses(builder);
        builder.Flag("PDE.PS", Slot.Pde, PS | (NestedLayout.GuestTable(1) ^ NestedLayout.Part(0) ^ Page2M)).Flag("PTE.U", Slot.Pte, US, "1", "0");
        Tables(builder);
        At(builder, "table", NestedControls.TableAtShift);
        At(builder, "page", NestedControls.PageAtShift);
        builder
            .Choice("table.flips", OneFlip(Slot.SecondTable, npt))
            .Choice("page.flips", OneFlip(Slot.SecondPage, npt));
        ExcludeElsewhere(builder, "table.flips", "table");
        return ExcludeElsewhere(builder, "page.flips", "page").Build();
    }

    private static (string, (Slot, ulong)[])[] OneFlip(Slot slot, bool npt) => npt
        ? [("none", []), ("P", [(slot, P)]), ("W", [(slot, RW)]), ("U", [(slot, US)]), ("NX", [(slot, NX)]), ("A", [(slot, A)]), ("D", [(slot, D)]), ("51", [(slot, Reserved)]), ("13", [(slot, Misaligned)])]
        : [("none", []), ("R", [(slot, 1)]), ("W", [(slot, 2)]), ("X", [(slot, 4)]), ("RWX", [(slot, 7)]), ("RW", [(slot, 3)]), ("XU", [(slot, SdmEptRules.XU)]), ("A", [(slot, EptA)]), ("type", [(slot, ReservedType)]), ("51", [(slot, Reserved)]), ("13", [(slot, Misaligned)])];

    /// <summary>Bit 13 is tried where it is reserved; elsewhere it would lead to memory that is not there.</summary>
    private static SweepBuilder ExcludeElsewhere(SweepBuilder builder, string axis, string what)
    {
        foreach (string at in (string[])["PTE", "PDE", "PDPTE", "PML4E"])
        {
            builder.Exclude($"{what}.at={at} {axis}=13");
        }

        return builder;
    }

    private static void Registers(SweepBuilder builder) => builder
        .Flag("CR0.WP", Slot.Cr0, WP).Flag("CR4.SMEP", Slot.Cr4, SMEP).Flag("CR4.SMAP", Slot.Cr4, SMAP).Flag("RFLAGS.AC", Slot.Rflags, AC);

    private static void Dirty(SweepBuilder builder, bool npt)
    {
        if (!npt)
        {
            builder.Flag("EPT A/D", Slot.Second, NestedControls.AccessedDirty);
        }
    }

    private static void Controls(SweepBuilder builder, bool npt, bool advanced)
    {
        Dirty(builder, npt);
        if (npt)
        {
            builder.Flag("host NXE", Slot.Second, NestedControls.NxEnabled, "1", "0");
        }
        else
        {
            builder.Flag("mode-based", Slot.Second, NestedControls.ModeBased)
                .Flag("execute-only", Slot.Second, NestedControls.ExecuteOnly, "1", "0");
            if (advanced)
            {
                builder.Flag("advanced", Slot.Second, NestedControls.Advanced, "1", "0");
            }
        }
    }

    private static void Accesses(SweepBuilder builder) => builder
        .Choice("access", ("read", []), ("write", [(Slot.Access, SweepWords.WriteAccess)]), ("fetch", [(Slot.Access, SweepWords.FetchAccess)]))
        .Choice("by", ("supervisor", []), ("user", [(Slot.Access, SweepWords.UserAccess)]), ("implicit-CPL3", [(Slot.Access, SweepWords.ImplicitAccess | SweepWords.UserAccess)]));

    /// <summary>The guest's PDE and PTE, and the accessed flags above them.</summary>
    private static void Guest(SweepBuilder builder, bool upper)
    {
        builder.Flag("PDE.PS", Slot.Pde, PS | (NestedLayout.GuestTable(1) ^ NestedLayout.Part(0) ^ Page2M));
        Flag(builder, Slot.Pde, "PDE", ("~P", P), ("~W", RW), ("~U", US), ("A", A));
        Flag(builder, Slot.Pte, "PTE", ("~P", P), ("~W", RW), ("~U", US), ("NX", NX), ("A", A), ("D", D), ("51", Reserved));
        if (upper)
        {
            Flag(builder, Slot.Pde, "PDE", ("NX", NX), ("D", D), ("51", Reserved), ("13", Misaligned));
        }
        else
        {
            builder.Choice("A above", ("0", []), ("1", [(Slot.Pml4e, A), (Slot.Pdpte, A)]));
        }
    }

    private static void Tables(SweepBuilder builder) => builder.Choice(
        "table of",
        [.. from table in ((string Name, ulong Level)[])[("PTEs", 1), ("PDEs", 2), ("PDPTEs", 3), ("PML4Es", 4)]
            select (table.Name, ((Slot, ulong)[])[(Slot.Second, (table.Level - 1) << NestedControls.TableShift)])]);

    /// <summary>The entry that is varied, and whether it maps the page.</summary>
    private static void At(SweepBuilder builder, string what, int shift) => builder.Choice(
        $"{what}.at",
        [.. from at in ((string Name, int Varied, int Leaf)[])[("PTE", 1, 1), ("2M PDE", 2, 2), ("1G PDPTE", 3, 3), ("PDE", 2, 1), ("PDPTE", 3, 2), ("PML4E", 4, 1)]
            select (at.Name, ((Slot, ulong)[])[(Slot.Second, NestedControls.At(shift, at.Varied, at.Leaf))])]);

    private static SweepBuilder Second(SweepBuilder builder, string what, Slot slot, bool npt, bool executable, bool broken)
    {
        if (npt)
        {
            Flag(builder, slot, what, ("~P", P), ("~W", RW), ("~U", US), ("A", A), ("D", D));
            Flag(builder, slot, what, executable ? [("NX", NX)] : []);
            return broken ? builder.Choice($"{what}.bit", ("none", []), ("51", [(slot, Reserved)])) : builder;
        }

        Flag(builder, slot, what, ("~R", SdmEptRules.R), ("~W", SdmEptRules.W), ("A", EptA), ("D", EptD));
        Flag(builder, slot, what, executable || broken ? [("~X", SdmEptRules.X)] : []);
        Flag(builder, slot, what, executable ? [("~XU", SdmEptRules.XU)] : []);
        return broken ? builder.Choice($"{what}.bit", ("none", []), ("type", [(slot, ReservedType)]), ("51", [(slot, Reserved)])) : builder;
    }

    private static SweepBuilder Flag(SweepBuilder builder, Slot slot, string entry, params (string Name, ulong Bits)[] flags)
    {
        foreach ((string name, ulong bits) in flags)
        {
            builder.Flag($"{entry}.{name}", slot, bits);
        }

        return builder;
    }

    /// <summary>A guest with 4-level paging that allows everything, under a second stage that does.</summary>
    private static SweepBuilder Begin(string name, bool npt)
    {
        SweepWords words = default;
        words[Slot.Pte] = NestedLayout.Part(0) | Page4K | Open;
        for (int level = 2; level <= 4; level++)
        {
            words[level] = NestedLayout.GuestTable(level - 1) | Open;
        }

        words[Slot.Cr0] = 0x8000_0001;
        words[Slot.Cr3] = NestedLayout.GuestTable(4);
        words[Slot.Cr4] = 1 << 5;
        words[Slot.Efer] = 0x500 | NXE;
        words[Slot.Gva] = 0xffff_8923_4567_89a8;
        words[Slot.Cpu] = NestedLayout.PhysicalBits | SweepWords.CpuPage1G | SweepWords.CpuPse36;
        words[Slot.Second] = npt
            ? NestedControls.Npt | NestedControls.NxEnabled
            : NestedControls.ExecuteOnly | NestedControls.Advanced;
        return new SweepBuilder($"{(npt ? "NPT" : "EPT")}: {name}", words);
    }
}
