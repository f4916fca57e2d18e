using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The paging structures of one address space as tables of decoded entries, whatever the paging mode. Addresses are <em>positions</em>: linear
/// addresses without their sign extension, from 0 to <see cref="LastPosition"/>.
/// </summary>
internal abstract class TableDecoder(int topLevel)
{
    /// <summary>The level that CR3 leads to; 3 with PAE paging, whose table at that level is the PDPTE registers.</summary>
    public int TopLevel { get; } = topLevel;

    /// <summary>Where the table at <see cref="TopLevel"/> lies, or the PDPTE registers were loaded from.</summary>
    public abstract ulong Root { get; }

    /// <summary>Whether the upper half of the positions is that of negative addresses.</summary>
    public abstract bool SignExtends { get; }

    /// <summary>The last position: 2^32 - 1, 2^48 - 1 or 2^57 - 1.</summary>
    public ulong LastPosition => (1UL << Shift(TopLevel) << EntryBits(TopLevel)) - 1;

    /// <summary>The decoder for a paging mode.</summary>
    /// <exception cref="ArgumentException">Paging is off.</exception>
    public static TableDecoder For<TTables>(TTables tables, in PagingState state)
        where TTables : struct, ITableMemory => state.Mode switch
        {
            PagingMode.Bits32 => new TableDecoder<TTables, Bits32Format>(tables, state, Bits32Format.TopLevel),
            PagingMode.Pae => new TableDecoder<TTables, PaeFormat>(tables, state, PaeFormat.TopLevel + 1),
            PagingMode.FourLevel => new TableDecoder<TTables, LongModeFormat>(tables, state, 4),
            PagingMode.FiveLevel => new TableDecoder<TTables, LongModeFormat>(tables, state, 5),
            _ => throw new ArgumentException("Without paging there are no tables.", nameof(state)),
        };

    /// <summary>log2 of the bytes that an entry of a level translates.</summary>
    public abstract int Shift(int level);

    /// <summary>log2 of the number of entries in a table of a level.</summary>
    public abstract int EntryBits(int level);

    /// <summary>Reads an entry.</summary>
    public abstract DecodedEntry Read(ulong table, int level, int index);

    /// <summary>U/S, R/W and NX combined over an entry and those above it.</summary>
    /// <param name="above">The rights so far; <see cref="PageRights.User"/> and <see cref="PageRights.Write"/> at the root.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="level">Its level.</param>
    public abstract PageRights Narrow(PageRights above, PageTableEntry entry, int level);

    /// <summary>The linear address of a position.</summary>
    public Gva AddressOf(ulong position) => new(SignExtends && position > LastPosition >> 1 ? position | ~LastPosition : position);
}

/// <inheritdoc cref="TableDecoder"/>
internal sealed class TableDecoder<TTables, TFormat>(TTables tables, PagingState state, int topLevel) : TableDecoder(topLevel)
    where TTables : struct, ITableMemory
    where TFormat : struct, IPagingFormat
{
    private readonly ulong reservedEverywhere = TFormat.ReservedEverywhere(state);
    private readonly PagingState state = state;
    private TTables tables = tables;

    public override ulong Root => TFormat.Root(state);

    public override bool SignExtends => state.IsLongMode;

    public override int Shift(int level) => TFormat.Shift(level);

    public override int EntryBits(int level) => IsRegister(level) ? 2 : TFormat.Shift(level + 1) - TFormat.Shift(level);

    public override DecodedEntry Read(ulong table, int level, int index)
    {
        if (IsRegister(level))
        {
            return ReadRegister(index);
        }

        Gpa address = TFormat.EntryAddress(table, new Gva((ulong)index << TFormat.Shift(level)), level);
        if (!TFormat.TryRead(ref tables, address, out ulong raw))
        {
            return new(TableEntryKind.Unreachable, address, default, 0);
        }

        PageTableEntry entry = new(raw);
        if (!entry.P)
        {
            return new(TableEntryKind.NotPresent, address, entry, 0);
        }

        bool mapsPage = TFormat.MapsPage(entry, level, state);
        if ((raw & (reservedEverywhere | TFormat.ReservedHere(level, mapsPage, state))) != 0)
        {
            return new(TableEntryKind.ReservedBits, address, entry, 0);
        }

        return mapsPage
            ? new(TableEntryKind.Page, address, entry, TFormat.PageAddress(entry, level))
            : new(TableEntryKind.Table, address, entry, raw & PageTableEntry.AddressMask4K);
    }

    // PDPTEs have no R/W, U/S and NX (SDM Vol. 3A, table 5-8).
    public override PageRights Narrow(PageRights above, PageTableEntry entry, int level)
    {
        if (IsRegister(level))
        {
            return above;
        }

        PageRights rights = entry.US ? above : above & ~PageRights.User;
        rights = entry.RW ? rights : rights & ~PageRights.Write;
        return entry.NX ? rights | PageRights.NoExecute : rights;
    }

    private static bool IsRegister(int level) => TFormat.HasPdpteRegisters && level > TFormat.TopLevel;

    private DecodedEntry ReadRegister(int index)
    {
        PageTableEntry pdpte = new(state.Pdptes[index]);
        Gpa address = PdpteRegisters.AddressOf(state.Cr3, index);
        return pdpte.P
            ? new(TableEntryKind.Table, address, pdpte, pdpte.Raw & PageTableEntry.AddressMask4K & state.PhysicalMask)
            : new(TableEntryKind.NotPresent, address, pdpte, 0);
    }
}
