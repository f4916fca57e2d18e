using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>What EPT entries forbid, and how an exit reports it (SDM Vol. 3C, sections 28.2.1 and 29.3.3).</summary>
internal static class EptFailure
{
    /// <summary>
    /// The access is a write as far as rights and flags go: with accessed and dirty flags enabled, so is every access to the guest's tables
    /// but the loading of PDPTE registers.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CountsAsWrite(in EptState state, in SecondStageAccess access) =>
        access.Access.Kind == AccessKind.Write || (state.AccessedDirty && access.IsGuestTable);

    /// <summary>The bits that must be 1 in every entry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong RequiredBits(in EptState state, in SecondStageAccess access)
    {
        if (access.Access.Kind == AccessKind.Execute)
        {
            bool user = state.ModeBasedExecute && (access.Translation & PageRights.User) != 0;
            return user ? EptEntry.ExecuteUserBit : EptEntry.ExecuteBit;
        }

        ulong read = access.Access.Kind == AccessKind.Read ? EptEntry.ReadBit : 0;
        return CountsAsWrite(state, access) ? read | EptEntry.WriteBit : read;
    }

    /// <summary>A supervisor shadow-stack access: R everywhere, W above the entry that maps the page, and bit 60 there, whatever its W.</summary>
    public static bool AllowsShadowStack(in EptPath path, int topLevel, int leafLevel)
    {
        for (int level = topLevel; level > leafLevel; level--)
        {
            if ((path[level].Raw & (EptEntry.ReadBit | EptEntry.WriteBit)) != (EptEntry.ReadBit | EptEntry.WriteBit))
            {
                return false;
            }
        }

        const ulong shadowStack = EptEntry.ReadBit | EptEntry.ShadowStackBit;
        return (path[leafLevel].Raw & shadowStack) == shadowStack;
    }

    /// <summary>What is wrong with an entry whose read bit is 0: perhaps nothing.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static SecondStageFailure OfUnreadable(ulong raw, in EptState state) =>
        (raw & state.PresentMask) == 0 ? SecondStageFailure.NotPresent
        : (raw & EptEntry.WriteBit) != 0 ? SecondStageFailure.WritableWithoutRead
        : state.Capabilities.ExecuteOnly ? SecondStageFailure.None
        : SecondStageFailure.ExecuteOnlyUnsupported;

    /// <summary>A violation by a right, which the highest entry that withholds it is blamed for.</summary>
    /// <param name="state">Pointer, limits and controls.</param>
    /// <param name="access">What was asked for.</param>
    /// <param name="path">The entries.</param>
    /// <param name="leafLevel">The level that maps the page.</param>
    /// <param name="all">The entries combined by AND.</param>
    /// <param name="required">The bits that had to be 1; 0 for a supervisor shadow-stack access.</param>
    /// <returns>The exit.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static SecondStageResult OnRight(in EptState state, in SecondStageAccess access, in EptPath path, int leafLevel, ulong all, ulong required)
    {
        const ulong shadowStackAbove = EptEntry.ReadBit | EptEntry.WriteBit;
        const ulong shadowStackHere = EptEntry.ReadBit | EptEntry.ShadowStackBit;
        int level = state.Levels;
        ulong missing;
        while (true)
        {
            ulong wanted = required != 0 ? required : level > leafLevel ? shadowStackAbove : shadowStackHere;
            missing = wanted & ~path[level].Raw;
            if (missing != 0 || level == leafLevel)
            {
                break;
            }

            level--;
        }

        SecondStageFailure failure =
            (missing & EptEntry.ReadBit) != 0 ? SecondStageFailure.NotReadable
            : (missing & EptEntry.WriteBit) != 0 ? SecondStageFailure.NotWritable
            : (missing & EptEntry.ShadowStackBit) != 0 ? SecondStageFailure.NotShadowStackPage
            : SecondStageFailure.NotExecutable;
        return Make(failure, state, access, level, path[level].Address, path[level].Raw, 0, RightsBits(state, all, path[leafLevel].Raw));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static SecondStageResult Make(
        SecondStageFailure failure, in EptState state, in SecondStageAccess access, int level, Hpa address, ulong raw, ulong reserved = 0,
        EptQualification rights = EptQualification.None)
    {
        SecondStageExitReason reason = failure switch
        {
            SecondStageFailure.LogFull => SecondStageExitReason.PageModificationLogFull,
            SecondStageFailure.WritableWithoutRead or SecondStageFailure.ExecuteOnlyUnsupported or SecondStageFailure.ReservedBits
                or SecondStageFailure.ReservedMemoryType or SecondStageFailure.EntryUnreachable => SecondStageExitReason.EptMisconfiguration,
            _ => SecondStageExitReason.EptViolation,
        };
        return new SecondStageResult
        {
            Exit = reason,
            Failure = failure,
            Level = (byte)level,
            EntryAddress = address,
            Entry = raw,
            ReservedMask = reserved,
            Qualification = reason == SecondStageExitReason.EptViolation ? (ulong)(AccessBits(state, access) | rights) : 0,
        };
    }

    private static EptQualification AccessBits(in EptState state, in SecondStageAccess access)
    {
        EptQualification bits = access.Access.Kind switch
        {
            AccessKind.Read => EptQualification.Read,
            AccessKind.Write => EptQualification.Write,
            _ => EptQualification.Fetch,
        };
        bits |= state.AccessedDirty && access.IsGuestTable ? EptQualification.Read | EptQualification.Write : 0;
        bits |= access.Purpose == SecondStagePurpose.PdpteLoad ? 0 : EptQualification.LinearAddressValid;
        if (access.Purpose != SecondStagePurpose.FinalAddress)
        {
            return bits;
        }

        bits |= EptQualification.FinalAddress;
        bits |= access.Access.ShadowStack ? EptQualification.ShadowStackAccess : 0;
        if (state.Capabilities.AdvancedInformation)
        {
            bits |= (access.Translation & PageRights.User) != 0 ? EptQualification.UserLinearAddress : 0;
            bits |= (access.Translation & PageRights.Write) != 0 ? EptQualification.WritablePage : 0;
            bits |= (access.Translation & PageRights.NoExecute) != 0 ? EptQualification.ExecuteDisablePage : 0;
        }

        return bits;
    }

    private static EptQualification RightsBits(in EptState state, ulong all, ulong leaf)
    {
        EptQualification bits = (EptQualification)((all & (EptEntry.ReadBit | EptEntry.WriteBit | EptEntry.ExecuteBit)) << 3);
        bits |= state.ModeBasedExecute && (all & EptEntry.ExecuteUserBit) != 0 ? EptQualification.UserExecutable : 0;
        return state.Eptp.ShadowStack && (leaf & EptEntry.ShadowStackBit) != 0 ? bits | EptQualification.ShadowStackPage : bits;
    }
}
