using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// Translates guest-physical addresses by walking extended page tables (SDM Vol. 3C, sections 29.3.2 to 29.3.6).
/// </summary>
/// <remarks>
/// A misconfigured entry is found before any right is checked, and an entry that is not present ends the walk. Flags are set once the
/// access is allowed, by compare-and-swap; an entry that has changed since it was read starts the walk again at EPTP. A walk that nobody
/// watches tries a short way first, which only reads and leaves all that is not plain to the whole walk.
/// </remarks>
public static class EptWalker
{
    /// <summary>How often one call walks from EPTP before it fails with <see cref="SecondStageFailure.EntryContended"/>.</summary>
    public const int MaxAttempts = 64;

    /// <summary>The bits that are 0 in an entry that references a table.</summary>
    internal const ulong ReservedInReference = 0xf8;

    private const int IndexBits = 9;
    private const int ReservedMemoryTypes = (1 << 2) | (1 << 3) | (1 << 7);

    /// <summary>Translates one address for one access.</summary>
    /// <param name="host">The memory that holds tables and log.</param>
    /// <param name="state">Pointer, limits and controls.</param>
    /// <param name="gpa">The address.</param>
    /// <param name="access">What it is translated for.</param>
    /// <param name="observer">Sees the entries as they are read and changed.</param>
    /// <param name="result">The translation, or the exit and the entry that caused it.</param>
    /// <returns>Whether there is a translation.</returns>
    public static bool TryTranslate<THost, TObserver>(
        ref THost host, in EptState state, Gpa gpa, in SecondStageAccess access, ref TObserver observer, out SecondStageResult result)
        where THost : struct, IHostTableMemory
        where TObserver : struct, ISecondStageObserver
    {
        if (gpa.Value >> Shift(state.Levels + 1) != 0)
        {
            result = EptFailure.Make(SecondStageFailure.AddressBeyondWalk, state, access, 0, default, 0);
            return false;
        }

        if (!TObserver.Enabled && TryWalkSettled(ref host, state, gpa, access, out result))
        {
            return true;
        }

        EptPath path = default;
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (TryWalk(ref host, state, gpa, access, ref observer, ref path, out result))
            {
                return result.Exit == SecondStageExitReason.None;
            }
        }

        result = EptFailure.Make(SecondStageFailure.EntryContended, state, access, 1, default, 0);
        return false;
    }

    /// <summary>log2 of the bytes that an entry of a level translates.</summary>
    internal static int Shift(int level) => PageSize.Shift4K + (IndexBits * (level - 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool MapsPage(ulong raw, int level, EptCapabilities capabilities) =>
        level == 1 || ((raw & EptEntry.PSBit) != 0 && ((level == 2 && capabilities.Page2M) || (level == 3 && capabilities.Page1G)));

    /// <summary>The bits reserved in an entry of a level beside those beyond MAXPHYADDR.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong ReservedHere(int level, bool mapsPage) =>
        mapsPage ? ((1UL << Shift(level)) - 1) & EptEntry.AddressMask : ReservedInReference;

    /// <summary>
    /// The walk of nearly all accesses: entries that allow reads, a page that allows the access, and no flag to be set. False says nothing but
    /// that there is more to look at.
    /// </summary>
    private static bool TryWalkSettled<THost>(ref THost host, in EptState state, Gpa gpa, in SecondStageAccess access, out SecondStageResult result)
        where THost : struct, IHostTableMemory
    {
        const ulong indexMask = ((1UL << IndexBits) - 1) * sizeof(ulong);
        const ulong leafOnly = EptEntry.DBit | EptEntry.ShadowStackBit;
        ulong raw = state.Eptp.Raw;
        ulong all = ulong.MaxValue;
        int shift = Shift(state.Levels);
        Hpa address;
        while (true)
        {
            address = new((raw & EptEntry.AddressMask) + ((gpa.Value >> (shift - 3)) & indexMask));
            if (!host.TryRead(address, out raw))
            {
                Unsafe.SkipInit(out result);
                return false;
            }

            if (shift == PageSize.Shift4K || (raw & state.ReferenceMask) != EptEntry.ReadBit)
            {
                break;
            }

            all &= raw | leafOnly;
            shift -= IndexBits;
        }

        all &= raw;
        int level = ((shift - PageSize.Shift4K) / IndexBits) + 1;
        ulong offset = (1UL << shift) - 1;
        ulong required = EptFailure.RequiredBits(state, access) | EptEntry.ReadBit;
        if (state.AccessedDirty)
        {
            required |= EptFailure.CountsAsWrite(state, access) ? EptEntry.ABit | EptEntry.DBit : EptEntry.ABit;
        }

        if ((all & required) != required || (raw & (state.Beyond | ReservedHere(level, mapsPage: true))) != 0
            || !MapsPage(raw, level, state.Capabilities) || ((ReservedMemoryTypes >> (int)((raw >> EptEntry.MemoryTypeShift) & 7)) & 1) != 0
            || (state.Eptp.ShadowStack && access.IsSupervisorShadowStack))
        {
            Unsafe.SkipInit(out result);
            return false;
        }

        Hpa hpa = new((raw & EptEntry.AddressMask & ~offset) | (gpa.Value & offset));
        Unsafe.SkipInit(out result);
        result.SetPage(SecondStageFormat.Ept, hpa, address, raw, RightsOf(state, all, raw), level, shift);
        return true;
    }

    /// <summary>One walk from EPTP; false when an entry changed under it.</summary>
    private static bool TryWalk<THost, TObserver>(
        ref THost host, in EptState state, Gpa gpa, in SecondStageAccess access, ref TObserver observer, ref EptPath path, out SecondStageResult result)
        where THost : struct, IHostTableMemory
        where TObserver : struct, ISecondStageObserver
    {
        ulong table = state.Eptp.Raw;
        ulong all = ulong.MaxValue;
        int level = state.Levels;
        ulong raw;
        while (true)
        {
            ulong index = (gpa.Value >> Shift(level)) & ((1UL << IndexBits) - 1);
            Hpa address = new((table & EptEntry.AddressMask) + (index * sizeof(ulong)));
            if (!host.TryRead(address, out raw))
            {
                result = EptFailure.Make(SecondStageFailure.EntryUnreachable, state, access, level, address, 0);
                return true;
            }

            if (TObserver.Enabled)
            {
                observer.OnSecondStageEntry(level, address, raw);
            }

            SecondStageFailure unreadable = (raw & EptEntry.ReadBit) != 0 ? SecondStageFailure.None : EptFailure.OfUnreadable(raw, state);
            if (unreadable != SecondStageFailure.None)
            {
                result = EptFailure.Make(unreadable, state, access, level, address, raw);
                return true;
            }

            bool mapsPage = MapsPage(raw, level, state.Capabilities);
            ulong reserved = raw & (state.Beyond | ReservedHere(level, mapsPage));
            if (reserved != 0)
            {
                result = EptFailure.Make(SecondStageFailure.ReservedBits, state, access, level, address, raw, reserved);
                return true;
            }

            path.Set(level, address, raw);
            all &= raw;
            if (mapsPage)
            {
                break;
            }

            table = raw;
            level--;
        }

        if (((ReservedMemoryTypes >> (int)((raw >> EptEntry.MemoryTypeShift) & 7)) & 1) != 0)
        {
            result = EptFailure.Make(SecondStageFailure.ReservedMemoryType, state, access, level, path[level].Address, raw);
            return true;
        }

        bool shadowStack = state.Eptp.ShadowStack && access.IsSupervisorShadowStack;
        ulong required = EptFailure.RequiredBits(state, access);
        if (shadowStack ? !EptFailure.AllowsShadowStack(path, state.Levels, level) : (all & required) != required)
        {
            result = EptFailure.OnRight(state, access, path, level, all, shadowStack ? 0 : required);
            return true;
        }

        if (state.AccessedDirty)
        {
            ulong leafFlags = EptEntry.ABit | (EptFailure.CountsAsWrite(state, access) ? EptEntry.DBit : 0);
            if (((all & EptEntry.ABit) == 0 || (raw & leafFlags) != leafFlags)
                && !TrySetFlags(ref host, state, gpa, access, ref observer, ref path, level, leafFlags, out result))
            {
                return result.Exit != SecondStageExitReason.None;
            }

            raw = path[level].Raw;
        }

        int shift = Shift(level);
        ulong offset = (1UL << shift) - 1;
        Hpa hpa = new((raw & EptEntry.AddressMask & ~offset) | (gpa.Value & offset));
        Unsafe.SkipInit(out result);
        result.SetPage(SecondStageFormat.Ept, hpa, path[level].Address, raw, RightsOf(state, all, raw), level, shift);
        return true;
    }

    /// <summary>Sets what flags are missing on the path; false with an exit when the log is full or memory is gone, false without one when an entry changed.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TrySetFlags<THost, TObserver>(
        ref THost host, in EptState state, Gpa gpa, in SecondStageAccess access, ref TObserver observer, ref EptPath path, int leafLevel, ulong leafFlags, out SecondStageResult result)
        where THost : struct, IHostTableMemory
        where TObserver : struct, ISecondStageObserver
    {
        if (state.Log is { IsFull: true })
        {
            result = EptFailure.Make(SecondStageFailure.LogFull, state, access, leafLevel, path[leafLevel].Address, path[leafLevel].Raw);
            return false;
        }

        result = default;
        for (int level = state.Levels; level >= leafLevel; level--)
        {
            ulong flags = level == leafLevel ? leafFlags : EptEntry.ABit;
            (Hpa address, ulong before) = (path[level].Address, path[level].Raw);
            ulong after = before | flags;
            if (after == before)
            {
                continue;
            }

            if (!host.TryCompareExchange(address, before, after, out bool exchanged))
            {
                result = EptFailure.Make(SecondStageFailure.EntryUnreachable, state, access, level, address, before);
                return false;
            }

            if (!exchanged)
            {
                return false;
            }

            path.Set(level, address, after);
            if (TObserver.Enabled)
            {
                observer.OnSecondStageUpdate(level, address, before, after);
            }

            if (state.Log is not null && level == leafLevel && ((before ^ after) & EptEntry.DBit) != 0)
            {
                state.Log.Append(ref host, gpa);
            }
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static SecondStageRights RightsOf(in EptState state, ulong all, ulong leaf)
    {
        SecondStageRights rights = (SecondStageRights)(all & (EptEntry.ReadBit | EptEntry.WriteBit | EptEntry.ExecuteBit));
        ulong executeUser = state.ModeBasedExecute ? EptEntry.ExecuteUserBit : EptEntry.ExecuteBit;
        rights |= (all & executeUser) != 0 ? SecondStageRights.ExecuteUser : 0;
        rights |= !state.AccessedDirty || (leaf & EptEntry.DBit) != 0 ? SecondStageRights.Dirty : 0;
        return (leaf & EptEntry.ShadowStackBit) != 0 && state.Eptp.ShadowStack ? rights | SecondStageRights.ShadowStack : rights;
    }
}
