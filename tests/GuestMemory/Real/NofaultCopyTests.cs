using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
[Platform("Linux")]
public sealed class NofaultCopyTests
{
    private static readonly Hva[] Gone = [new(0), new(8), new(0x1000), new(0x7fff_ffff_f000), new(0x8000_0000_0000), new(0xdead_0000_0000_0000), new(ulong.MaxValue - 7)];

    private static IEnumerable<NofaultMechanism> Mechanisms() =>
        new[] { NofaultMechanism.SystemCall, NofaultMechanism.Stub }.Where(mechanism => mechanism <= NofaultCopy.Mechanism);

    [Test]
    public void An_x64_Linux_host_has_the_stubs()
    {
        if (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture != System.Runtime.InteropServices.Architecture.X64)
        {
            Assert.Ignore("the stubs are x86-64 code");
        }

        Assert.That(NofaultCopy.Mechanism, Is.EqualTo(NofaultMechanism.Stub));
    }

    [TestCaseSource(nameof(Mechanisms))]
    public void Bytes_go_both_ways(NofaultMechanism mechanism)
    {
        using HostMemory memory = HostMemory.Create(1 << 20);
        byte[] bytes = new byte[100_000];
        new Random(1).NextBytes(bytes);
        byte[] back = new byte[bytes.Length];

        using (Assert.EnterMultipleScope())
        {
            Assert.That(NofaultCopy.TryWrite(memory.Base + 4093, bytes, mechanism), Is.True);
            Assert.That(NofaultCopy.TryRead(memory.Base + 4093, back, mechanism), Is.True);
            Assert.That(back, Is.EqualTo(bytes));
            Assert.That(memory.Span(4093, bytes.Length).SequenceEqual(bytes), Is.True);
        }
    }

    [TestCaseSource(nameof(Mechanisms))]
    public void An_address_that_is_gone_is_a_failure(NofaultMechanism mechanism)
    {
        byte[] bytes = new byte[24];
        using (Assert.EnterMultipleScope())
        {
            foreach (Hva hva in Gone)
            {
                Assert.That(NofaultCopy.TryRead(hva, bytes, mechanism), Is.False, $"read {hva}");
                Assert.That(NofaultCopy.TryWrite(hva, bytes, mechanism), Is.False, $"write {hva}");
                Assert.That(NofaultCopy.TryRead64(hva, out ulong word), Is.False, $"read {hva}");
                Assert.That(NofaultCopy.TryWrite64(hva, 1), Is.False, $"write {hva}");
                Assert.That(word, Is.Zero);
            }
        }
    }

    [TestCaseSource(nameof(Mechanisms))]
    public void A_copy_over_the_end_fails_and_leaves_what_was_before(NofaultMechanism mechanism)
    {
        // The page after the memory's is a view's that is gone again.
        using HostMemory memory = HostMemory.Create(4 * PageSize.Size4K, HostMemoryKind.Memfd);
        Hva end;
        using (HostMemoryView view = memory.MapView())
        {
            end = view.Base;
            Assert.That(NofaultCopy.TryRead64(end, out _), Is.True);
        }

        Assert.That(NofaultCopy.TryRead64(end, out _), Is.False);
        byte[] bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        Assert.That(NofaultCopy.TryRead(new Hva(end.Value - 4), bytes, mechanism), Is.False);
    }

    [Test]
    public void A_file_that_has_become_shorter_is_a_failure()
    {
        // SIGBUS, where an unmapped page is SIGSEGV.
        string path = Path.GetTempFileName();
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.ReadWrite);
            stream.SetLength(8192);
            using System.IO.MemoryMappedFiles.MemoryMappedFile map = System.IO.MemoryMappedFiles.MemoryMappedFile.CreateFromFile(
                stream, null, 8192, System.IO.MemoryMappedFiles.MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
            using System.IO.MemoryMappedFiles.MemoryMappedViewAccessor view = map.CreateViewAccessor();
            Hva page = new((ulong)view.SafeMemoryMappedViewHandle.DangerousGetHandle() + 4096);
            Assert.That(NofaultCopy.TryRead64(page, out _), Is.True);

            stream.SetLength(4096);

            Assert.That(NofaultCopy.TryRead64(page, out _), Is.False);
            Assert.That(NofaultCopy.TryRead64(new Hva(page.Value - 4096), out _), Is.True);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void The_runtime_still_catches_null_references()
    {
        Assert.That(NofaultCopy.TryRead64(new Hva(0x1000), out _), Is.False);
        string? nothing = Environment.ProcessId == 0 ? "" : null;
        int caught = 0;
        for (int i = 0; i < 50; i++)
        {
            try
            {
                caught += nothing!.Length;
            }
            catch (NullReferenceException)
            {
                caught++;
            }
        }

        Assert.That(caught, Is.EqualTo(50));
    }

    [Test]
    public void Many_threads_may_fail_at_once_beside_the_collector()
    {
        ulong good = 42;
        int wrong = 0;
        unsafe
        {
            ulong* address = &good;
            Hva hva = new((ulong)address);
            Parallel.For(0, 8, thread =>
            {
                for (int i = 0; i < 2000; i++)
                {
                    bool gone = NofaultCopy.TryRead64(Gone[(i + thread) % Gone.Length], out _);
                    bool there = NofaultCopy.TryRead64(hva, out ulong word) && word == 42;
                    if (gone || !there)
                    {
                        Interlocked.Increment(ref wrong);
                    }

                    if (i % 500 == 0)
                    {
                        GC.Collect(0);
                        CatchOne(ref wrong);
                    }
                }
            });
        }

        Assert.That(wrong, Is.Zero);

        static void CatchOne(ref int wrong)
        {
            object? nothing = Environment.ProcessId == 0 ? "" : null;
            try
            {
                _ = nothing!.GetHashCode();
                Interlocked.Increment(ref wrong);
            }
            catch (NullReferenceException)
            {
            }
        }
    }

    [Test]
    public void Nothing_is_allocated()
    {
        byte[] bytes = new byte[64];
        using HostMemory memory = HostMemory.Create(PageSize.Size4K);
        Copy();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            Copy();
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);

        void Copy()
        {
            NofaultCopy.TryRead(memory.Base, bytes);
            NofaultCopy.TryWrite(memory.Base, bytes);
            NofaultCopy.TryRead64(new Hva(8), out _);
        }
    }

    [Test]
    public void No_mechanism_is_asked_for_in_vain() =>
        Assert.That(() => NofaultCopy.TryRead(new Hva(8), new byte[8], NofaultMechanism.None), Throws.TypeOf<PlatformNotSupportedException>());
}
