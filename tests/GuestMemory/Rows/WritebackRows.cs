using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Row 14 of the host-memory table: pages go to disk, and no write is lost on the way.</summary>
[TestFixture]
public sealed class WritebackRows
{
    [Test]
    public void Row14_A_dirty_page_is_written_and_the_next_write_faults()
    {
        using VmCase vm = Make(out DiskFile file);
        vm.Fault(0);
        vm.GuestWrite(0, 0x1234);
        Pfn page = file.Cached(0)!.Value;

        file.Writeback(0).Run();
        bool clean = !vm.Frames[page].Has(FrameFlags.Dirty);
        bool protectedNow = !vm.GuestWrite(0, 0x9999);
        StageTwoOutcome read = vm.Fault(0, write: false);
        bool readOnly = !vm.GuestWrite(0, 0x9999);
        StageTwoOutcome write = vm.Fault(0);
        vm.GuestWrite(0, 0x5678);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(clean);
            Assert.That(protectedNow, "the notifier has taken the guest's translation");
            Assert.That((read, readOnly, write), Is.EqualTo((StageTwoOutcome.Fixed, true, StageTwoOutcome.Fixed)));
            Assert.That(BitConverter.ToUInt32(file.OnDisk(0)[..4]), Is.EqualTo(0x1234));
            Assert.That(vm.Frames[page].Has(FrameFlags.Dirty));
            Assert.That(file.DiskWrites, Is.EqualTo(1));
        }

        file.Writeback(0).Run();
        file.Writeback(0).Run();
        Assert.That((BitConverter.ToUInt32(file.OnDisk(0)[..4]), file.DiskWrites), Is.EqualTo((0x5678u, 2L)), "a clean page is not written again");
    }

    [Test]
    public void Row14_No_write_of_the_guest_lands_after_clean_in_any_order()
    {
        long orders = Orders.Explore(() => WriteBesideWriteback(InjectedFaults.None));

        Assert.That(orders, Is.GreaterThan(100));
    }

    [Test]
    public void Row14_Clean_before_protect_lets_a_write_land_unseen()
    {
        InterleavingException failure = Assert.Throws<InterleavingException>(
            () => Orders.Explore(() => WriteBesideWriteback(InjectedFaults.CleanBeforeProtect)))!;

        Assert.That(failure.Problem, Does.StartWith("a clean page can be written"));
    }

    [Test]
    public void Row14_A_write_of_the_process_beside_writeback_is_on_disk_or_still_dirty([Values] bool second)
    {
        Orders.Explore(() =>
        {
            HostCase host = new(frames: 128);
            DiskFile file = new(host.Kernel, 1);
            host.Process.MapAt(HostCase.Base, 1, VmCase.Rw | VmFlags.Shared, file);
            host.Touch(HostCase.Page(0));
            Scenario scenario = new Scenario
            {
                World = host,
                Always = () => CleanProblem(host, file, null),
                AtEnd = () => Lost(host, file),
            }.With("flusher", file.Writeback(0)).With("process", new ProcessWrite(host, HostCase.Page(0), 0x77));
            return second ? scenario.With("fork", host.Process.Fork("child")) : scenario;
        });
    }

    [Test]
    public void Row47_A_hole_in_a_file_with_a_disk_reads_as_zeros_also_beside_writeback([Values] bool written)
    {
        Orders.Explore(() =>
        {
            HostCase host = new(frames: 128);
            DiskFile file = new(host.Kernel, 1);
            host.Process.MapAt(HostCase.Base, 1, VmCase.Rw | VmFlags.Shared, file);
            host.Touch(HostCase.Page(0));
            host.Frames.Bytes(file.Cached(0)!.Value).Fill(0x55);
            if (written)
            {
                file.Writeback(0).Run();
                host.Touch(HostCase.Page(0));
            }

            return new Scenario
            {
                World = host,
                AtEnd = () => host.Touch(HostCase.Page(0), write: false) != VmFault.NoPage || host.Frames.Bytes(file.Cached(0)!.Value).ContainsAnyExcept((byte)0)
                    ? "the page of a hole is not zero" : null,
            }.With("flusher", file.Writeback(0)).With("puncher", file.Punch(0, 1));
        });
    }

    private static VmCase Make(out DiskFile file, InjectedFaults faults = InjectedFaults.None, ulong frames = 4096)
    {
        DiskFile made = null!;
        VmCase vm = new(flags: VmCase.Rw | VmFlags.Shared, backing: kernel => made = new DiskFile(kernel, 1), pages: 1, faults: faults, frames: frames);
        file = made;
        return vm;
    }

    private static Scenario WriteBesideWriteback(InjectedFaults faults)
    {
        VmCase vm = Make(out DiskFile file, faults, frames: 128);
        vm.Fault(0);
        vm.GuestWrite(0, 0x11);
        return new Scenario
        {
            World = vm,
            Always = () => StageTwoCheck.Problem(vm.Vm) ?? CleanProblem(vm.Host, file, vm),
            AtEnd = () => Lost(vm.Host, file),
        }.With("flusher", file.Writeback(0)).With("vcpu", new GuestWriter(vm, 0x22));
    }

    // What may be written without a fault is dirty.
    private static string? CleanProblem(HostCase host, DiskFile file, VmCase? vm)
    {
        if (file.Cached(0) is not Pfn page || host.Frames[page].Has(FrameFlags.Dirty))
        {
            return null;
        }

        bool guest = vm is not null && vm.Vm.StageTwo.TryFind(new Gfn(0), out StageTwoEntry entry, out _) && entry.Writable;
        bool process = host.Kernel.Processes.Any(one => one.Tables.Find(HostCase.Page(0), out _) is { IsWritable: true });
        return guest || process ? $"a clean page can be written by the {(guest ? "guest" : "process")}" : null;
    }

    private static string? Lost(HostCase host, DiskFile file)
    {
        Pfn page = file.Cached(0)!.Value;
        bool same = host.Frames.Bytes(page).SequenceEqual(file.OnDisk(0));
        return host.Frames[page].Has(FrameFlags.Dirty) || same ? null : "a write is in memory alone, and the page is clean";
    }

    private sealed class GuestWriter(VmCase vm, uint value) : HostOperation
    {
        public override string Name => "guest write";

        protected override IEnumerable<Step> Steps()
        {
            ulong bits = vm.Vm.StageBit | vm.Host.Process.TableBit;
            yield return Step.Do("guest: write", bits, bits);
            while (!vm.GuestWrite(0, value))
            {
                yield return Step.Through(new StageTwoFault(vm.Vm, VmCase.Gpa(0), write: true));
                yield return Step.Do("guest: write again", bits, bits);
            }
        }
    }

    private sealed class ProcessWrite(HostCase host, Hva at, byte value) : HostOperation
    {
        public override string Name => "write";

        protected override IEnumerable<Step> Steps()
        {
            ulong bits = host.Process.TableBit;
            yield return Step.Do("process: write", bits, bits);
            while (host.Process.Tables.Find(at, out _) is not { IsWritable: true } entry || !Store(entry))
            {
                yield return Step.Through(host.Process.Fault(at, write: true));
                yield return Step.Do("process: write again", bits, bits);
            }
        }

        private bool Store(HostPte entry)
        {
            host.Process.Tables.Replace(at, 1, entry.MadeWritable);
            host.Frames.Bytes(entry.Frame)[0] = value;
            return true;
        }
    }
}
