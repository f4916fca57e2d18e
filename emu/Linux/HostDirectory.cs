using System.Buffers.Binary;
using System.Text;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A folder of the host, its entries in order of their names, as it was when it was first read.</summary>
internal sealed class HostDirectory(HostPath place, HostPaths paths, int flags) : OpenFile(flags)
{
    private const int EntryHeader = 19;
    private const int MostEntries = 1 << 16;

    private List<(string Name, byte[] Bytes)>? entries;
    private int position;

    /// <summary>Where it is.</summary>
    public HostPath Place { get; } = place;

    /// <inheritdoc/>
    public override HostFileStatus Status => Place.TryStatus(out HostFileStatus status) is null ? status : default;

    /// <inheritdoc/>
    public override SyscallResult Read(Span<byte> destination) => LinuxErrno.EISDIR;

    /// <inheritdoc/>
    public override SyscallResult Seek(long offset, int whence)
    {
        if (whence != 0 || offset is < 0 or > MostEntries + 2)
        {
            return LinuxErrno.EINVAL;
        }

        position = (int)offset;
        entries = offset == 0 ? null : entries;
        return offset;
    }

    /// <summary>Fills a buffer with <c>linux_dirent64</c> records: getdents64(2).</summary>
    public SyscallResult ReadEntries(Span<byte> destination)
    {
        if (entries is null && List() is { } error)
        {
            return error;
        }

        int done = 0;
        for (; position < entries!.Count; position++)
        {
            (string name, byte[] bytes) = entries[position];
            int length = (EntryHeader + bytes.Length + 1 + 7) & ~7;
            if (length > destination.Length - done)
            {
                return done == 0 ? LinuxErrno.EINVAL : done;
            }

            string path = name is "." or ".." ? Place.Path : $"{Place.Path}/{name}";
            HostFileStatus.TryRead(path, follow: false, out HostFileStatus status);
            Span<byte> record = destination.Slice(done, length);
            record.Clear();
            BinaryPrimitives.WriteUInt64LittleEndian(record, status.Inode);
            BinaryPrimitives.WriteInt64LittleEndian(record[8..], position + 1);
            BinaryPrimitives.WriteUInt16LittleEndian(record[16..], (ushort)length);
            record[18] = (byte)(status.Mode >> 12);
            bytes.CopyTo(record[EntryHeader..]);
            done += length;
        }

        return done;
    }

    private LinuxErrno? List()
    {
        List<string> names = [];
        try
        {
            foreach (FileSystemInfo info in new DirectoryInfo(Place.Path).EnumerateFileSystemInfos())
            {
                if (names.Count == MostEntries)
                {
                    return LinuxErrno.ENOMEM;
                }

                if (paths.Shows(Place, info.Name))
                {
                    names.Add(info.Name);
                }
            }
        }
        catch (Exception e) when (HostErrors.TryTell(e, out LinuxErrno error))
        {
            return error;
        }

        names.Sort(StringComparer.Ordinal);
        entries = [.. names.Prepend("..").Prepend(".").Select(name => (name, Encoding.UTF8.GetBytes(name)))];
        return null;
    }
}
