using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// Translates guest-physical addresses by walking nested page tables (AMD APM Vol. 2, section 15.25): ordinary page tables, walked by
/// <see cref="PageWalker"/>, at which every access of the guest is a user access and every access to the guest's own tables a write.
/// </summary>
/// <remarks>The PDPTEs of PAE tables are read from memory by each walk; the registers are the guest's.</remarks>
public static class NptWalker
{
    private const int PdpteLevel = 3;

    /// <summary>Translates one address for one access.</summary>
    /// <param name="host">The memory that holds the tables.</param>
    /// <param name="state">nCR3 and the host's paging mode.</param>
    /// <param name="gpa">The address.</param>
    /// <param name="access">What it is translated for.</param>
    /// <param name="observer">Sees the entries as they are read and changed.</param>
    /// <param name="result">The translation, or the exit and the entry that caused it.</param>
    /// <returns>Whether there is a translation.</returns>
    public static bool TryTranslate<THost, TObserver>(
        ref THost host, in NptState state, Gpa gpa, in SecondStageAccess access, ref TObserver observer, out SecondStageResult result)
        where THost : struct, IHostTableMemory
        where TObserver : struct, ISecondStageObserver
    {
        bool final = access.Purpose == SecondStagePurpose.FinalAddress;
        WalkAccess nested = new(final ? access.Access.Kind : AccessKind.Write, User: true);
        if (gpa.Value >> state.AddressBits != 0)
        {
            result = Failed(new WalkResult { Failure = WalkFailure.NonCanonical }, state.Paging, nested, final);
            return false;
        }

        // The walker asks for canonical addresses and looks at no bit above the index of the highest level.
        Gva address = state.AddressBits == 48 ? new((ulong)((long)(gpa.Value << 16) >> 16)) : new(gpa.Value);
        HostTables<THost> tables = new(host);
        WalkObserver<TObserver> entries = new(observer);
        WalkResult walk;
        if (state.Paging.Mode != PagingMode.Pae)
        {
            walk = PageWalker.Walk(ref tables, state.Paging, address, nested, ref entries);
        }
        else if (TryReadPdpte(ref tables, state.Paging, gpa, out PagingState paging, out walk))
        {
            walk = PageWalker.Walk(ref tables, paging, address, nested, ref entries);
        }
        else if (TObserver.Enabled && walk.Failure == WalkFailure.ReservedBits)
        {
            entries.OnEntry(walk.Level, walk.EntryAddress, walk.Entry);
        }

        if (!walk.Succeeded)
        {
            result = Failed(walk, state.Paging, nested, final);
            return false;
        }

        Unsafe.SkipInit(out result);
        result.SetPage(
            SecondStageFormat.Npt, new Hpa(walk.Gpa.Value), new Hpa(walk.EntryAddress.Value), walk.Entry.Raw, RightsOf(walk.Rights), walk.Level, walk.PageShift);
        return true;
    }

    private static bool TryReadPdpte<THost>(ref HostTables<THost> tables, in PagingState state, Gpa gpa, out PagingState loaded, out WalkResult walk)
        where THost : struct, IHostTableMemory
    {
        int index = (int)(gpa.Value >> PageSize.Shift1G);
        Gpa address = PdpteRegisters.AddressOf(state.Cr3, index);
        walk = default;
        bool found = tables.TryRead(address, out ulong raw);
        ulong reserved = PdpteRegisters.ReservedBitsIn(raw, state.PhysicalAddressBits);
        if (!found || reserved != 0)
        {
            walk = new WalkResult
            {
                Failure = found ? WalkFailure.ReservedBits : WalkFailure.EntryUnreachable,
                Level = PdpteLevel,
                EntryAddress = address,
                Entry = new(raw),
                ReservedMask = reserved,
            };
        }

        loaded = state with { Pdptes = new PdpteRegisters(raw, raw, raw, raw) };
        return walk.Succeeded;
    }

    private static SecondStageRights RightsOf(PageRights rights)
    {
        SecondStageRights allowed = SecondStageRights.Read;
        allowed |= (rights & PageRights.Write) != 0 ? SecondStageRights.Write : 0;
        allowed |= (rights & PageRights.NoExecute) == 0 ? SecondStageRights.Execute | SecondStageRights.ExecuteUser : 0;
        return (rights & PageRights.Dirty) != 0 ? allowed | SecondStageRights.Dirty : allowed;
    }

    private static SecondStageResult Failed(in WalkResult walk, in PagingState state, WalkAccess access, bool final)
    {
        (SecondStageFailure failure, WalkFailure fault) = walk.Failure switch
        {
            WalkFailure.NonCanonical => (SecondStageFailure.AddressBeyondWalk, WalkFailure.NotPresent),
            WalkFailure.NotPresent => (SecondStageFailure.NotPresent, walk.Failure),
            WalkFailure.ReservedBits => (SecondStageFailure.ReservedBits, walk.Failure),
            WalkFailure.EntryUnreachable => (SecondStageFailure.EntryUnreachable, walk.Failure),
            WalkFailure.EntryContended => (SecondStageFailure.EntryContended, walk.Failure),
            WalkFailure.UserAccessToSupervisorPage => (SecondStageFailure.NotUserPage, walk.Failure),
            WalkFailure.WriteToReadOnlyPage => (SecondStageFailure.NotWritable, walk.Failure),
            WalkFailure.ExecuteOfNoExecutePage => (SecondStageFailure.NotExecutable, walk.Failure),
            _ => throw new InvalidOperationException($"A walk of nested tables cannot end in {walk.Failure}."),
        };
        ulong code = (ulong)PageRules.ErrorCodeFor(fault, state, access);
        return new SecondStageResult
        {
            Format = SecondStageFormat.Npt,
            Exit = SecondStageExitReason.NestedPageFault,
            Failure = failure,
            Level = (byte)walk.Level,
            EntryAddress = new(walk.EntryAddress.Value),
            Entry = walk.Entry.Raw,
            ReservedMask = walk.ReservedMask,
            Qualification = code | (ulong)(final ? NestedPageFaultCode.FinalAddress : NestedPageFaultCode.GuestTable),
        };
    }

    private struct HostTables<THost>(THost host) : ITableMemory
        where THost : struct, IHostTableMemory
    {
        private readonly THost host = host;

        public bool TryRead(Gpa entry, out ulong value) => host.TryRead(new Hpa(entry.Value), out value);

        public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged) =>
            host.TryCompareExchange(new Hpa(entry.Value), expected, desired, out exchanged);
    }

    private struct WalkObserver<TObserver>(TObserver observer) : IWalkObserver
        where TObserver : struct, ISecondStageObserver
    {
        private readonly TObserver observer = observer;

        public static bool Enabled => TObserver.Enabled;

        public void OnEntry(int level, Gpa entry, PageTableEntry value) => observer.OnSecondStageEntry(level, new Hpa(entry.Value), value.Raw);

        public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after) =>
            observer.OnSecondStageUpdate(level, new Hpa(entry.Value), before.Raw, after.Raw);
    }
}
