using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>The Linux system calls that hold guest memory, and the one that describes files. Each returns what the C library returns and leaves errno to the caller.</summary>
internal static partial class Libc
{
    public const uint MfdCloseOnExec = 1;
    public const int ProtRead = 1;
    public const int ProtWrite = 2;
    public const int MapShared = 0x01;
    public const int MapNoReserve = 0x4000;
    public const nint MapFailed = -1;

    /// <summary>The number of memfd_secret in the table that all architectures but Alpha share since Linux 5.14.</summary>
    public const nint SysMemfdSecret = 447;

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int Truncate(MemfdHandle file, long length);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nuint length, int protection, int flags, MemfdHandle file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int file);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static unsafe partial int Statx(int folder, string path, int flags, uint mask, void* status);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    public static partial nint SystemCall(nint number, nint argument);
}
