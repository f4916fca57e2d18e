using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>A time as files have it: seconds since 1970, and nanoseconds.</summary>
/// <param name="Seconds">Seconds.</param>
/// <param name="Nanoseconds">0 to 999,999,999.</param>
public readonly record struct HostFileTime(long Seconds, uint Nanoseconds);

/// <summary>What the host knows of a file: statx(2).</summary>
public readonly record struct HostFileStatus
{
    private const int StatusSize = 256, CurrentFolder = -100, EmptyPath = 0x1000, NoFollow = 0x100;
    private const uint BasicStatus = 0x7ff;

    /// <summary>The type in bits 12 to 15, and the permissions.</summary>
    public uint Mode { get; init; }

    /// <summary>The inode.</summary>
    public ulong Inode { get; init; }

    /// <summary>How many names it has.</summary>
    public uint Links { get; init; }

    /// <summary>The owner.</summary>
    public uint Owner { get; init; }

    /// <summary>The owner's group.</summary>
    public uint Group { get; init; }

    /// <summary>The size in bytes.</summary>
    public ulong Size { get; init; }

    /// <summary>The 512-byte blocks it occupies.</summary>
    public ulong Blocks { get; init; }

    /// <summary>What to read and write at a time.</summary>
    public uint BlockSize { get; init; }

    /// <summary>The last access.</summary>
    public HostFileTime Accessed { get; init; }

    /// <summary>The last change of contents.</summary>
    public HostFileTime Modified { get; init; }

    /// <summary>The last change of anything.</summary>
    public HostFileTime Changed { get; init; }

    /// <summary>The device it is on: major and minor number.</summary>
    public (uint Major, uint Minor) Device { get; init; }

    /// <summary>The device that it is, for a device file.</summary>
    public (uint Major, uint Minor) SpecialDevice { get; init; }

    /// <summary>Looks at a name, and follows it where it is a symbolic link and <paramref name="follow"/> is set.</summary>
    /// <param name="path">The name.</param>
    /// <param name="follow">Whether to follow a link.</param>
    /// <param name="status">What is there.</param>
    /// <returns>The host's answer; ENOSYS on other systems than Linux.</returns>
    public static Errno TryRead(string path, bool follow, out HostFileStatus status)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return TryRead(CurrentFolder, path, follow ? 0 : NoFollow, out status);
    }

    /// <summary>Looks at an open file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="status">What it is.</param>
    /// <returns>The host's answer; ENOSYS on other systems than Linux.</returns>
    public static Errno TryRead(SafeHandle file, out HostFileStatus status)
    {
        ArgumentNullException.ThrowIfNull(file);
        bool held = false;
        try
        {
            file.DangerousAddRef(ref held);
            return TryRead((int)file.DangerousGetHandle(), "", EmptyPath, out status);
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
        }
    }

    private static unsafe Errno TryRead(int folder, string path, int flags, out HostFileStatus status)
    {
        status = default;
        if (!OperatingSystem.IsLinux())
        {
            return Errno.ENOSYS;
        }

        // SAFETY: struct statx has 256 bytes (include/uapi/linux/stat.h).
        byte* raw = stackalloc byte[StatusSize];
        if (Libc.Statx(folder, path, flags, BasicStatus, raw) != 0)
        {
            return (Errno)Marshal.GetLastPInvokeError();
        }

        status = Parse(new ReadOnlySpan<byte>(raw, StatusSize));
        return Errno.None;
    }

    private static HostFileStatus Parse(ReadOnlySpan<byte> raw) => new()
    {
        BlockSize = Word(raw, 4),
        Links = Word(raw, 16),
        Owner = Word(raw, 20),
        Group = Word(raw, 24),
        Mode = BinaryPrimitives.ReadUInt16LittleEndian(raw[28..]),
        Inode = Long(raw, 32),
        Size = Long(raw, 40),
        Blocks = Long(raw, 48),
        Accessed = Time(raw, 64),
        Changed = Time(raw, 96),
        Modified = Time(raw, 112),
        SpecialDevice = (Word(raw, 128), Word(raw, 132)),
        Device = (Word(raw, 136), Word(raw, 140)),
    };

    private static uint Word(ReadOnlySpan<byte> raw, int at) => BinaryPrimitives.ReadUInt32LittleEndian(raw[at..]);

    private static ulong Long(ReadOnlySpan<byte> raw, int at) => BinaryPrimitives.ReadUInt64LittleEndian(raw[at..]);

    private static HostFileTime Time(ReadOnlySpan<byte> raw, int at) => new((long)Long(raw, at), Word(raw, at + 8));
}
