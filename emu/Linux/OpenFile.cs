using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>An open file description: what descriptors, of one process or of several, refer to.</summary>
internal abstract class OpenFile(int flags)
{
    private int references;

    /// <summary>How it was opened, and what fcntl(F_SETFL) made of it.</summary>
    public int Flags { get; set; } = flags;

    /// <summary>Whether it was opened for reading.</summary>
    public bool MayRead => (Flags & OpenFlags.AccessMask) != OpenFlags.WriteOnly;

    /// <summary>Whether it was opened for writing.</summary>
    public bool MayWrite => (Flags & OpenFlags.AccessMask) != OpenFlags.ReadOnly;

    /// <summary>What fstat(2) says.</summary>
    public abstract HostFileStatus Status { get; }

    /// <summary>Whether reads and writes can be repeated at an offset.</summary>
    public virtual bool HasPosition => false;

    /// <summary>Reads at the position; EAGAIN where there is nothing yet.</summary>
    public virtual SyscallResult Read(Span<byte> destination) => LinuxErrno.EINVAL;

    /// <summary>Writes at the position; EAGAIN where there is no room yet.</summary>
    public virtual SyscallResult Write(ReadOnlySpan<byte> source) => LinuxErrno.EINVAL;

    /// <summary>Reads at an offset.</summary>
    public virtual SyscallResult ReadAt(ulong offset, Span<byte> destination) => LinuxErrno.ESPIPE;

    /// <summary>Writes at an offset.</summary>
    public virtual SyscallResult WriteAt(ulong offset, ReadOnlySpan<byte> source) => LinuxErrno.ESPIPE;

    /// <summary>Moves the position: lseek(2).</summary>
    public virtual SyscallResult Seek(long offset, int whence) => LinuxErrno.ESPIPE;

    /// <summary>Sets the length.</summary>
    public virtual SyscallResult Truncate(ulong length) => LinuxErrno.EINVAL;

    /// <summary>What could be done at once.</summary>
    public virtual PollEvents Poll() => PollEvents.In | PollEvents.Out;

    /// <summary>One descriptor more.</summary>
    public void Acquire() => references++;

    /// <summary>One descriptor less; the last closes the file.</summary>
    public void Release()
    {
        if (--references == 0)
        {
            Close();
        }
    }

    /// <summary>The last descriptor is gone.</summary>
    protected virtual void Close()
    {
    }

    /// <summary>The status of something that is in no file system.</summary>
    protected static HostFileStatus StatusOf(uint mode, uint major = 0, uint minor = 0) =>
        new() { Mode = mode, Links = 1, BlockSize = (uint)PageSize.Size4K, SpecialDevice = (major, minor), Inode = major << 8 | minor };
}
