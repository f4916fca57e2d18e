using System.Buffers.Binary;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>A machine with an image in it, and its guest-virtual memory as a walk from its CR3 finds it.</summary>
internal sealed class BootedMachine : IDisposable
{
    public const ulong MiB = 1UL << 20;
    public const ulong GiB = 1UL << 30;

    private readonly MemoryStream console = new();

    public BootedMachine(Func<ulong, GuestImage> image, ulong ramBytes = MachineOptions.DefaultRamBytes, int? ring = null)
    {
        Machine = new Machine(new MachineOptions { RamBytes = ramBytes, Console = console });
        try
        {
            Layout = ImageLoader.Load(Machine, image(ramBytes), ring);
        }
        catch
        {
            Machine.Dispose();
            throw;
        }
    }

    public Machine Machine { get; }

    public BootLayout Layout { get; }

    public string Console => System.Text.Encoding.ASCII.GetString(console.ToArray());

    public static GuestImage Elf(ulong ram, uint ring = 0) => ElfImage.Parse(new ElfBuilder { Ring = ring }.Build(), ram);

    public WalkResult Walk(Gva gva, AccessKind kind = AccessKind.Read, bool user = false)
    {
        var tables = new AccessTables<IGuestMemoryAccess>(Machine.Access);
        var observer = default(NoWalkObserver);
        return PageWalker.Walk(ref tables, Machine.Cpu.Paging with { AlignmentCheck = true }, gva, new WalkAccess(kind, user), ref observer);
    }

    public ulong Read64(Gva gva)
    {
        Span<byte> bytes = stackalloc byte[8];
        Machine.ReadMemory(Walk(gva).Gpa, bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    public void Dispose()
    {
        Machine.Dispose();
        console.Dispose();
    }
}
