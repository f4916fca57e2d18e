using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// Translates guest-virtual addresses by walking the guest's page tables (SDM Vol. 3A, sections 5.3 to 5.5, with the access rights of
/// section 5.6, the error codes of 5.7 and the accessed and dirty flags of 5.8).
/// </summary>
/// <remarks>
/// One walk serves all paging modes; <see cref="IPagingFormat"/> has what differs. Each entry is checked for presence and then for reserved
/// bits before the next is read; rights are checked once, over all levels. A and D flags are set by compare-and-swap: an entry that has
/// changed since it was read starts the walk again at CR3. A device or another processor can keep doing that, so a walk gives up after
/// <see cref="MaxAttempts"/>.
/// </remarks>
public static class PageWalker
{
    /// <summary>How often one call walks from CR3 before it fails with <see cref="WalkFailure.EntryContended"/>.</summary>
    public const int MaxAttempts = 64;

    private const int PdpteLevel = 3;

    /// <summary>Translates one address for one access.</summary>
    /// <param name="tables">The memory that holds the page tables.</param>
    /// <param name="state">The control registers and limits in force.</param>
    /// <param name="gva">
    /// The address, with the metadata that linear-address masking takes out (<see cref="PagingState.Untag"/>). Outside IA-32e mode linear
    /// addresses have 32 bits, and those above are ignored.
    /// </param>
    /// <param name="access">What is done at the address.</param>
    /// <param name="observer">Sees the entries as they are read and changed.</param>
    /// <returns>The translation, or the failure and the entry that caused it.</returns>
    public static WalkResult Walk<TTables, TObserver>(
        ref TTables tables, in PagingState state, Gva gva, WalkAccess access, ref TObserver observer)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver
    {
        if (!state.IsLongMode)
        {
            return WalkLegacy(ref tables, state, new Gva((uint)gva.Value), access, ref observer);
        }

        if (state.IsExtended)
        {
            return WalkExtended(ref tables, state, gva, access, ref observer);
        }

        return LongModeFormat.IsCanonical(gva)
            ? WalkTables<TTables, TObserver, LongModeFormat>(ref tables, state, gva, access, ref observer)
            : new WalkResult { Failure = WalkFailure.NonCanonical };
    }

    /// <summary>With linear-address masking or 5-level paging.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WalkResult WalkExtended<TTables, TObserver>(
        ref TTables tables, in PagingState state, Gva tagged, WalkAccess access, ref TObserver observer)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver
    {
        Gva gva = state.Untag(tagged, access);
        if (!state.IsCanonical(gva))
        {
            return new WalkResult { Failure = WalkFailure.NonCanonical };
        }

        return state.Mode == PagingMode.FiveLevel
            ? WalkTables<TTables, TObserver, FiveLevelFormat>(ref tables, state, gva, access, ref observer)
            : WalkTables<TTables, TObserver, LongModeFormat>(ref tables, state, gva, access, ref observer);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WalkResult WalkLegacy<TTables, TObserver>(
        ref TTables tables, in PagingState state, Gva gva, WalkAccess access, ref TObserver observer)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver => state.Mode switch
        {
            PagingMode.None => Identity(gva),
            PagingMode.Pae => WalkTables<TTables, TObserver, PaeFormat>(ref tables, state, gva, access, ref observer),
            _ => WalkTables<TTables, TObserver, Bits32Format>(ref tables, state, gva, access, ref observer),
        };

    private static WalkResult Identity(Gva gva) => new()
    {
        Gpa = new(gva.Value),
        PageShift = PageSize.Shift4K,
        Rights = PageRights.User | PageRights.Write | PageRights.Dirty,
    };

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static WalkResult WalkTables<TTables, TObserver, TFormat>(
        ref TTables tables, in PagingState state, Gva gva, WalkAccess access, ref TObserver observer)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver
        where TFormat : struct, IPagingFormat
    {
        // Only the levels that a walk has read are looked at.
        Unsafe.SkipInit(out WalkPath path);
        WalkResult result = default;
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (TryWalk<TTables, TObserver, TFormat>(ref tables, state, gva, access, ref observer, ref path, out result))
            {
                return result;
            }
        }

        return Fail(WalkFailure.EntryContended, state, access, result.Level, result.EntryAddress, result.Entry);
    }

    /// <summary>One walk from CR3; false when an entry changed under it, with that entry in <paramref name="result"/>.</summary>
    private static bool TryWalk<TTables, TObserver, TFormat>(
        ref TTables tables, in PagingState state, Gva gva, WalkAccess access, ref TObserver observer, ref WalkPath path, out WalkResult result)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver
        where TFormat : struct, IPagingFormat
    {
        ulong reservedEverywhere = TFormat.ReservedEverywhere(state);
        ulong table = TFormat.Root(state);
        if (TFormat.HasPdpteRegisters && !TryUsePdpte(state, gva, access, ref observer, out table, out result))
        {
            return true;
        }

        ulong allSet = ulong.MaxValue;
        ulong anySet = 0;
        int level = TFormat.TopLevel;
        while (true)
        {
            Gpa address = TFormat.EntryAddress(table, gva, level);
            if (!TFormat.TryRead(ref tables, address, out ulong raw))
            {
                result = Fail(WalkFailure.EntryUnreachable, state, access, level, address, default);
                return true;
            }

            PageTableEntry entry = new(raw);
            if (TObserver.Enabled)
            {
                observer.OnEntry(level, address, entry);
            }

            if (!entry.P)
            {
                result = Fail(WalkFailure.NotPresent, state, access, level, address, entry);
                return true;
            }

            bool mapsPage = TFormat.MapsPage(entry, level, state);
            ulong reserved = raw & (reservedEverywhere | TFormat.ReservedHere(level, mapsPage, state));
            if (reserved != 0)
            {
                result = Fail(WalkFailure.ReservedBits, state, access, level, address, entry, reserved);
                return true;
            }

            path.Set(level, address, entry);
            allSet &= raw;
            anySet |= raw;
            if (mapsPage)
            {
                break;
            }

            if (state.Accessed == AccessedPolicy.OnUse && !entry.A
                && !TrySetFlags<TTables, TObserver, TFormat>(ref tables, state, access, ref observer, ref path, level, PageTableEntry.ABit, out result))
            {
                return result.Failure != WalkFailure.None;
            }

            table = raw & PageTableEntry.AddressMask4K;
            level--;
        }

        PageRights rights = RightsOf(allSet, anySet, path[level].Entry, level, state);
        if ((rights & (PageRights.Write | PageRights.Dirty)) == PageRights.Dirty && state.CET)
        {
            rights |= ShadowStackOf(path, TFormat.TopLevel, level);
        }

        WalkFailure failure = PageRules.Check(rights, state, access);
        WalkFailure keyFailure = PageRules.CheckKey(rights, path[level].Entry, state, access);
        if ((failure | keyFailure) != WalkFailure.None)
        {
            result = FailOnRight(failure, keyFailure, state, access, path, TFormat.TopLevel, level, rights);
            return true;
        }

        ulong leafFlags = PageTableEntry.ABit | (access.Kind == AccessKind.Write ? PageTableEntry.DBit : 0);
        if ((allSet & PageTableEntry.ABit) == 0 || (path[level].Entry.Raw & leafFlags) != leafFlags)
        {
            for (int used = TFormat.TopLevel; used >= level; used--)
            {
                ulong flags = used == level ? leafFlags : PageTableEntry.ABit;
                if ((path[used].Entry.Raw & flags) != flags
                    && !TrySetFlags<TTables, TObserver, TFormat>(ref tables, state, access, ref observer, ref path, used, flags, out result))
                {
                    return result.Failure != WalkFailure.None;
                }
            }

            rights |= access.Kind == AccessKind.Write ? PageRights.Dirty : 0;
        }

        int shift = TFormat.Shift(level);
        WalkStepEntry leaf = path[level];
        result = new WalkResult
        {
            Gpa = new(TFormat.PageAddress(leaf.Entry, level) | (gva.Value & ((1UL << shift) - 1))),
            PageShift = shift,
            Rights = rights,
            Level = level,
            EntryAddress = leaf.Address,
            Entry = leaf.Entry,
        };
        return true;
    }

    /// <summary>Takes the page directory from a PDPTE register, which has no flags but P to check or set; false with a failure.</summary>
    private static bool TryUsePdpte<TObserver>(
        in PagingState state, Gva gva, WalkAccess access, ref TObserver observer, out ulong table, out WalkResult result)
        where TObserver : struct, IWalkObserver
    {
        int index = (int)(gva.Value >> PageSize.Shift1G);
        Gpa loadedFrom = PdpteRegisters.AddressOf(state.Cr3, index);
        PageTableEntry pdpte = new(state.Pdptes[index]);
        if (TObserver.Enabled)
        {
            observer.OnEntry(PdpteLevel, loadedFrom, pdpte);
        }

        table = pdpte.Raw & PageTableEntry.AddressMask4K & state.PhysicalMask;
        result = pdpte.P ? default : Fail(WalkFailure.NotPresent, state, access, PdpteLevel, loadedFrom, pdpte);
        return pdpte.P;
    }

    /// <summary>Sets flags in an entry of the path; false with a failure when no memory is there, false without one when the entry has changed.</summary>
    private static bool TrySetFlags<TTables, TObserver, TFormat>(
        ref TTables tables, in PagingState state, WalkAccess access, ref TObserver observer, ref WalkPath path, int level, ulong flags, out WalkResult result)
        where TTables : struct, ITableMemory
        where TObserver : struct, IWalkObserver
        where TFormat : struct, IPagingFormat
    {
        WalkStepEntry step = path[level];
        PageTableEntry after = new(step.Entry.Raw | flags);
        if (!TFormat.TryCompareExchange(ref tables, step.Address, step.Entry.Raw, after.Raw, out bool exchanged))
        {
            result = Fail(WalkFailure.EntryUnreachable, state, access, level, step.Address, step.Entry);
            return false;
        }

        result = new WalkResult { Level = level, EntryAddress = step.Address, Entry = step.Entry };
        if (!exchanged)
        {
            return false;
        }

        path.Set(level, step.Address, after);
        if (TObserver.Enabled)
        {
            observer.OnUpdate(level, step.Address, step.Entry, after);
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static PageRights RightsOf(ulong allSet, ulong anySet, PageTableEntry leaf, int level, in PagingState state)
    {
        PageRights rights = PageRights.None;
        rights |= (allSet & PageTableEntry.USBit) != 0 ? PageRights.User : 0;
        rights |= (allSet & PageTableEntry.RWBit) != 0 ? PageRights.Write : 0;
        rights |= (anySet & PageTableEntry.NXBit) != 0 ? PageRights.NoExecute : 0;
        rights |= leaf.D ? PageRights.Dirty : 0;
        rights |= leaf.G && state.PGE ? PageRights.Global : 0;
        rights |= leaf.PWT ? PageRights.WriteThrough : 0;
        rights |= leaf.PCD ? PageRights.CacheDisable : 0;
        ulong pat = level == 1 ? PageTableEntry.Pat4KBit : PageTableEntry.PatLargeBit;
        return (leaf.Raw & pat) != 0 ? rights | PageRights.Pat : rights;
    }

    /// <summary>A page with D but without R/W, of which the leaf withholds the one and no level above does, holds a shadow stack.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static PageRights ShadowStackOf(in WalkPath path, int topLevel, int leafLevel)
    {
        bool writableAbove = true;
        for (int level = topLevel; level > leafLevel; level--)
        {
            writableAbove &= path[level].Entry.RW;
        }

        return writableAbove && !path[leafLevel].Entry.RW ? PageRights.ShadowStack : PageRights.None;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WalkResult FailOnRight(
        WalkFailure failure, WalkFailure keyFailure, in PagingState state, WalkAccess access, in WalkPath path, int topLevel, int leafLevel, PageRights rights)
    {
        if (failure == WalkFailure.None)
        {
            WalkResult byKey = Fail(keyFailure, state, access, leafLevel, path[leafLevel].Address, path[leafLevel].Entry);
            return byKey with { SupervisorKey = (rights & PageRights.User) == 0 };
        }

        int level = topLevel;
        while (level > leafLevel && !Withholds(failure, path[level].Entry))
        {
            level--;
        }

        // PK is set whenever the key forbids the access, whatever else does.
        WalkResult result = Fail(failure, state, access, level, path[level].Address, path[level].Entry);
        return keyFailure == WalkFailure.None ? result : result with { ErrorCode = result.ErrorCode | PageFaultCode.ProtectionKey };
    }

    private static bool Withholds(WalkFailure failure, PageTableEntry entry) => failure switch
    {
        WalkFailure.UserAccessToSupervisorPage => !entry.US,
        WalkFailure.WriteToReadOnlyPage or WalkFailure.ShadowStackAccessToOtherPage => !entry.RW,
        WalkFailure.ExecuteOfNoExecutePage => entry.NX,
        _ => false,
    };

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WalkResult Fail(WalkFailure failure, in PagingState state, WalkAccess access, int level, Gpa address, PageTableEntry entry, ulong reserved = 0) => new()
    {
        Failure = failure,
        ErrorCode = PageRules.ErrorCodeFor(failure, state, access),
        Level = level,
        EntryAddress = address,
        Entry = entry,
        ReservedMask = reserved,
    };
}
