using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>P18: the paths agree on bytes and errors for one state, but for what the table of their rules says.</summary>
[TestFixture]
public sealed class AccessAgreementTests
{
    private const GuestAccessStatus Success = GuestAccessStatus.Success;

    [Test]
    public void Each_kind_ends_by_each_path_as_the_table_says([Values] GuestMemoryKind kind, [Values] AccessPathKind path, [Values] bool present)
    {
        using MixedGuest guest = new();
        GuestAccessPath by = guest.Paths[(int)path];
        Gpa gpa = MixedGuest.PageOf((int)kind) + 0x18;
        if (present)
        {
            foreach (GuestAccessPath other in guest.Paths)
            {
                other.Read(gpa, new byte[1]);
            }
        }

        Errno read = ErrorOf(by, by.ReadUInt64(gpa, out _));
        Errno write = ErrorOf(by, by.Write(gpa, BitConverter.GetBytes(0x1122334455667788)));
        Errno exchange = ErrorOf(by, by.CompareExchangeUInt64(gpa, 0x1122334455667788, 0x99, out ulong observed));
        Errno forReading = AccessRules.Expected(kind, path, write: false);
        Errno forWriting = AccessRules.Expected(kind, path, write: true);

        using (Assert.EnterMultipleScope())
        {
            Assert.That((read, write, exchange), Is.EqualTo((forReading, forWriting, forWriting)));
            Assert.That(observed, Is.EqualTo(forWriting == Errno.None ? 0x1122334455667788 : 0));
            Assert.That(Word(guest, gpa), Is.EqualTo(forWriting == Errno.None ? 0x99ul : 0), "what the memory holds");
            Assert.That(guest.Host.Kernel.Log.Events, Is.Empty);
        }
    }

    [Test]
    public void A_read_only_slot_and_no_slot_are_the_same_for_all_paths([Values] AccessPathKind path)
    {
        using MixedGuest guest = new();
        GuestAccessPath by = guest.Paths[(int)path];
        Gpa alias = MixedGuest.PageOf(MixedGuest.Kinds);
        Gpa nowhere = alias + 0x2000;

        using (Assert.EnterMultipleScope())
        {
            Assert.That(by.Read(alias, new byte[9]), Is.EqualTo(Success));
            Assert.That(by.Write(alias, [1]), Is.EqualTo(GuestAccessStatus.ReadOnlySlot));
            Assert.That(by.Read(nowhere, new byte[1]), Is.EqualTo(GuestAccessStatus.NoSlot));
            Assert.That(by.Read(nowhere + ulong.MaxValue, new byte[2]), Is.EqualTo(GuestAccessStatus.NoSlot));
            Assert.That(by.Read(nowhere, []), Is.EqualTo(Success));
            Assert.That(() => by.ReadUInt64(alias + 4, out _), Throws.ArgumentException);
        }
    }

    [Test]
    public void Random_accesses_by_random_paths_agree_with_one_array([Range(1, 8)] int seed)
    {
        Random random = new(seed);
        using MixedGuest guest = new();
        byte[] model = new byte[MixedGuest.PageOf(MixedGuest.Kinds).Value];
        (long Done, long Failed) outcomes = default;
        for (int step = 0; step < 4000; step++)
        {
            bool write = random.Next(2) == 0;
            AccessPathKind path = (AccessPathKind)random.Next(guest.Paths.Length);
            int length = random.Next(30) == 0 ? random.Next(1, 0x9000) : random.Next(1, 24);
            ulong edge = (ulong)random.Next(1, model.Length >> 12) << 12;
            Gpa gpa = new(Math.Min(edge - (ulong)random.Next(24), (ulong)(model.Length - length)));
            Errno expected = Expected(gpa, length, path, write);
            byte[] bytes = new byte[length];
            random.NextBytes(bytes);

            GuestAccessPath by = guest.Paths[(int)path];
            GuestAccessStatus status = write ? by.Write(gpa, bytes) : by.Read(gpa, bytes);

            string what = $"seed {seed}, step {step}: {path} {(write ? "write" : "read")} of {length} at {gpa}";
            Assert.That(ErrorOf(by, status), Is.EqualTo(expected), what);
            if (status == Success && write)
            {
                bytes.CopyTo(model, (int)gpa.Value);
            }
            else if (status == Success)
            {
                Assert.That(bytes.AsSpan().SequenceEqual(model.AsSpan((int)gpa.Value, length)), what);
            }

            outcomes = (outcomes.Done + (status == Success ? 1 : 0), outcomes.Failed + (status == Success ? 0 : 1));
            CheckQuiet(guest, what);
        }

        Assert.That(outcomes.Done > 500 && outcomes.Failed > 500, $"{outcomes}: a history that never succeeds or never fails shows nothing");
        CheckMemory(guest, model);
    }

    private static Errno ErrorOf(GuestAccessPath path, GuestAccessStatus status)
    {
        Assert.That(status == Success, Is.EqualTo(path.LastError == Errno.None));
        return path.LastError;
    }

    // The lowest page that cannot be reached decides.
    private static Errno Expected(Gpa gpa, int length, AccessPathKind path, bool write)
    {
        for (ulong page = gpa.Value >> 12; page << 12 < gpa.Value + (ulong)length; page++)
        {
            Errno error = MixedGuest.KindOf(new Gpa(page << 12)) is GuestMemoryKind kind ? AccessRules.Expected(kind, path, write) : Errno.EFAULT;
            if (error != Errno.None)
            {
                return error;
            }
        }

        return Errno.None;
    }

    // P8, P14, P15, and P4 as far as pages of files go: between accesses nothing is shown, cached or held.
    private static void CheckQuiet(MixedGuest guest, string what)
    {
        DirectMap map = guest.Host.Kernel.DirectMap;
        Assert.That((map.ExposedFrames, map.UnflushedFrames), Is.EqualTo((0, 0)), what);
        Assert.That(guest.Host.Kernel.Log.Count, Is.Zero, what);
        for (int page = 0; page < MixedGuest.Kinds * MixedGuest.PagesPerKind; page++)
        {
            Gpa gpa = new((ulong)page << 12);
            if (guest.Truth(gpa) is not Pfn frame || !guest.Host.Frames.IsValid(frame))
            {
                continue;
            }

            bool hidden = MixedGuest.KindOf(gpa) is GuestMemoryKind.Secret or GuestMemoryKind.GuestMemfdSharedNoDirectMap or GuestMemoryKind.GuestMemfdPrivateNoDirectMap;
            PageFrame state = guest.Host.Frames[frame];
            bool isFile = state.Has(FrameFlags.PageCache);
            if (map.Reaches(frame, 0) == hidden || map.IsAbsent(frame) != hidden || state.RefCount != state.MapCount + (isFile ? 1 : 0) || state.PinCount != 0)
            {
                Assert.Fail($"{what}: page {page} of {MixedGuest.KindOf(gpa)}: reached {map.Reaches(frame, 0)}, refcount {state.RefCount}, mapcount {state.MapCount}");
            }
        }
    }

    private static void CheckMemory(MixedGuest guest, byte[] model)
    {
        for (int page = 0; page < model.Length >> 12; page++)
        {
            Gpa gpa = new((ulong)page << 12);
            ReadOnlySpan<byte> expected = model.AsSpan(page << 12, 1 << 12);
            bool held = guest.Truth(gpa) is Pfn frame && guest.Host.Frames.IsValid(frame)
                ? guest.Host.Frames.Bytes(frame).SequenceEqual(expected)
                : !expected.ContainsAnyExcept((byte)0);
            Assert.That(held, $"page {page} of {MixedGuest.KindOf(gpa)} holds other bytes than were written");
        }
    }

    private static ulong Word(MixedGuest guest, Gpa gpa) =>
        guest.Truth(gpa) is Pfn frame && guest.Host.Frames.IsValid(frame) ? BitConverter.ToUInt64(guest.Host.Frames.Bytes(frame)[gpa.PageOffset..]) : 0;
}
