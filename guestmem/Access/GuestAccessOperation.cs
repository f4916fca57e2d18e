namespace Quadwalk.GuestMemory;

/// <summary>An access by a path to bytes of one page, step by step.</summary>
internal sealed class GuestAccessOperation : HostOperation<GuestAccessStatus>
{
    private readonly GuestAccessPath path;
    private readonly Kvm vm;
    private readonly Gpa gpa;
    private readonly Memory<byte> bytes;

    public GuestAccessOperation(GuestAccessPath path, Gpa gpa, Memory<byte> bytes, bool write)
    {
        if (bytes.Length == 0 || bytes.Length > (int)PageSize.Size4K - gpa.PageOffset)
        {
            throw new ArgumentException($"{bytes.Length} bytes at {gpa} do not lie in one page", nameof(bytes));
        }

        (this.path, vm, this.gpa, this.bytes, Write) = (path, path.Vm, gpa, bytes, write);
    }

    public override string Name => $"{path.Name} {(Write ? "write" : "read")}";

    public bool Write { get; }

    /// <summary>The page, once it is open.</summary>
    public GuestHold Hold;

    /// <summary>Bytes of the page were written.</summary>
    public bool Wrote { get; private set; }

    /// <summary>Why it could not be opened.</summary>
    public Errno Error { get; set; }

    protected internal override IEnumerable<Step> Steps()
    {
        SleepableRcu srcu = vm.Srcu;
        yield return Step.Do($"{path.Name}: read the sequence, find the memslot", vm.SlotBit | vm.StageBit | srcu.Bit);
        int reading = srcu.ReadLock();
        path.BeginAccess();
        Result = path.FindSlot(gpa, Write, ref Hold);
        if (Result == GuestAccessStatus.Success)
        {
            foreach (Step step in Access())
            {
                yield return step;
            }
        }

        yield return Step.Do($"{path.Name}: srcu_read_unlock", srcu.Bit);
        srcu.ReadUnlock(reading);
    }

    private IEnumerable<Step> Access()
    {
        for (bool again = true; again;)
        {
            again = false;
            ulong sequence = vm.InvalidateSequence;
            foreach (Step step in path.OpenSteps(this))
            {
                yield return step;
            }

            if (Error != Errno.None)
            {
                Result = path.Failed(GuestAccessStatus.Fault, Error);
                yield break;
            }

            // A frame that was looked up may be another by now. Who invalidates takes the mmu lock first, so a copy under it is of the right one.
            if (path.GoesByFrame)
            {
                yield return Step.AcquireShared($"{path.Name}: mmu_lock, compare the sequence, copy", vm.MmuLock, vm.StageBit | vm.Process.TableBit | path.ShowBits, Write ? vm.Process.TableBit | vm.StageBit : 0);
                again = vm.MustRetry(sequence, Hold.Gfn) && !vm.Kernel.Injects(InjectedFaults.SkipInvalidateCheck);
                vm.MmuLock.Release();
            }

            if (!again)
            {
                Copy();
            }

            foreach (Step step in path.CloseSteps(this))
            {
                yield return step;
            }

            if (again)
            {
                yield return Step.Wait($"{path.Name}: wait for the invalidation to end", () => vm.InvalidationsInProgress == 0, vm.StageBit);
            }
        }
    }

    private void Copy()
    {
        if (Write)
        {
            path.CopyIn(Hold, gpa.PageOffset, bytes.Span);
            Wrote = true;
        }
        else
        {
            path.CopyOut(Hold, gpa.PageOffset, bytes.Span);
        }
    }
}
