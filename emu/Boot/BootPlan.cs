using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>What is mapped where for an image in a ring, and how much RAM that takes. Planning writes nothing.</summary>
internal sealed class BootPlan
{
    private const PageRights SupervisorData = PageRights.Write | PageRights.NoExecute | PageRights.Global;

    private BootPlan(List<BootRange> ranges, (ulong Start, ulong End)? ownRam, ulong ramBytes)
    {
        ranges.Sort((a, b) => a.Gva.Value.CompareTo(b.Gva.Value));
        Ranges = ranges;
        OwnRam = ownRam;
        ulong frames = TableBudget.Frames(ranges) * PageSize.Size4K;
        foreach (BootRange range in ranges)
        {
            frames += range.FrameBytes;
        }

        FrameBytes = frames;
        RamBytes = ramBytes;
    }

    /// <summary>The mappings in ascending order of address.</summary>
    public IReadOnlyList<BootRange> Ranges { get; }

    /// <summary>The RAM, as offsets, that an image at fixed guest-physical addresses occupies.</summary>
    public (ulong Start, ulong End)? OwnRam { get; }

    /// <summary>The bytes of RAM taken from the allocator, page tables included.</summary>
    public ulong FrameBytes { get; }

    /// <summary>The RAM planned for.</summary>
    public ulong RamBytes { get; }

    /// <summary>Plans for <paramref name="ramBytes"/> of RAM, which may turn out to be too little.</summary>
    /// <exception cref="ImageFormatException">A segment lies where it cannot.</exception>
    public static BootPlan Make(GuestImage image, int ring, ulong ramBytes)
    {
        List<BootRange> ranges = [];
        bool identity = image is FlatImage && ring == 0 && image.Entry.Value < BootAddresses.UserEnd;
        AddDirectMap(ranges, ramBytes);
        AddSupervisor(ranges, ring);
        if (ring == 3)
        {
            AddProcess(ranges);
        }

        if (identity)
        {
            AddIdentityMap(ranges, ramBytes);
            return new BootPlan(ranges, OwnRamOf(image.Segments[0]), ramBytes);
        }

        SegmentPages.Add(ranges, image.Segments, ring);
        return new BootPlan(ranges, null, ramBytes);
    }

    /// <summary>The part of RAM to allocate from: the larger side of an image that occupies RAM of its own.</summary>
    /// <param name="start">Its first byte, as an offset into RAM.</param>
    /// <param name="end">Its end.</param>
    /// <returns>Whether the plan fits in it.</returns>
    public bool TryChooseRoom(out ulong start, out ulong end)
    {
        start = Math.Min(BootFrames.Start, RamBytes);
        end = RamBytes;
        if (OwnRam is not { } own)
        {
            return FrameBytes <= end - start;
        }

        if (own.End > RamBytes)
        {
            return false;
        }

        ulong above = Math.Max(own.End, start);
        if (own.Start > start && own.Start - start > end - above)
        {
            end = own.Start;
        }
        else
        {
            start = above;
        }

        return FrameBytes <= end - start;
    }

    private static (ulong Start, ulong End) OwnRamOf(ImageSegment segment)
    {
        ulong first = segment.Address.Value & ~PageSize.Mask4K;
        ulong end = (segment.Last.Value | PageSize.Mask4K) + 1;
        if (first < PhysicalLayout.HighRam && end > PhysicalLayout.DeviceHole)
        {
            throw new ImageFormatException(
                $"the flat image at {segment.Address} (ending at {segment.Last}) reaches into the devices from 0x{PhysicalLayout.DeviceHole:x} to 4 GiB: load it at another address");
        }

        ulong hole = first < PhysicalLayout.HighRam ? 0 : PhysicalLayout.HoleBytes;
        return (first - hole, end - hole);
    }

    private static void AddDirectMap(List<BootRange> ranges, ulong ramBytes)
    {
        Map(0, PhysicalLayout.DeviceHole, SupervisorData);
        Map(PhysicalLayout.DeviceHole, PhysicalLayout.HighRam, SupervisorData | PageRights.CacheDisable);
        ulong end = (PhysicalLayout.End(ramBytes) + (PageSize.Size2M - 1)) & ~(PageSize.Size2M - 1);
        if (end > PhysicalLayout.HighRam)
        {
            Map(PhysicalLayout.HighRam, end, SupervisorData);
        }

        void Map(ulong from, ulong to, PageRights rights) =>
            ranges.Add(new BootRange("direct map", BootAddresses.DirectMap + from, to - from, rights, new Gpa(from), PageSize.Shift2M));
    }

    private static void AddIdentityMap(List<BootRange> ranges, ulong ramBytes)
    {
        Map(0, Math.Min(ramBytes, PhysicalLayout.DeviceHole));
        if (ramBytes > PhysicalLayout.DeviceHole)
        {
            Map(PhysicalLayout.HighRam, PhysicalLayout.End(ramBytes));
        }

        void Map(ulong from, ulong to) =>
            ranges.Add(new BootRange("identity map", new Gva(from), to - from, PageRights.Write, new Gpa(from), PageSize.Shift2M));
    }

    private static void AddSupervisor(List<BootRange> ranges, int ring)
    {
        ranges.Add(new BootRange("descriptor tables", BootAddresses.Descriptors, PageSize.Size4K, SupervisorData));
        ranges.Add(new BootRange("shim", BootAddresses.Shim, PageSize.Size4K, PageRights.Global));
        AddStack(ranges, "interrupt stack", BootAddresses.InterruptStackTop, BootAddresses.SmallStackBytes, SupervisorData);
        AddStack(ranges, "system stack", BootAddresses.SystemStackTop, BootAddresses.SmallStackBytes, SupervisorData);
        if (ring == 0)
        {
            ranges.Add(new BootRange(
                "boot information", BootAddresses.SupervisorInformation, PageSize.Size4K, PageRights.NoExecute | PageRights.Global));
            AddStack(ranges, "stack", BootAddresses.SupervisorStackTop, BootAddresses.StackBytes, SupervisorData);
        }
    }

    private static void AddProcess(List<BootRange> ranges)
    {
        ranges.Add(new BootRange("boot information", BootAddresses.UserInformation, PageSize.Size4K, PageRights.NoExecute | PageRights.User));
        AddStack(
            ranges, "stack", BootAddresses.UserStackTop, BootAddresses.StackBytes, PageRights.Write | PageRights.NoExecute | PageRights.User);
    }

    private static void AddStack(List<BootRange> ranges, string name, Gva top, ulong bytes, PageRights rights) =>
        ranges.Add(new BootRange(name, new Gva(top.Value - bytes), bytes, rights));
}
