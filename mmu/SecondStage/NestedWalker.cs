using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The two-dimensional walk of a processor in a guest: the guest's tables by <see cref="PageWalker"/>, with each address it reads
/// translated by a second stage, and at last the address it yields.
/// </summary>
/// <remarks>
/// A 4-level walk over a 4-level second stage reads at most 24 entries: four for the address of each of four entries, those four, and four for
/// the final address. A fault of the guest comes before the final address is translated; the guest's flags are set before it, too.
/// </remarks>
public static class NestedWalker
{
    /// <summary>Translates a linear address of a guest.</summary>
    /// <param name="stage">The second stage.</param>
    /// <param name="guest">The guest's control registers and limits.</param>
    /// <param name="gva">The address.</param>
    /// <param name="access">What is done at the address.</param>
    /// <param name="observer">Sees the entries of both stages in order.</param>
    /// <param name="result">The translation, the fault or the exit.</param>
    public static void Walk<TStage, TObserver>(
        ref TStage stage, in PagingState guest, Gva gva, WalkAccess access, ref TObserver observer, out NestedWalkResult result)
        where TStage : struct, ISecondStage
        where TObserver : struct, INestedWalkObserver
    {
        NestedTables<TStage, TObserver> tables = new(stage, observer);
        GuestObserver<TObserver> entries = new(observer);
        WalkResult walk = PageWalker.Walk(ref tables, guest, gva, access, ref entries);
        if (tables.Exited)
        {
            result = Exit(tables, walk, gva);
        }
        else if (!walk.Succeeded)
        {
            result = new NestedWalkResult { Guest = walk, Gva = gva };
        }
        else
        {
            SecondStageAccess final = SecondStageAccess.Final(access, walk.Rights);
            result = tables.Translate(walk.Gpa, final) ? Success(tables.Last, walk, gva, final) : Exit(tables, walk, gva);
        }

        if (TObserver.Enabled)
        {
            observer.OnEnd(result);
        }
    }

    /// <summary>Reads the entries that MOV to CR3 loads into the PDPTE registers of a guest with PAE paging. They are not checked here.</summary>
    /// <param name="stage">The second stage.</param>
    /// <param name="cr3">The guest's CR3.</param>
    /// <param name="observer">Sees the entries of the second stage.</param>
    /// <param name="pdptes">The registers. An entry where no memory is reads as 0.</param>
    /// <param name="exit">The exit of the second stage, if the result is false.</param>
    /// <returns>False when the second stage exits.</returns>
    public static bool TryReadPdptes<TStage, TObserver>(
        ref TStage stage, ulong cr3, ref TObserver observer, out PdpteRegisters pdptes, out NestedWalkResult exit)
        where TStage : struct, ISecondStage
        where TObserver : struct, INestedWalkObserver
    {
        pdptes = default;
        exit = default;
        Span<ulong> values = stackalloc ulong[PdpteRegisters.Count];
        NestedTables<TStage, TObserver> tables = new(stage, observer);
        for (int i = 0; i < PdpteRegisters.Count; i++)
        {
            if (!tables.Translate(PdpteRegisters.AddressOf(cr3, i), SecondStageAccess.PdpteLoad))
            {
                exit = Exit(tables, default, default);
                return false;
            }

            _ = stage.TryReadHost(tables.Last.Hpa, out values[i]);
        }

        pdptes = new PdpteRegisters(values[0], values[1], values[2], values[3]);
        return true;
    }

    private static NestedWalkResult Exit<TStage, TObserver>(in NestedTables<TStage, TObserver> tables, in WalkResult walk, Gva gva)
        where TStage : struct, ISecondStage
        where TObserver : struct, INestedWalkObserver => new()
        {
            Guest = walk,
            SecondStage = tables.Last,
            Access = tables.ExitAccess,
            Gpa = tables.ExitAddress,
            Gva = gva,
        };

    private static NestedWalkResult Success(in SecondStageResult second, in WalkResult walk, Gva gva, SecondStageAccess final)
    {
        SecondStageRights execute = (walk.Rights & PageRights.User) != 0 ? SecondStageRights.ExecuteUser : SecondStageRights.Execute;
        PageRights rights = walk.Rights;
        rights &= (second.Rights & SecondStageRights.Write) != 0 ? rights : ~PageRights.Write;
        rights &= (second.Rights & SecondStageRights.Dirty) != 0 ? rights : ~PageRights.Dirty;
        rights |= (second.Rights & execute) != 0 ? 0 : PageRights.NoExecute;

        // Without paging the guest has no pages, so that only the second stage's size counts.
        int shift = walk.Level == 0 ? second.PageShift : Math.Min(walk.PageShift, second.PageShift);
        return new NestedWalkResult
        {
            Guest = walk,
            SecondStage = second,
            Access = final,
            Gpa = walk.Gpa,
            Gva = gva,
            Hpa = second.Hpa,
            Rights = rights,
            PageShift = shift,
        };
    }

    private struct GuestObserver<TObserver>(TObserver observer) : IWalkObserver
        where TObserver : struct, INestedWalkObserver
    {
        private readonly TObserver observer = observer;

        public static bool Enabled => TObserver.Enabled;

        public void OnEntry(int level, Gpa entry, PageTableEntry value) => observer.OnGuestEntry(level, entry, value);

        public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after) =>
            observer.OnGuestUpdate(level, entry, before, after);
    }
}
