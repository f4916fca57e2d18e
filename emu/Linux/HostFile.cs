using Microsoft.Win32.SafeHandles;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A regular file of the host.</summary>
internal sealed class HostFile(SafeFileHandle handle, string path, int flags, Action closed) : OpenFile(flags), IPageSource
{
    private ulong position;

    /// <summary>Its name when it was opened.</summary>
    public string Path { get; } = path;

    /// <inheritdoc/>
    public override bool HasPosition => true;

    /// <inheritdoc/>
    public override HostFileStatus Status => HostFileStatus.TryRead(handle, out HostFileStatus status) == Errno.None ? status : default;

    private ulong Length => (ulong)RandomAccess.GetLength(handle);

    /// <inheritdoc/>
    public override SyscallResult Read(Span<byte> destination)
    {
        SyscallResult result = ReadAt(position, destination);
        position += result.Failed ? 0 : (ulong)result.Value;
        return result;
    }

    /// <inheritdoc/>
    public override SyscallResult Write(ReadOnlySpan<byte> source)
    {
        position = (Flags & OpenFlags.Append) != 0 ? Length : position;
        SyscallResult result = WriteAt(position, source);
        position += result.Failed ? 0 : (ulong)result.Value;
        return result;
    }

    /// <inheritdoc/>
    public override SyscallResult ReadAt(ulong offset, Span<byte> destination)
    {
        if (offset > long.MaxValue)
        {
            return LinuxErrno.EINVAL;
        }

        try
        {
            return RandomAccess.Read(handle, destination, (long)offset);
        }
        catch (Exception e) when (HostErrors.TryTell(e, out LinuxErrno error))
        {
            return error;
        }
    }

    /// <inheritdoc/>
    public override SyscallResult WriteAt(ulong offset, ReadOnlySpan<byte> source)
    {
        if (offset > (ulong)(long.MaxValue - source.Length))
        {
            return LinuxErrno.EFBIG;
        }

        try
        {
            RandomAccess.Write(handle, source, (long)offset);
            return source.Length;
        }
        catch (Exception e) when (HostErrors.TryTell(e, out LinuxErrno error))
        {
            return error;
        }
    }

    /// <inheritdoc/>
    public override SyscallResult Seek(long offset, int whence)
    {
        ulong? origin = whence switch { 0 => 0, 1 => position, 2 => Length, _ => null };
        if (origin is not { } from || (Int128)from + offset < 0 || (Int128)from + offset > long.MaxValue)
        {
            return LinuxErrno.EINVAL;
        }

        position = from + (ulong)offset;
        return (long)position;
    }

    /// <inheritdoc/>
    public override SyscallResult Truncate(ulong length)
    {
        if (length > long.MaxValue)
        {
            return LinuxErrno.EINVAL;
        }

        try
        {
            RandomAccess.SetLength(handle, (long)length);
            return 0;
        }
        catch (Exception e) when (HostErrors.TryTell(e, out LinuxErrno error))
        {
            return error;
        }
    }

    /// <inheritdoc/>
    public int ReadPage(ulong offset, Span<byte> page) => (int)ReadAt(offset, page).Value;

    /// <inheritdoc/>
    public void Attach() => Acquire();

    /// <inheritdoc/>
    public void Detach() => Release();

    /// <inheritdoc/>
    protected override void Close()
    {
        handle.Dispose();
        closed();
    }
}
