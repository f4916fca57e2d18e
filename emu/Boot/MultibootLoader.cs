using System.Buffers.Binary;
using System.Text;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// Puts a multiboot image with its modules and boot information into guest memory, where QEMU's <c>-kernel</c> puts them: the memory map
/// at 0x9000, the information at 0x9500, and behind the image, each from a new page on, the module table with all texts, and the modules.
/// An image that lies on the map or the information, with its zeros too, overwrites them, as it does there.
/// </summary>
public static class MultibootLoader
{
    private const uint MapAddress = 0x9000, InformationAddress = 0x9500;
    private const int InformationBytes = 88, ModuleEntryBytes = 16, MapEntryBytes = 24;
    private const uint HasMemory = 1, HasBootDevice = 2, HasCommandLine = 4, HasModules = 8, HasMap = 0x40, HasLoaderName = 0x200;
    private const uint FirstHardDisk = 0x8000_ffff;
    private const ulong ExtendedStart = 0x10_0000, KiB = 1024;

    private static ReadOnlySpan<byte> LoaderName => "qemu\0"u8;

    /// <summary>Loads <paramref name="image"/> into a machine that has run nothing yet.</summary>
    /// <param name="machine">The machine; its RAM holds zeros.</param>
    /// <param name="image">The image.</param>
    /// <param name="path">The image's name, with which the command line begins.</param>
    /// <param name="arguments">The rest of the command line.</param>
    /// <param name="modules">The modules.</param>
    /// <returns>The state to start in.</returns>
    /// <exception cref="ImageFormatException">Image and modules do not fit into RAM.</exception>
    public static MultibootEntry Load(
        Machine machine, MultibootImage image, string path, string arguments = "", IReadOnlyList<MultibootModule>? modules = null)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(image);
        modules ??= [];
        if (machine.Options.RamBytes < PcMemoryMap.LeastRam)
        {
            throw new ImageFormatException($"a multiboot image needs 0x{PcMemoryMap.LeastRam:x} bytes of RAM at least: give the machine more");
        }

        IReadOnlyList<PcMemoryRange> map = PcMemoryMap.Make(machine.Options.RamBytes);
        byte[] commandLine = Text($"{path} {arguments}");
        ulong table = PageUp(image.End);
        ulong texts = table + (ulong)modules.Count * ModuleEntryBytes;
        ulong commandLineAt = texts + modules.Aggregate(0UL, (sum, module) => sum + (ulong)Text(module.CommandLine).Length);
        ulong loaderName = commandLineAt + (ulong)commandLine.Length;
        ulong firstModule = PageUp(loaderName + (ulong)LoaderName.Length);
        ulong end = modules.Aggregate(firstModule, (at, module) => PageUp(at + (ulong)module.Contents.Length));
        RequireRoom(end, Math.Min(machine.Options.RamBytes, PhysicalLayout.DeviceHole));

        WriteModules(machine, modules, table, texts, firstModule);
        machine.WriteMemory(new Gpa(commandLineAt), commandLine);
        machine.WriteMemory(new Gpa(loaderName), LoaderName);
        machine.WriteMemory(new Gpa(MapAddress), MapBytes(map));
        byte[] information = new byte[InformationBytes];
        Put(information, 0, HasMemory | HasBootDevice | HasCommandLine | HasModules | HasMap | HasLoaderName);
        Put(information, 4, PcMemoryMap.ConventionalBytes / KiB);
        Put(information, 8, map.First(range => range.Address == ExtendedStart).Length / KiB);
        Put(information, 12, FirstHardDisk);
        Put(information, 16, commandLineAt);
        Put(information, 20, (ulong)modules.Count);
        Put(information, 24, table);
        Put(information, 44, (ulong)map.Count * MapEntryBytes);
        Put(information, 48, MapAddress);
        Put(information, 64, loaderName);
        machine.WriteMemory(new Gpa(InformationAddress), information);
        foreach (MultibootSegment segment in image.Segments)
        {
            machine.WriteMemory(new Gpa(segment.Address), segment.Contents.Span);
            ClearBehind(machine, segment);
        }

        return new MultibootEntry(image.Entry, InformationAddress);
    }

    /// <summary>Zeros where a segment's memory goes on behind its contents and the boot information is; elsewhere RAM holds zeros already.</summary>
    private static void ClearBehind(Machine machine, MultibootSegment segment)
    {
        ulong start = Math.Max(segment.Address + (ulong)segment.Contents.Length, MapAddress);
        ulong end = Math.Min(segment.End, InformationAddress + InformationBytes);
        if (start < end)
        {
            machine.WriteMemory(new Gpa(start), new byte[end - start]);
        }
    }

    private static void RequireRoom(ulong end, ulong ram)
    {
        if (end > ram)
        {
            throw new ImageFormatException($"the image with its modules ends at 0x{end:x}, beyond the 0x{ram:x} bytes of RAM below 4 GiB: give the machine more");
        }
    }

    private static void WriteModules(Machine machine, IReadOnlyList<MultibootModule> modules, ulong table, ulong texts, ulong start)
    {
        byte[] entry = new byte[ModuleEntryBytes];
        foreach (MultibootModule module in modules)
        {
            byte[] text = Text(module.CommandLine);
            Put(entry, 0, start);
            Put(entry, 4, start + (ulong)module.Contents.Length);
            Put(entry, 8, texts);
            machine.WriteMemory(new Gpa(table), entry);
            machine.WriteMemory(new Gpa(texts), text);
            machine.WriteMemory(new Gpa(start), module.Contents.Span);
            table += ModuleEntryBytes;
            texts += (ulong)text.Length;
            start = PageUp(start + (ulong)module.Contents.Length);
        }
    }

    private static byte[] MapBytes(IReadOnlyList<PcMemoryRange> map)
    {
        byte[] bytes = new byte[map.Count * MapEntryBytes];
        for (int i = 0; i < map.Count; i++)
        {
            Span<byte> entry = bytes.AsSpan(i * MapEntryBytes, MapEntryBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(entry, MapEntryBytes - sizeof(uint));
            BinaryPrimitives.WriteUInt64LittleEndian(entry[4..], map[i].Address);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[12..], map[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[20..], map[i].IsUsable ? 1u : 2u);
        }

        return bytes;
    }

    private static byte[] Text(string text) => [.. Encoding.UTF8.GetBytes(text), 0];

    private static ulong PageUp(ulong address) => (address + PageSize.Size4K - 1) & ~PageSize.Mask4K;

    private static void Put(byte[] bytes, int at, ulong value) => BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), (uint)value);
}
