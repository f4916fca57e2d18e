namespace Quadwalk.Tests;

/// <summary>The sweeps over page walks, each with the axes it spans.</summary>
internal static class PagingSweeps
{
    private const ulong P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, G = 256, NX = 1UL << 63;
    private const ulong PG = 0x8000_0001, WP = 1 << 16, PSE = 1 << 4, PAE = 1 << 5, PGE = 1 << 7, LA57 = 1 << 12, SMEP = 1 << 20, SMAP = 1 << 21,
        PKE = 1 << 22, CET = 1 << 23, PKS = 1 << 24, LongMode = 0x500, NXE = 1 << 11, AC = 1 << 18;

    private const ulong Write = SweepWords.WriteAccess, Fetch = SweepWords.FetchAccess, User = SweepWords.UserAccess, Implicit = SweepWords.ImplicitAccess;

    private const ulong Page4K = 0x6b3c_9000, Page2M = 0x6b20_0000, Page4M = 0x6b40_0000, Page1G = 0x4000_0000;

    // Entries that allow everything.
    private const ulong Open = P | RW | US;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<Sweep> All { get; } =
    [
        Access("access (kvm axes)", 40, false),
        Access("access, MAXPHYADDR 36", 36, true),
        Access("access, MAXPHYADDR 52", 52, false),
        SupervisorOnUserPages(),
        ProtectionKeys(),
        LargestPages(),
        OneEntry(4),
        OneEntry(3),
        OneEntry(2),
        OneEntry(1),
        EveryLevel(),
        FiveLevels(),
        ShadowStacks(),
        PaePaging(),
        Paging32(),
        ReservedBits("reserved bits, 4-level", FourLevel(0), 4, Enumerable.Range(32, 21), 8),
        ReservedBits("reserved bits, 5-level", FiveLevel(0), 5, [36, 46, 52], 8),
        ReservedBits("reserved bits, PAE", Pae(0), 2, Enumerable.Range(32, 21), 8),
        ReservedBits("reserved bits, 32-bit", Bits32(0), 2, Enumerable.Range(32, 21), 4),
        AddressMasking(),
    ];

    /// <summary>Where the only table of a level lies.</summary>
    public static ulong TableOf(int level) => ((ulong)level << SweepTables.LevelShift) | 0xa5_4000;

    /// <summary>
    /// The axes of kvm-unit-tests' x86/access.c, with what it leaves out: two reserved bits at once, PDE.13 without a large page, keys without
    /// CR4.PKE, and SMEP altogether. Bit 36 is an axis where it is reserved, as there, and bit 51 too.
    /// </summary>
    private static Sweep Access(string name, int maxPhysicalAddress, bool bit36)
    {
        // A PDE that references a table has key 2 or 3, which forbid everything: the key there must not count.
        const ulong OtherKeys = 3UL << 59;
        SweepWords start = FourLevel(maxPhysicalAddress);
        start[Slot.Pde] ^= OtherKeys;
        bool bit51 = maxPhysicalAddress < 52;
        SweepBuilder builder = new SweepBuilder(name, start)
            .Flag("EFER.NXE", Slot.Efer, NXE)
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Choice("CR4.PKE", ("0", [(Slot.Keys, 0xffff_ffff)]), ("1", [(Slot.Cr4, PKE), (Slot.Keys, 0xf0)]))
            .Flag("PKRU.AD", Slot.Keys, 4)
            .Flag("PKRU.WD", Slot.Keys, 8)
            .Flag("PDE.PS", Slot.Pde, PS | (TableOf(1) ^ Page2M) | OtherKeys)
            .Choice("key", ("0", []), ("1", [(Slot.Pte, 1UL << 59), (Slot.Pde, 1UL << 59)]))
            .Choice("access", ("read", []), ("write", [(Slot.Access, Write)]), ("fetch", [(Slot.Access, Fetch)]))
            .Flag("user", Slot.Access, User)
            .Flag("twice", Slot.Access, SweepWords.TwiceAccess)
            .Flag("PDPTE.W", Slot.Pdpte, RW, "1", "0");
        List<string> reserved = ["PDE.13=1", "EFER.NXE=0 PDE.NX=1", "EFER.NXE=0 PTE.NX=1"];
        foreach ((string entry, Slot slot) in ((string, Slot)[])[("PDE", Slot.Pde), ("PTE", Slot.Pte)])
        {
            Flags(builder, entry, slot, ("P", P), ("W", RW), ("U", US), ("A", A), ("D", D), ("NX", NX));
            if (entry == "PDE")
            {
                builder.Flag("PDE.13", Slot.Pde, 1 << 13);
            }

            if (bit51)
            {
                builder.Flag($"{entry}.51", slot, 1UL << 51);
                reserved.Add($"{entry}.51=1");
            }

            if (bit36)
            {
                builder.Flag($"{entry}.36", slot, 1UL << 36);
                reserved.Add($"{entry}.36=1");
            }
        }

        return builder
            .Exclude("CR4.PKE=0 PKRU.AD=1").Exclude("CR4.PKE=0 PKRU.WD=1")
            .Exclude("PDE.PS=0 PDE.13=1")
            .AtMostOne([.. reserved])
            .Build();
    }

    /// <summary>SMEP, SMAP with RFLAGS.AC and implicit accesses, keys of user pages beside them.</summary>
    private static Sweep SupervisorOnUserPages()
    {
        SweepBuilder builder = new SweepBuilder("SMEP, SMAP, implicit accesses", FourLevel(40, Open))
            .Flag("CR4.SMAP", Slot.Cr4, SMAP)
            .Flag("CR4.SMEP", Slot.Cr4, SMEP)
            .Flag("RFLAGS.AC", Slot.Rflags, AC)
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Flag("EFER.NXE", Slot.Efer, NXE);
        Key(builder, "PKRU", PKE, 0);
        Accesses(builder);
        builder.Flag("PDE.PS", Slot.Pde, PS | (TableOf(1) ^ Page2M)).Flag("PML4E.U", Slot.Pml4e, US, "1", "0").Flag("PML4E.NX", Slot.Pml4e, NX)
            .Flag("PDPTE.W", Slot.Pdpte, RW, "1", "0").Flag("PDPTE.U", Slot.Pdpte, US, "1", "0");
        Rights(builder, "PDE", Slot.Pde);
        Rights(builder, "PTE", Slot.Pte);
        return builder.Flag("PTE.D", Slot.Pte, D).Build();
    }

    /// <summary>PKRU and IA32_PKRS, each with the key in use and others open or shut. A table's entry has a key too, which does not count.</summary>
    private static Sweep ProtectionKeys()
    {
        const int K = 59;
        SweepBuilder builder = new SweepBuilder("protection keys, PKE and PKS", FourLevel(40, Open))
            .Flag("CR4.PKE", Slot.Cr4, PKE)
            .Flag("CR4.PKS", Slot.Cr4, PKS)
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Flag("CR4.SMAP", Slot.Cr4, SMAP)
            .Flag("RFLAGS.AC", Slot.Rflags, AC);
        foreach ((string name, int shift) in ((string, int)[])[("PKRU", 0), ("PKRS", 32)])
        {
            builder.Choice(
                name,
                [.. ((ReadOnlySpan<(string, uint)>)
                [
                    ("0", 0), ("AD", 0x5555_5555), ("WD", 0xaaaa_aaaa), ("AD+WD", 0xffff_ffff),
                    ("AD1", 1u << 2), ("WD1", 2u << 2), ("AD15", 1u << 30), ("WD15", 2u << 30),
                    ("AD-but-1", 0x5555_5555 ^ (1u << 2)), ("WD-but-1", 0xaaaa_aaaa ^ (2u << 2)),
                    ("AD-but-15", 0x5555_5555 ^ (1u << 30)), ("WD-but-15", 0xaaaa_aaaa ^ (2u << 30)),
                ]).ToArray().Select(value => (value.Item1, ((Slot, ulong)[])[(Slot.Keys, (ulong)value.Item2 << shift)]))]);
        }

        builder.Choice(
            "key",
            [.. ((ulong[])[0, 1, 14, 15]).Select(key =>
                ($"{key}", ((Slot, ulong)[])[(Slot.Pte, key << K), (Slot.Pde, key << K), (Slot.Pdpte, key << K), (Slot.Pml4e, (key ^ 3) << K)]))]);
        Leaf(builder, (Slot.Pde, 5UL << K), (Slot.Pdpte, 5UL << K));
        Accesses(builder);
        return Leaves(builder, ("W", RW, true), ("U", US, true), ("A", A, false), ("D", D, false))
            .Flag("PML4E.U", Slot.Pml4e, US, "1", "0").Flag("PML4E.W", Slot.Pml4e, RW, "1", "0").Build();
    }

    /// <summary>A PDPTE that maps a page, or would if it could, and what lies above.</summary>
    private static Sweep LargestPages()
    {
        SweepBuilder builder = new SweepBuilder("1 GiB pages", FourLevel(40, Open))
            .Flag("Page1GB", Slot.Cpu, SweepWords.CpuPage1G, "1", "0")
            .Flag("EFER.NXE", Slot.Efer, NXE)
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Flag("CR4.SMEP", Slot.Cr4, SMEP)
            .Flag("CR4.SMAP", Slot.Cr4, SMAP)
            .Flag("CR4.PGE", Slot.Cr4, PGE);
        Accesses(builder);
        builder.Flag("PML4E.W", Slot.Pml4e, RW, "1", "0").Flag("PML4E.U", Slot.Pml4e, US, "1", "0").Flag("PML4E.NX", Slot.Pml4e, NX)
            .Flag("PDPTE.PS", Slot.Pdpte, PS | (TableOf(2) ^ Page1G));
        Address(builder, "PDPTE.address", Slot.Pdpte, 13, 21, 29, 30, 39, 40, 51);
        return Flags(builder, "PDPTE", Slot.Pdpte, ("P", P), ("W", RW), ("U", US), ("A", A), ("D", D), ("G", G), ("NX", NX), ("PAT", 1 << 12)).Build();
    }

    /// <summary>One entry in full, where the others allow everything: its flags, PS where it does not belong, and address bits.</summary>
    private static Sweep OneEntry(int level)
    {
        string entry = NameOf(level);
        Slot slot = (Slot)level;
        SweepBuilder builder = new SweepBuilder($"one entry, {entry}", FourLevel(40, Open))
            .Flag("Page1GB", Slot.Cpu, SweepWords.CpuPage1G, "1", "0")
            .Flag("EFER.NXE", Slot.Efer, NXE)
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Flag("CR4.SMEP", Slot.Cr4, SMEP)
            .Flag("CR4.SMAP", Slot.Cr4, SMAP)
            .Flag("RFLAGS.AC", Slot.Rflags, AC);
        Leaf(builder);
        Accesses(builder);
        Address(builder, $"{entry}.address", slot, 12, 13, 20, 29, 39, 40, 51);
        return Flags(builder, entry, slot, ("~P", P), ("~W", RW), ("~U", US), ("A", A), ("D", D), ("~PS", PS), ("NX", NX)).Build();
    }

    /// <summary>Rights and accessed flags at all four levels, and one entry that is not present or has a reserved bit.</summary>
    private static Sweep EveryLevel()
    {
        SweepBuilder builder = new SweepBuilder("every level, 4-level", FourLevel(40, Open));
        Leaf(builder);
        builder.Choice("fault", [("none", []), .. Faults(4, ("P=0", P), ("51=1", 1UL << 51))])
            .Flag("EFER.NXE", Slot.Efer, NXE, "0", "1")
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Flag("CR4.SMEP", Slot.Cr4, SMEP);
        UserOrNot(builder);
        for (int level = 4; level >= 1; level--)
        {
            Rights(builder, NameOf(level), (Slot)level);
        }

        return builder.Flag("PTE.D", Slot.Pte, D).Build();
    }

    /// <summary>The same of 5-level paging, where the entry at fault is at one end.</summary>
    private static Sweep FiveLevels()
    {
        SweepBuilder builder = new SweepBuilder("every level, 5-level", FiveLevel(40, Open))
            .Choice(
                "fault",
                ("none", []), ("PML5E.P=0", [(Slot.Pml5e, P)]), ("PML5E.51=1", [(Slot.Pml5e, 1UL << 51)]), ("PML5E.PS=1", [(Slot.Pml5e, PS)]),
                ("PTE.P=0", [(Slot.Pte, P)]), ("PTE.51=1", [(Slot.Pte, 1UL << 51)]))
            .Flag("EFER.NXE", Slot.Efer, NXE)
            .Flag("CR0.WP", Slot.Cr0, WP);
        UserOrNot(builder);
        for (int level = 5; level >= 1; level--)
        {
            Rights(builder, NameOf(level), (Slot)level);
        }

        return builder.Build();
    }

    /// <summary>Pages of shadow stacks and others, for shadow-stack accesses and others. WRUSS is a user shadow-stack write here.</summary>
    private static Sweep ShadowStacks()
    {
        SweepBuilder builder = new SweepBuilder("shadow stacks", FourLevel(40, Open))
            .Flag("CR4.CET", Slot.Cr4, CET)
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Flag("CR4.SMAP", Slot.Cr4, SMAP)
            .Flag("RFLAGS.AC", Slot.Rflags, AC)
            .Choice(
                "access", ("read", []), ("write", [(Slot.Access, Write)]), ("fetch", [(Slot.Access, Fetch)]),
                ("ss-read", [(Slot.Access, SweepWords.ShadowStackAccess)]), ("ss-write", [(Slot.Access, Write | SweepWords.ShadowStackAccess)]));
        Who(builder);
        Key(builder, "PKRU", PKE, 0, both: false);
        Key(builder, "PKRS", PKS, 32, both: false);
        Leaf(builder);
        builder.Flag("PML4E.W", Slot.Pml4e, RW, "1", "0").Flag("PML4E.U", Slot.Pml4e, US, "1", "0");
        foreach ((string entry, Slot slot) in ((string, Slot)[])[("PDPTE", Slot.Pdpte), ("PDE", Slot.Pde), ("PTE", Slot.Pte)])
        {
            builder.Flag($"{entry}.W", slot, RW, "1", "0").Flag($"{entry}.U", slot, US, "1", "0").Flag($"{entry}.D", slot, D);
        }

        return builder.Choice("fault", ("none", []), ("PTE.P=0", [(Slot.Pte, P)]), ("PTE.51=1", [(Slot.Pte, 1UL << 51)]))
            .Exclude("CR4.CET=1 CR0.WP=0")
            .Exclude("CR4.CET=0 access=ss-read").Exclude("CR4.CET=0 access=ss-write")
            .Build();
    }

    /// <summary>The PDPTE register's P, and PDE and PTE with at most one reserved bit.</summary>
    private static Sweep PaePaging()
    {
        SweepBuilder builder = new SweepBuilder("PAE", Pae(40))
            .Flag("PDPTE.P", Slot.Register, P, "1", "0")
            .Flag("EFER.NXE", Slot.Efer, NXE)
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Flag("CR4.SMEP", Slot.Cr4, SMEP)
            .Flag("CR4.SMAP", Slot.Cr4, SMAP)
            .Flag("RFLAGS.AC", Slot.Rflags, AC);
        Accesses(builder);
        builder.Flag("PDE.PS", Slot.Pde, PS | (TableOf(1) ^ Page2M));
        Address(builder, "PDE.bit", Slot.Pde, 13, 20, 40, 51, 52, 62);
        Address(builder, "PTE.bit", Slot.Pte, 40, 51, 52, 62);
        Flags(builder, "PDE", Slot.Pde, ("P", P), ("W", RW), ("U", US), ("A", A), ("D", D), ("NX", NX));
        Flags(builder, "PTE", Slot.Pte, ("P", P), ("W", RW), ("U", US), ("A", A), ("D", D), ("NX", NX));
        foreach (string upper in (string[])["13", "20", "40", "51", "52", "62"])
        {
            foreach (string lower in (string[])["40", "51", "52", "62"])
            {
                builder.Exclude($"PDE.bit={upper} PTE.bit={lower}");
            }
        }

        return builder.Build();
    }

    /// <summary>32-bit paging with 4 MiB pages, PSE-36, and neither.</summary>
    private static Sweep Paging32()
    {
        SweepBuilder builder = new SweepBuilder("32-bit, PSE, PSE-36", Bits32(32))
            .Flag("CR4.PSE", Slot.Cr4, PSE)
            .Flag("PSE-36", Slot.Cpu, SweepWords.CpuPse36, "1", "0")
            .Choice("MAXPHYADDR", ("32", []), ("36", [(Slot.Cpu, 32 ^ 36)]), ("40", [(Slot.Cpu, 32 ^ 40)]), ("46", [(Slot.Cpu, 32 ^ 46)]))
            .Flag("EFER.NXE", Slot.Efer, NXE)
            .Flag("CR0.WP", Slot.Cr0, WP)
            .Flag("CR4.SMEP", Slot.Cr4, SMEP)
            .Choice("SMAP", ("0", [(Slot.Rflags, AC)]), ("1", [(Slot.Cr4, SMAP)]), ("1+AC", [(Slot.Cr4, SMAP), (Slot.Rflags, AC)]));
        Accesses(builder);
        builder.Flag("PDE.PS", Slot.Pde, PS | (TableOf(1) ^ Page4M));
        Address(builder, "PDE.bit", Slot.Pde, 12, 13, 14, 16, 17, 20, 21);
        Flags(builder, "PDE", Slot.Pde, ("P", P), ("W", RW), ("U", US), ("A", A), ("D", D));
        return Flags(builder, "PTE", Slot.Pte, ("P", P), ("W", RW), ("U", US), ("A", A), ("D", D)).Build();
    }

    /// <summary>Every bit of every entry turned over, every two of them, for every MAXPHYADDR.</summary>
    private static Sweep ReservedBits(string name, SweepWords start, int levels, IEnumerable<int> maxPhysicalAddresses, int bytes)
    {
        (string, (Slot, ulong)[])[] bits =
        [
            ("none", []),
            .. from level in Enumerable.Range(1, levels)
               from bit in Enumerable.Range(0, 8 * bytes)
               select ($"{NameOf(level)}.{bit}", ((Slot, ulong)[])[((Slot)level, 1UL << bit)]),
        ];
        for (int level = 1; level <= levels; level++)
        {
            start[level] |= Open;
        }

        SweepBuilder builder = new SweepBuilder(name, start)
            .Choice("MAXPHYADDR", [.. maxPhysicalAddresses.Select(m => ($"{m}", ((Slot, ulong)[])[(Slot.Cpu, (ulong)m)]))]);
        if (bytes == 4)
        {
            builder.Flag("CR4.PSE", Slot.Cr4, PSE).Flag("PSE-36", Slot.Cpu, SweepWords.CpuPse36, "1", "0").Flag("PDE.PS", Slot.Pde, PS | (TableOf(1) ^ Page4M));
        }
        else
        {
            builder.Flag("EFER.NXE", Slot.Efer, NXE);
            if (levels > 2)
            {
                builder.Flag("Page1GB", Slot.Cpu, SweepWords.CpuPage1G, "1", "0");
                Leaf(builder);
            }
            else
            {
                builder.Flag("PDE.PS", Slot.Pde, PS | (TableOf(1) ^ Page2M));
            }
        }

        UserOrNot(builder);
        return builder.Choice("bit", bits).Choice("another", bits).Build();
    }

    /// <summary>LAM: which pointers are masked and what is left to be canonical, with 4 and 5 levels.</summary>
    private static Sweep AddressMasking()
    {
        SweepWords start = FourLevel(40, Open);
        start[Slot.Pml5e] = TableOf(4) | Open;
        start[Slot.Gva] = 0x0000_0923_4567_89a8;
        SweepBuilder builder = new SweepBuilder("linear-address masking", start)
            .Choice("CR4.LA57", ("0", []), ("1", [(Slot.Cr4, LA57), (Slot.Cr3, TableOf(4) ^ TableOf(5))]))
            .Flag("CR3.LAM_U57", Slot.Cr3, 1UL << 61)
            .Flag("CR3.LAM_U48", Slot.Cr3, 1UL << 62)
            .Flag("CR4.LAM_SUP", Slot.Cr4, 1UL << 28);
        Accesses(builder);
        return builder.Flag("63", Slot.Gva, 1UL << 63)
            .Choice("62:57", ("0", []), ("1", [(Slot.Gva, 0x3fUL << 57)]), ("mixed", [(Slot.Gva, 0x2dUL << 57)]))
            .Flag("56", Slot.Gva, 1UL << 56)
            .Choice("55:48", ("0", []), ("1", [(Slot.Gva, 0xffUL << 48)]), ("mixed", [(Slot.Gva, 0xa6UL << 48)]))
            .Flag("47", Slot.Gva, 1UL << 47)
            .Choice("but", [("none", []), .. Enumerable.Range(46, 18).Select(bit => ($"{bit}", ((Slot, ulong)[])[(Slot.Gva, 1UL << bit)]))])
            .Flag("PTE.P", Slot.Pte, P, "1", "0")
            .Build();
    }

    private static string NameOf(int level) => level switch { 1 => "PTE", 2 => "PDE", 3 => "PDPTE", 4 => "PML4E", _ => "PML5E" };

    /// <summary>Read, write, fetch, and by whom.</summary>
    private static void Accesses(SweepBuilder builder)
    {
        builder.Choice("access", ("read", []), ("write", [(Slot.Access, Write)]), ("fetch", [(Slot.Access, Fetch)]));
        Who(builder);
    }

    private static void Who(SweepBuilder builder) => builder.Choice(
        "by", ("supervisor", []), ("user", [(Slot.Access, User)]), ("implicit", [(Slot.Access, Implicit)]), ("implicit-CPL3", [(Slot.Access, User | Implicit)]));

    private static void UserOrNot(SweepBuilder builder) => builder
        .Choice("access", ("read", []), ("write", [(Slot.Access, Write)]), ("fetch", [(Slot.Access, Fetch)]))
        .Flag("user", Slot.Access, User);

    /// <summary>The rights that a register gives key 0, with the CR4 flag on, and the flag off with none.</summary>
    private static void Key(SweepBuilder builder, string register, ulong enable, int shift, bool both = true)
    {
        (string, (Slot, ulong)[])[] values =
        [
            ("off", [(Slot.Keys, 3UL << shift)]), ("0", [(Slot.Cr4, enable)]), ("AD", [(Slot.Cr4, enable), (Slot.Keys, 1UL << shift)]),
            ("WD", [(Slot.Cr4, enable), (Slot.Keys, 2UL << shift)]), ("AD+WD", [(Slot.Cr4, enable), (Slot.Keys, 3UL << shift)]),
        ];
        builder.Choice(register, both ? values : values[..^1]);
    }

    /// <summary>Which entry maps the page; the others, which reference tables, can be made different.</summary>
    private static void Leaf(SweepBuilder builder, params (Slot Slot, ulong Bits)[] tablesOnly) => builder.Choice(
        "page",
        ("4K", tablesOnly),
        ("2M", [(Slot.Pde, PS | (TableOf(1) ^ Page2M)), .. tablesOnly.Where(flip => flip.Slot == Slot.Pdpte)]),
        ("1G", [(Slot.Pdpte, PS | (TableOf(2) ^ Page1G))]));

    /// <summary>Flags that all entries which may map the page have alike.</summary>
    private static SweepBuilder Leaves(SweepBuilder builder, params (string Name, ulong Bits, bool Set)[] flags)
    {
        foreach ((string name, ulong bits, bool set) in flags)
        {
            (string zero, string one) = set ? ("1", "0") : ("0", "1");
            builder.Choice($"page.{name}", (zero, []), (one, [(Slot.Pte, bits), (Slot.Pde, bits), (Slot.Pdpte, bits)]));
        }

        return builder;
    }

    private static void Rights(SweepBuilder builder, string entry, Slot slot) => builder
        .Flag($"{entry}.W", slot, RW, "1", "0").Flag($"{entry}.U", slot, US, "1", "0").Flag($"{entry}.NX", slot, NX).Flag($"{entry}.A", slot, A);

    private static void Address(SweepBuilder builder, string name, Slot slot, params int[] bits) =>
        builder.Choice(name, [("none", []), .. bits.Select(bit => ($"{bit}", ((Slot, ulong)[])[(slot, 1UL << bit)]))]);

    private static IEnumerable<(string, (Slot, ulong)[])> Faults(int levels, params (string Name, ulong Bits)[] kinds) =>
        from level in Enumerable.Range(1, levels) from kind in kinds select ($"{NameOf(level)}.{kind.Name}", ((Slot, ulong)[])[((Slot)level, kind.Bits)]);

    private static SweepBuilder Flags(SweepBuilder builder, string entry, Slot slot, params (string Name, ulong Bits)[] flags)
    {
        foreach ((string name, ulong bits) in flags)
        {
            builder.Flag($"{entry}.{name}", slot, bits);
        }

        return builder;
    }

    /// <summary>4-level paging; PDE and PTE have the flags given, the entries above allow everything.</summary>
    private static SweepWords FourLevel(int maxPhysicalAddress, ulong flags = 0)
    {
        SweepWords words = default;
        words[Slot.Pte] = Page4K | flags;
        words[Slot.Pde] = TableOf(1) | flags;
        words[Slot.Pdpte] = TableOf(2) | Open;
        words[Slot.Pml4e] = TableOf(3) | Open;
        words[Slot.Cr0] = PG;
        words[Slot.Cr3] = TableOf(4);
        words[Slot.Cr4] = PAE;
        words[Slot.Efer] = LongMode;
        words[Slot.Gva] = 0xffff_8923_4567_89a8;
        words[Slot.Cpu] = (ulong)maxPhysicalAddress | SweepWords.CpuPage1G | SweepWords.CpuPse36;
        return words;
    }

    private static SweepWords FiveLevel(int maxPhysicalAddress, ulong flags = 0)
    {
        SweepWords words = FourLevel(maxPhysicalAddress, flags);
        words[Slot.Pml5e] = TableOf(4) | Open;
        words[Slot.Cr3] = TableOf(5);
        words[Slot.Cr4] |= LA57;
        words[Slot.Gva] = 0xff35_8923_4567_89a8;
        return words;
    }

    /// <summary>The last PDPTE register; CR3 has its PWT and PCD flags and ignored bits set.</summary>
    private static SweepWords Pae(int maxPhysicalAddress)
    {
        SweepWords words = FourLevel(maxPhysicalAddress);
        (words[Slot.Pdpte], words[Slot.Pml4e]) = (0, 0);
        words[Slot.Register] = TableOf(2) | P | 0xe18;
        words[Slot.Cr3] = 0x5540_0ff8;
        words[Slot.Efer] = 0;
        words[Slot.Gva] = 0xc9ff_c9a8;
        return words;
    }

    /// <summary>An odd PDE over an even PTE, so that a 4-byte entry is an upper and a lower half.</summary>
    private static SweepWords Bits32(int maxPhysicalAddress)
    {
        SweepWords words = Pae(maxPhysicalAddress);
        words[Slot.Register] = 0;
        words[Slot.Cr3] = TableOf(2) | 0xfff;
        words[Slot.Cr4] = 0;
        return words;
    }
}
