using System.Buffers.Binary;
using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Rows 40 to 43 on real mappings: where the bytes of a guest can be read while a path has its page in view, and before and after.</summary>
[TestFixture]
[Platform("Linux")]
public sealed class RealWindowRows
{
    private const ulong Secret = 0x5ec2_e7ab_cdef_0123;
    private const VmFlags RwShared = VmFlags.Read | VmFlags.Write | VmFlags.Shared;

    [OneTimeSetUp]
    public void NeedsMemfd() => HostMemoryCases.Require(HostMemoryKind.Memfd);

    [Test]
    public void Row40_Real_the_direct_map_can_be_read_while_the_access_lasts_and_not_after()
    {
        using Guest guest = new();
        Hva direct = guest.Mirror.DirectMapAddress(guest.Frame);
        Assert.That(guest.SeenDuring(new DirectMapPath(guest.Vm, DirectMapMode.Restore), () => direct), Is.EqualTo((false, true, false)));
    }

    [Test]
    public void Row41_Real_the_window_shows_the_page_to_its_process_alone_while_the_access_lasts()
    {
        using Guest guest = new();
        AddressSpace other = new(guest.Kernel, "other");
        MmLocalPath path = MmLocalPath.For(guest.Vm);
        Hva window = path.Region.WindowOf(0).Start;
        Hva? elsewhere = null;

        (bool Before, bool Within, bool After) seen = guest.SeenDuring(path, () =>
        {
            elsewhere ??= RealMirror.Of(other)!.TryTranslate(window, out Hva there) ? there : null;
            return RealMirror.Of(guest.Process)!.TryTranslate(window, out Hva real) ? real : null;
        });

        using (Assert.EnterMultipleScope())
        {
            Assert.That(seen, Is.EqualTo((false, true, false)));
            Assert.That(elsewhere, Is.Null, "the other process has nothing near it");
            Assert.That(NofaultCopy.TryRead64(guest.Mirror.DirectMapAddress(guest.Frame), out _), Is.False, "the direct map never showed it");
        }
    }

    [Test]
    public void Row42_Real_memory_of_one_process_is_out_of_the_direct_map_and_ends_with_the_process()
    {
        using Guest guest = new();
        MmLocalRegion region = new(guest.Process);
        Assert.That(ProcLocalMemory.TryAllocate(region, 2, out ProcLocalMemory? memory), Is.EqualTo(Errno.None));
        RealMirror.Of(guest.Process)!.TryTranslate(memory!.Start, out Hva real);
        guest.Process.Tables.LookupPfn(memory.Start, out Pfn frame, out _, out _);
        Hva direct = guest.Mirror.DirectMapAddress(frame);

        Assert.That((NofaultCopy.TryWrite64(real, 7), NofaultCopy.TryRead64(direct, out _)), Is.EqualTo((true, false)));
        Assert.That(guest.Mirror.Compare(), Is.Null);
        memory.Dispose();
        Assert.That((NofaultCopy.TryRead64(real, out _), NofaultCopy.TryRead64(direct, out _)), Is.EqualTo((false, true)));
        Assert.That(guest.Mirror.Compare(), Is.Null);
    }

    [Test]
    public void Row43_Real_the_temporary_view_shows_the_page_while_the_access_lasts()
    {
        using Guest guest = new();
        using ViewSwitchPath path = ViewSwitchPath.For(guest.Vm);
        RealAddressSpace view = guest.Mirror.Tables[^1];
        Assert.That(view, Is.Not.SameAs(RealMirror.Of(guest.Process)));

        (bool, bool, bool) seen = guest.SeenDuring(path, () => view.TryTranslate(new Hva(ViewSwitchPath.Address), out Hva real) ? real : null);

        Assert.That(seen, Is.EqualTo((false, true, false)));
    }

    private sealed class Guest : IDisposable
    {
        public Guest()
        {
            Kernel = new HostKernel(new HostKernelOptions { Frames = 1024, Memory = HostMemoryKind.Memfd, Mirrored = true, Behavior = KernelBehavior.Proposed });
            Process = new AddressSpace(Kernel);
            Errno error = GuestMemfd.Create(Kernel, 1 << 12, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared | GuestMemfdFlags.NoDirectMap, out GuestMemfd? file);
            (file ?? throw new InvalidOperationException(error.ToString())).Map(Process, new Hva(HostCase.Base), 1, RwShared);
            Vm = new Kvm(Process);
            Vm.AddGuestMemfdSlot(new Gpa(0), 1 << 12, new Hva(HostCase.Base), file, 0);
            byte[] word = new byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(word, Secret);
            Assert.That(new UserspacePath(Vm).Write(new Gpa(0), word), Is.EqualTo(GuestAccessStatus.Success));
            Frame = file.Cached(0) ?? throw new InvalidOperationException("written and not there");
        }

        public HostKernel Kernel { get; }

        public AddressSpace Process { get; }

        public Kvm Vm { get; }

        public Pfn Frame { get; }

        public RealMirror Mirror => Kernel.Mirror!;

        public void Dispose()
        {
            Vm.Dispose();
            Kernel.Dispose();
        }

        /// <summary>Whether the guest's word can be read at an address before an access by a path, at some step of it, and after it.</summary>
        public (bool Before, bool Within, bool After) SeenDuring(GuestAccessPath path, Func<Hva?> address)
        {
            byte[] read = new byte[8];
            Actor access = new("vcpu0", path.ReadSteps(new Gpa(0), read));
            bool before = Sees(address());
            bool within = false;
            while (!access.IsDone)
            {
                access.Go();
                within |= Sees(address());
                Assert.That(Mirror.Compare(), Is.Null);
            }

            Assert.That(BinaryPrimitives.ReadUInt64LittleEndian(read), Is.EqualTo(Secret));
            return (before, within, Sees(address()));
        }

        private static bool Sees(Hva? address) => address is Hva there && NofaultCopy.TryRead64(there, out ulong word) && word == Secret;
    }
}
