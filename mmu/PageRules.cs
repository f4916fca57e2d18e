using System.Runtime.CompilerServices;

namespace Quadwalk.Mmu;

/// <summary>The access rules of paging, over the rights of a translation (SDM Vol. 3A, section 5.6.1).</summary>
public static class PageRules
{
    private const uint AccessDisable = 1;
    private const uint WriteDisable = 2;

    /// <summary>
    /// Whether a translation allows an access, and if not, why. Where several rules forbid it, the first of
    /// U/S, SMEP or SMAP, R/W, NX is named. A shadow-stack access goes by U/S and by whether the page is a shadow-stack page, and by nothing else:
    /// not by SMAP, RFLAGS.AC or CR0.WP. Without CR4.CET there is none, and it counts as the read or write it is.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WalkFailure Check(PageRights rights, in PagingState state, WalkAccess access)
    {
        if (access.ShadowStack && IsShadowStack(state, access))
        {
            return CheckShadowStack(rights, access);
        }

        bool userPage = (rights & PageRights.User) != 0;
        if (access.IsUser)
        {
            if (!userPage)
            {
                return WalkFailure.UserAccessToSupervisorPage;
            }
        }
        else if (userPage)
        {
            WalkFailure failure = CheckSupervisorOnUserPage(state, access);
            if (failure != WalkFailure.None)
            {
                return failure;
            }
        }

        return access.Kind switch
        {
            AccessKind.Write when (rights & PageRights.Write) == 0 && (access.IsUser || state.WP) => WalkFailure.WriteToReadOnlyPage,
            AccessKind.Execute when (rights & PageRights.NoExecute) != 0 && state.NXE => WalkFailure.ExecuteOfNoExecutePage,
            _ => WalkFailure.None,
        };
    }

    /// <summary>
    /// Whether a page's protection key allows a data access, shadow-stack accesses included (SDM Vol. 3A, section 5.6.2): by PKRU for a user page
    /// with CR4.PKE, by IA32_PKRS for a supervisor page with CR4.PKS. Write disable of user pages binds the
    /// supervisor only with CR0.WP, that of supervisor pages anyone only with CR0.WP, and instruction fetches go by no key.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WalkFailure CheckKey(PageRights rights, PageTableEntry leaf, in PagingState state, WalkAccess access)
    {
        bool userPage = (rights & PageRights.User) != 0;
        if (!(userPage ? state.PKE : state.PKS) || access.Kind == AccessKind.Execute)
        {
            return WalkFailure.None;
        }

        uint disabled = (userPage ? state.Pkru : state.Pkrs) >> (2 * leaf.ProtectionKey);
        bool write = access.Kind == AccessKind.Write && ((userPage && access.IsUser) || state.WP);
        return (disabled & AccessDisable) != 0 || (write && (disabled & WriteDisable) != 0) ? WalkFailure.ForbiddenByProtectionKey : WalkFailure.None;
    }

    /// <summary>The error code that #PF pushes for a failure (SDM Vol. 3A, section 5.7).</summary>
    public static PageFaultCode ErrorCodeFor(WalkFailure failure, in PagingState state, WalkAccess access)
    {
        PageFaultCode code = failure switch
        {
            WalkFailure.None or WalkFailure.NonCanonical => PageFaultCode.None,
            WalkFailure.NotPresent or WalkFailure.EntryUnreachable or WalkFailure.EntryContended => PageFaultCode.None,
            WalkFailure.ReservedBits => PageFaultCode.Present | PageFaultCode.Reserved,
            WalkFailure.ForbiddenByProtectionKey => PageFaultCode.Present | PageFaultCode.ProtectionKey,
            _ => PageFaultCode.Present,
        };
        if (failure is WalkFailure.None or WalkFailure.NonCanonical)
        {
            return code;
        }

        code |= access.IsUser ? PageFaultCode.User : PageFaultCode.None;
        code |= access.Kind == AccessKind.Write ? PageFaultCode.Write : PageFaultCode.None;
        code |= IsShadowStack(state, access) ? PageFaultCode.ShadowStack : PageFaultCode.None;
        return access.Kind == AccessKind.Execute && ((state.NXE && state.PAE) || state.SMEP) ? code | PageFaultCode.InstructionFetch : code;
    }

    /// <summary>Whether an access is one to a shadow stack: there are none without CR4.CET, and instruction fetches never are.</summary>
    internal static bool IsShadowStack(in PagingState state, WalkAccess access) =>
        access.ShadowStack && state.CET && access.Kind != AccessKind.Execute;

    private static WalkFailure CheckShadowStack(PageRights rights, WalkAccess access)
    {
        bool userPage = (rights & PageRights.User) != 0;
        if (access.IsUser != userPage)
        {
            return userPage ? WalkFailure.SupervisorShadowStackAccessToUserPage : WalkFailure.UserAccessToSupervisorPage;
        }

        return (rights & PageRights.ShadowStack) != 0 ? WalkFailure.None : WalkFailure.ShadowStackAccessToOtherPage;
    }

    private static WalkFailure CheckSupervisorOnUserPage(in PagingState state, WalkAccess access)
    {
        if (access.Kind == AccessKind.Execute)
        {
            return state.SMEP ? WalkFailure.SupervisorExecuteOfUserPage : WalkFailure.None;
        }

        bool exempt = state.AlignmentCheck && !access.Implicit;
        return state.SMAP && !exempt ? WalkFailure.SupervisorAccessToUserPage : WalkFailure.None;
    }
}
