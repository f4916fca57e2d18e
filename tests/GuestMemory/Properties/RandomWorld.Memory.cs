using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <content>What there is, and what each page must hold.</content>
internal sealed partial class RandomWorld
{
    private const VmFlags Rw = VmFlags.Read | VmFlags.Write;
    private const int IdentityShift = 12;
    private const int FirstFile = 64;
    private const int MostSmallPages = 16;
    private const int DevicePage = 3;

    private readonly Dictionary<AddressSpace, ShadowPage[][]> ofProcess = [];
    private readonly Dictionary<MemoryFile, ShadowPage[]> ofFile = [];

    /// <summary>The number of the last write.</summary>
    public ulong Serial { get; private set; }

    /// <summary>The range that holds an address of any process, and the page in it.</summary>
    public WorldRegion? RegionAt(ulong address, out int page)
    {
        foreach (WorldRegion region in Regions)
        {
            if (address - region.Start < (ulong)region.Pages << 12)
            {
                page = (int)((address - region.Start) >> 12);
                return region;
            }
        }

        page = 0;
        return null;
    }

    /// <summary>What a page of a range must hold in a process.</summary>
    public ShadowPage PageOf(AddressSpace process, WorldRegion region, int page) =>
        region.File is MemoryFile file && !region.IsPrivateFile ? ofFile[file][page] : ofProcess[region.Backing is DriverMemory ? Vmm : process][region.Index][page];

    /// <summary>A word was read of a page of a range: looks whether it may be there.</summary>
    public void Observe(string path, AddressSpace process, WorldRegion region, int page, ulong word)
    {
        ShadowPage shadow = PageOf(process, region, page);
        if (region.IsPrivateFile)
        {
            // Which of the two it shows is the model's affair; another page's word is not.
            int identity = ShadowPage.IdentityOf(word);
            if (word != 0 && identity != shadow.Identity && identity != ofFile[region.File!][page].Identity)
            {
                Report(1, Text(shadow));
            }

            return;
        }

        if (!shadow.Accepts(word))
        {
            Report(1, Text(shadow));
        }

        string Text(ShadowPage expected) =>
            $"{path} of {process} {region} page {page} reads a word of page {ShadowPage.IdentityOf(word) >> IdentityShift}:{ShadowPage.IdentityOf(word) & 0xfff}, write {ShadowPage.SerialOf(word)}; it must be {expected}";
    }

    /// <summary>The word at the start of a frame.</summary>
    public ulong Word(Pfn frame) => BinaryPrimitives.ReadUInt64LittleEndian(Kernel.Frames.Bytes(frame));

    /// <summary>Writes a new stamp to a page of a range by way of a frame.</summary>
    public void Write(AddressSpace process, WorldRegion region, int page, Pfn frame)
    {
        ShadowPage shadow = PageOf(process, region, page);
        ulong stamp = shadow.Stamp(++Serial);
        BinaryPrimitives.WriteUInt64LittleEndian(Kernel.Frames.Bytes(frame), stamp);
        shadow.Wrote(stamp, Serial);
    }

    private void MakeRegions()
    {
        MemoryFile shared = Add(new MemoryFile(Kernel, 8));
        SecretFile secret = Add(new SecretFile(Kernel, 4));
        // As TTM has them: the first frame has a count, which is the driver's.
        Pfn first = DriverMemory.Allocate(Kernel, 2, refcountOfFirst: 1);
        for (ulong i = 0; i < 4; i++)
        {
            DriverFrames.Add(new Pfn(first.Value + i));
        }

        Pfn device = new(Kernel.Frames.Count + 16);
        DriverMemory bare = new(Kernel, first, new Pfn(first.Value + 1), new Pfn(first.Value + 2), device);
        Pfn[] pages = [Kernel.Allocator.Allocate()!.Value, Kernel.Allocator.Allocate()!.Value];
        foreach (Pfn page in pages)
        {
            Hold(page, pin: false, kept: true);
        }

        DriverMemory mixed = new(Kernel, pages[0], new Pfn(first.Value + 3), pages[1], device);
        GuestMemfd converted = Gmem(8, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared);
        GuestMemfd hidden = Gmem(8, GuestMemfdFlags.NoDirectMap);
        GuestMemfd undirected = Gmem(4, GuestMemfdFlags.Mmap | GuestMemfdFlags.InitShared | GuestMemfdFlags.NoDirectMap);
        AddRegion(8, Rw, null);
        AddRegion(8, Rw, null);
        AddRegion(8, Rw | VmFlags.Shared, shared);
        AddRegion(8, Rw, shared);
        AddRegion(4, Rw | VmFlags.Shared, secret);
        AddRegion(4, Rw | VmFlags.Shared | VmFlags.PfnMap, bare);
        AddRegion(4, Rw | VmFlags.Shared | VmFlags.MixedMap, mixed);
        AddRegion(8, Rw | VmFlags.Shared | VmFlags.DontCopy, converted);
        AddRegion(8, VmFlags.None, hidden);
        AddRegion(4, Rw | VmFlags.Shared | VmFlags.DontCopy, undirected);
        AddRegion(8, Rw | VmFlags.Shared, Add(new DiskFile(Kernel, 8)));
        if (Options.Large)
        {
            AddRegion(1024, Rw | VmFlags.HugePage, null);
            AddRegion(1024, Rw | VmFlags.Shared, Add(new MemoryFile(Kernel, 1024, order: 9)));
        }

        ofProcess[Vmm] = NewPages();
        foreach (MemoryFile file in Files)
        {
            int number = FirstFile + Files.IndexOf(file);
            ofFile[file] = [.. Enumerable.Range(0, (int)file.Size).Select(page => new ShadowPage((number << IdentityShift) | page))];
        }

        for (ulong i = 0; i < 4; i++)
        {
            Kernel.Frames.Bytes(new Pfn(first.Value + i)).Clear();
        }

        GuestMemfd Gmem(ulong count, GuestMemfdFlags flags)
        {
            // Kernels that do not know the flag have the file with a direct map.
            GuestMemfdFlags known = Options.Behavior == KernelBehavior.Proposed ? flags : flags & ~GuestMemfdFlags.NoDirectMap;
            _ = GuestMemfd.Create(Kernel, count << 12, known, out GuestMemfd? file);
            return Add(file!);
        }
    }

    private TFile Add<TFile>(TFile file)
        where TFile : MemoryFile
    {
        Files.Add(file);
        return file;
    }

    // Each begins a table of its own, so that its first fault needs a frame for that too.
    private void AddRegion(int pages, VmFlags flags, VmBacking? backing)
    {
        const ulong table = PageSize.Size2M;
        ulong start = Regions.Count == 0 ? Base : (Regions[^1].Page(Regions[^1].Pages).Value + table - 1) / table * table;
        int lastFrame = Regions.Count == 0 ? 0 : Regions[^1].FirstFrame + Regions[^1].Pages;
        int unit = pages < MostSmallPages ? MostSmallPages : (int)(table >> 12);
        WorldRegion region = new(Regions.Count, start, (lastFrame + unit - 1) / unit * unit, pages, flags, backing);
        Regions.Add(region);
        if (flags == VmFlags.None)
        {
            return;
        }

        Errno error = Vmm.Map(region.Page(0), (ulong)pages, flags, backing, 0, out _);
        if (error != Errno.None)
        {
            throw new InvalidOperationException($"{region} cannot be mapped: {error}");
        }
    }

    // One for each page of each range: those of files and drivers are not used but for copies on write.
    private ShadowPage[][] NewPages() =>
        [.. Regions.Select(region => Enumerable.Range(0, region.Pages).Select(page => new ShadowPage(((region.Index + 1) << IdentityShift) | page)).ToArray())];
}
