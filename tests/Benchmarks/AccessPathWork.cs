using Quadwalk.GuestMemory;

namespace Quadwalk.Benchmarks;

/// <summary>A modelled guest with ordinary memory and with private memory that is out of the direct map, and accesses to it by each path.</summary>
internal sealed class AccessPathWork : IDisposable
{
    private const ulong Base = 0x10_0000_0000;
    private const int Pages = 64;
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;

    private readonly HostKernel kernel = new(new HostKernelOptions { Frames = 2048, Behavior = KernelBehavior.Proposed });
    private readonly ViewSwitchPath view;
    private readonly (string What, GuestAccessPath Path, bool Hidden)[] paths;
    private readonly byte[] page = new byte[4096];
    private int next;

    public AccessPathWork()
    {
        AddressSpace process = new(kernel);
        Kvm vm = new(process);
        process.MapAt(Base, Pages, Rw);
        vm.Slots.Add(new Gpa(0), Pages << 12, new Hva(Base));
        Errno error = GuestMemfd.Create(kernel, Pages << 12, GuestMemfdFlags.Mmap | GuestMemfdFlags.NoDirectMap, out GuestMemfd? file);
        vm.AddGuestMemfdSlot(
            new Gpa(Pages << 12), Pages << 12, new Hva(Base + (Pages << 12)), file ?? throw new InvalidOperationException(error.ToString()), 0);
        view = ViewSwitchPath.For(vm);
        DirectMapPath restore = new(vm, DirectMapMode.Restore);
        MmLocalPath local = MmLocalPath.For(vm);
        paths =
        [
            ("userspace", new UserspacePath(vm), false), ("direct map", new DirectMapPath(vm, DirectMapMode.Refuse), false),
            ("direct map, restored", restore, true), ("direct map, restored without flush", new DirectMapPath(vm, DirectMapMode.RestoreWithoutFlush), true),
            ("mm-local window", local, false), ("mm-local window, no direct map", local, true),
            ("view switch", view, false), ("view switch, no direct map", view, true),
        ];
    }

    public IEnumerable<BestOfTurns.Row> Rows() => paths.SelectMany(path => new BestOfTurns.Row[]
    {
        new($"read 8: {path.What}", () => Word(path.Path, path.Hidden), 1),
        new($"write 4096: {path.What}", () => Page(path.Path, path.Hidden), 1),
    });

    public void Dispose()
    {
        view.Dispose();
        kernel.Dispose();
    }

    private ulong Word(GuestAccessPath path, bool hidden)
    {
        Check(path, path.ReadUInt64(NextGpa(hidden), out ulong word));
        return word;
    }

    private ulong Page(GuestAccessPath path, bool hidden)
    {
        Check(path, path.Write(NextGpa(hidden), page));
        return 0;
    }

    private static void Check(GuestAccessPath path, GuestAccessStatus status)
    {
        if (status != GuestAccessStatus.Success)
        {
            throw new InvalidOperationException($"{path.Name}: {path.LastError}");
        }
    }

    private Gpa NextGpa(bool hidden) => new((ulong)((next++ & (Pages - 1)) + (hidden ? Pages : 0)) << 12);
}
