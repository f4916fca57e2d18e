using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>/dev/null, /dev/zero, /dev/full, /dev/random and /dev/urandom.</summary>
internal sealed class DeviceFile : OpenFile
{
    private const uint MemoryMajor = 1;

    private readonly Kind kind;
    private readonly SeededBytes random;

    private DeviceFile(Kind kind, SeededBytes random, int flags)
        : base(flags)
    {
        this.kind = kind;
        this.random = random;
    }

    /// <summary>Device numbers (Documentation/admin-guide/devices.txt).</summary>
    private enum Kind : uint
    {
        Null = 3,
        Zero = 5,
        Full = 7,
        Random = 8,
        Urandom = 9,
    }

    /// <inheritdoc/>
    public override HostFileStatus Status => StatusOf(FileType.Character | 0x1b6, MemoryMajor, (uint)kind);

    /// <summary>The device of a name, or null.</summary>
    public static DeviceFile? TryOpen(string path, SeededBytes random, int flags) => path switch
    {
        "/dev/null" => new DeviceFile(Kind.Null, random, flags),
        "/dev/zero" => new DeviceFile(Kind.Zero, random, flags),
        "/dev/full" => new DeviceFile(Kind.Full, random, flags),
        "/dev/random" => new DeviceFile(Kind.Random, random, flags),
        "/dev/urandom" => new DeviceFile(Kind.Urandom, random, flags),
        _ => null,
    };

    /// <inheritdoc/>
    public override SyscallResult Read(Span<byte> destination)
    {
        switch (kind)
        {
            case Kind.Null:
                return 0;
            case Kind.Zero or Kind.Full:
                destination.Clear();
                return destination.Length;
            default:
                random.Fill(destination);
                return destination.Length;
        }
    }

    /// <inheritdoc/>
    public override SyscallResult Write(ReadOnlySpan<byte> source) => kind == Kind.Full ? LinuxErrno.ENOSPC : source.Length;

    /// <inheritdoc/>
    public override SyscallResult ReadAt(ulong offset, Span<byte> destination) => Read(destination);

    /// <inheritdoc/>
    public override SyscallResult WriteAt(ulong offset, ReadOnlySpan<byte> source) => Write(source);

    /// <inheritdoc/>
    public override SyscallResult Seek(long offset, int whence) => 0;
}
