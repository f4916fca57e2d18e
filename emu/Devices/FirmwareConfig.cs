using System.Buffers.Binary;
using System.Text;

namespace Quadwalk.Emulation;

/// <summary>
/// QEMU's firmware configuration device, fw_cfg: a selector at port 0x510, and at 0x511 the selected item, byte by byte
/// (QEMU's <c>docs/specs/fw_cfg</c>). Reading past the end of an item, or one that is not there, gives zeros. It has no DMA.
/// </summary>
public sealed class FirmwareConfig : IPortDevice
{
    /// <summary>The usual first port.</summary>
    public const ushort Port = 0x510;

    /// <summary>The longest name of a file.</summary>
    public const int LongestName = 55;

    private const ushort WriteChannel = 0x4000;
    private const int DirectoryEntryBytes = 64, NameAt = 8;

    private readonly Dictionary<ushort, ReadOnlyMemory<byte>> items = [];
    private readonly List<byte> directory = [0, 0, 0, 0];
    private ushort nextFile = (ushort)FirmwareConfigKey.FirstFile;
    private ReadOnlyMemory<byte> rest;

    /// <summary>Makes a device with the items that tell what machine it is in.</summary>
    /// <param name="ramBytes">RAM in bytes.</param>
    /// <param name="processors">How many processors there are.</param>
    public FirmwareConfig(ulong ramBytes, int processors)
    {
        Add(FirmwareConfigKey.Signature, "QEMU"u8.ToArray());
        Add(FirmwareConfigKey.Id, 1u);
        Add(FirmwareConfigKey.RamSize, ramBytes);
        Add(FirmwareConfigKey.NoGraphic, (ushort)1);
        Add(FirmwareConfigKey.Processors, (ushort)processors);
        Add(FirmwareConfigKey.MostProcessors, (ushort)processors);
        Add(FirmwareConfigKey.Irq0Override, 1u);
        Add(FirmwareConfigKey.FileDirectory, new byte[4]);
    }

    /// <inheritdoc/>
    public int PortCount => 2;

    /// <inheritdoc/>
    public int MaximumPortWidth => 2;

    /// <summary>Adds or replaces an item; <paramref name="contents"/> must not change afterwards.</summary>
    public void Add(FirmwareConfigKey key, ReadOnlyMemory<byte> contents) => items[(ushort)key] = contents;

    /// <summary>Adds or replaces an item of 16 bits.</summary>
    public void Add(FirmwareConfigKey key, ushort value)
    {
        byte[] bytes = new byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, value);
        Add(key, bytes);
    }

    /// <summary>Adds or replaces an item of 32 bits.</summary>
    public void Add(FirmwareConfigKey key, uint value)
    {
        byte[] bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Add(key, bytes);
    }

    /// <summary>Adds or replaces an item of 64 bits.</summary>
    public void Add(FirmwareConfigKey key, ulong value)
    {
        byte[] bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        Add(key, bytes);
    }

    /// <summary>Adds a file, which gets a selector and an entry in the directory.</summary>
    /// <param name="name">Its name: ASCII, at most <see cref="LongestName"/> characters.</param>
    /// <param name="contents">What it holds, which must not change afterwards.</param>
    /// <exception cref="ArgumentException">The name is too long or not ASCII, or there is no selector left.</exception>
    public void AddFile(string name, ReadOnlyMemory<byte> contents)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Length > LongestName || !Ascii.IsValid(name) || nextFile == WriteChannel)
        {
            throw new ArgumentException($"a file of this device has an ASCII name of at most {LongestName} characters: '{name}'", nameof(name));
        }

        byte[] entry = new byte[DirectoryEntryBytes];
        BinaryPrimitives.WriteUInt32BigEndian(entry, (uint)contents.Length);
        BinaryPrimitives.WriteUInt16BigEndian(entry.AsSpan(4), nextFile);
        Encoding.ASCII.GetBytes(name, entry.AsSpan(NameAt));
        directory.AddRange(entry);
        byte[] bytes = [.. directory];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)(bytes.Length / DirectoryEntryBytes));
        Add(FirmwareConfigKey.FileDirectory, bytes);
        items[nextFile] = contents;
        nextFile++;
    }

    /// <summary>Reads the next bytes of the selected item, whichever of the ports is read.</summary>
    public uint ReadPort(int offset, int width)
    {
        uint value = 0;
        for (int i = 0; i < width && !rest.IsEmpty; i++)
        {
            value |= (uint)rest.Span[0] << (8 * i);
            rest = rest[1..];
        }

        return value;
    }

    /// <summary>A write of 16 bits to the selector selects an item from its beginning. Any other write is ignored.</summary>
    public void WritePort(int offset, int width, uint value)
    {
        if (offset == 0 && width == 2)
        {
            rest = items.GetValueOrDefault((ushort)(value & ~(uint)WriteChannel));
        }
    }
}
