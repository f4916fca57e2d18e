using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>A guest with a memslot of two pages of each kind of memory, every path to it, and what its bytes should be.</summary>
internal sealed class MixedGuest : IDisposable
{
    public const int PagesPerKind = 2;
    private const VmFlags Shared = VmFlags.Read | VmFlags.Write | VmFlags.Shared;

    private readonly Dictionary<ulong, Func<Pfn?>> frames = [];

    public MixedGuest(InjectedFaults faults = InjectedFaults.None)
    {
        Host = new HostCase(KernelBehavior.Proposed, faults, frames: 2048);
        Vm = new Kvm(Host.Process);
        foreach (GuestMemoryKind kind in Enum.GetValues<GuestMemoryKind>())
        {
            Add(kind);
        }

        Vm.Slots.Add(PageOf(Kinds), PagesPerKind << 12, HostCase.Page(0), MemslotFlags.ReadOnly);
        View = ViewSwitchPath.For(Vm);
        Paths =
        [
            new UserspacePath(Vm), new DirectMapPath(Vm, DirectMapMode.Refuse), new DirectMapPath(Vm, DirectMapMode.Restore), MmLocalPath.For(Vm, slots: 24), View,
        ];
    }

    public static int Kinds => Enum.GetValues<GuestMemoryKind>().Length;

    public HostCase Host { get; }

    public Kvm Vm { get; }

    /// <summary>The paths, in the order of <see cref="AccessPathKind"/>.</summary>
    public GuestAccessPath[] Paths { get; }

    private ViewSwitchPath View { get; }

    /// <summary>The first guest-physical address of a kind's two pages; that after the last kind is a read-only alias of the first.</summary>
    public static Gpa PageOf(int kind) => new((ulong)kind * PagesPerKind << 12);

    /// <summary>The kind of memory at an address; null: the read-only alias, or nothing.</summary>
    public static GuestMemoryKind? KindOf(Gpa gpa)
    {
        ulong index = (gpa.Value >> 12) / PagesPerKind;
        return index < (ulong)Kinds ? (GuestMemoryKind)index : null;
    }

    /// <summary>The frame that truly backs a page now, by its file or the process's tables.</summary>
    public Pfn? Truth(Gpa gpa) => frames.TryGetValue(gpa.Value >> 12, out Func<Pfn?>? find) ? find() : null;

    public void Dispose()
    {
        View.Dispose();
        Host.Dispose();
    }

    private void Add(GuestMemoryKind kind)
    {
        int first = (int)kind * PagesPerKind;
        Hva at = HostCase.Page(first);
        switch (kind)
        {
            case GuestMemoryKind.Anonymous:
                Map(at, VmCase.Rw, null);
                break;
            case GuestMemoryKind.HostReadOnly:
                Map(at, VmFlags.Read, null);
                break;
            case GuestMemoryKind.LostPage:
                Map(at, VmCase.Rw, null);
                for (int page = 0; page < PagesPerKind; page++)
                {
                    Host.Touch(HostCase.Page(first + page));
                    Pfn frame = Host.FrameAt(HostCase.Page(first + page));
                    Host.Frames[frame].Flags |= FrameFlags.HwPoison;
                    Host.Process.Tables.Replace(HostCase.Page(first + page), 1, HostPte.Poison(frame));
                }

                break;
            case GuestMemoryKind.SharedFile:
                Map(at, Shared, new MemoryFile(Host.Kernel, PagesPerKind));
                break;
            case GuestMemoryKind.Secret:
                Map(at, Shared, new SecretFile(Host.Kernel, PagesPerKind));
                break;
            case GuestMemoryKind.DriverFrames:
                Map(at, VmCase.Rw | VmFlags.Shared | VmFlags.PfnMap, new DriverMemory(Host.Kernel, DriverMemory.Allocate(Host.Kernel), DriverMemory.Allocate(Host.Kernel)));
                break;
            case GuestMemoryKind.DeviceRegisters:
                Map(at, VmCase.Rw | VmFlags.Shared | VmFlags.Io, new DriverMemory(Host.Kernel, new Pfn(0xfee00), new Pfn(0xfee01)));
                break;
            case GuestMemoryKind.Hole:
                break;
            default:
                AddFile(kind, at);
                return;
        }

        Vm.Slots.Add(PageOf((int)kind), PagesPerKind << 12, at);
        Remember(first, page => Host.Process.Tables.LookupPfn(HostCase.Page(first + page), out Pfn frame, out _, out _) ? frame : null);
    }

    private void AddFile(GuestMemoryKind kind, Hva at)
    {
        bool beside = kind == GuestMemoryKind.PrivateBesideShared;
        bool isPrivate = beside || kind is GuestMemoryKind.GuestMemfdPrivate or GuestMemoryKind.GuestMemfdPrivateNoDirectMap;
        bool hidden = kind is GuestMemoryKind.GuestMemfdPrivateNoDirectMap or GuestMemoryKind.GuestMemfdSharedNoDirectMap;
        GuestMemfdFlags flags = (beside ? 0 : GuestMemfdFlags.Mmap) | (isPrivate ? 0 : GuestMemfdFlags.InitShared) | (hidden ? GuestMemfdFlags.NoDirectMap : 0);
        Errno error = GuestMemfd.Create(Host.Kernel, PagesPerKind << 12, flags, out GuestMemfd? opened);
        GuestMemfd file = opened ?? throw new InvalidOperationException(error.ToString());
        if (beside)
        {
            Map(at, VmCase.Rw, null);
        }
        else
        {
            file.Map(Host.Process, at, PagesPerKind, Shared);
        }

        Vm.AddGuestMemfdSlot(PageOf((int)kind), PagesPerKind << 12, at, file, 0);
        if (beside)
        {
            Vm.SetAttributes(PageOf((int)kind).Frame, PagesPerKind, isPrivate: true).Run();
        }

        Remember((int)kind * PagesPerKind, page => file.Cached((ulong)page));
    }

    private void Map(Hva at, VmFlags flags, VmBacking? backing) => Host.Process.MapAt(at.Value, PagesPerKind, flags, backing);

    private void Remember(int first, Func<int, Pfn?> find)
    {
        for (int i = 0; i < PagesPerKind; i++)
        {
            int page = i;
            frames[(ulong)(first + i)] = () => find(page);
        }
    }
}
