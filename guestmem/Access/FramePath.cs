namespace Quadwalk.GuestMemory;

/// <summary>What the paths have in common that go from the guest frame to the host frame and map that for themselves.</summary>
public abstract class FramePath : GuestAccessPath
{
    private protected FramePath(Kvm vm, HostProcessor processor)
        : base(vm)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Processor = processor;
    }

    /// <summary>The processor that accesses.</summary>
    public HostProcessor Processor { get; }

    internal sealed override bool GoesByFrame => true;

    internal sealed override HostUse Use => HostUse.KernelWindow;

    /// <summary>Shows a frame to the processor.</summary>
    internal abstract Errno Show(ref GuestHold hold);

    /// <summary>Ends that.</summary>
    internal abstract void Hide(ref GuestHold hold);

    /// <summary>Whether the processor is free to show a frame now.</summary>
    internal virtual bool MayShow => true;

    /// <summary>Where the processor finds a frame that is shown; false: the access would fault.</summary>
    internal abstract bool TryReach(in GuestHold hold, out Pfn frame);

    internal sealed override Errno OpenPage(ref GuestHold hold, bool write)
    {
        Errno error = GuestFrames.Get(Vm, ref hold, write, ref costs);
        if (error != Errno.None)
        {
            return error;
        }

        error = Show(ref hold);
        if (error != Errno.None)
        {
            GuestFrames.Put(Vm, ref hold, write: false);
        }

        return error;
    }

    internal sealed override void ClosePage(ref GuestHold hold, bool write)
    {
        Hide(ref hold);
        GuestFrames.Put(Vm, ref hold, write);
    }

    internal sealed override IEnumerable<Step> OpenSteps(GuestAccessOperation access)
    {
        foreach (Step step in GuestFrames.GetSteps(
            Vm, access, resolver => GuestFrames.Resolved(Vm, resolver, ref access.Hold, ref costs), (file, page) => GuestFrames.GetFromFile(Vm, file, page, ref access.Hold, ref costs)))
        {
            yield return step;
        }

        if (access.Error != Errno.None)
        {
            yield break;
        }

        yield return Step.Wait($"{Name}: show the frame", () => MayShow, ShowBits, ShowBits);
        access.Error = Show(ref access.Hold);
        if (access.Error != Errno.None)
        {
            GuestFrames.Put(Vm, ref access.Hold, write: false);
        }
    }

    internal sealed override IEnumerable<Step> CloseSteps(GuestAccessOperation access)
    {
        yield return Step.Do($"{Name}: hide the frame", ShowBits, ShowBits | Vm.Process.TableBit);
        ClosePage(ref access.Hold, access.Wrote);
    }

    internal sealed override Span<byte> Bytes(in GuestHold hold)
    {
        if (!TryReach(hold, out Pfn frame))
        {
            Kernel.Log.Report(KernelEventKind.Oops, hold.Frame, $"{Name}: nothing is mapped where the frame was shown");
            return new byte[PageSize.Size4K];
        }

        return Kernel.Frames.Bytes(frame);
    }
}
