using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// The Linux system calls that hold guest memory, reach it without a signal, and describe files. Each returns what the C library returns and
/// leaves errno to the caller.
/// </summary>
internal static partial class Libc
{
    public const uint MfdCloseOnExec = 1;
    public const nint OpenCloseOnExec = 0x80000;
    public const int ProtNone = 0;
    public const int ProtRead = 1;
    public const int ProtWrite = 2;
    public const int ProtExec = 4;
    public const int MapShared = 0x01;
    public const int MapPrivate = 0x02;
    public const int MapFixed = 0x10;
    public const int MapAnonymous = 0x20;
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

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    public static partial int Protect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    public static unsafe partial int SignalAction(int signal, void* action, void* previous);

    [LibraryImport("libc", EntryPoint = "process_vm_readv", SetLastError = true)]
    public static unsafe partial nint ProcessRead(int process, IoVector* local, nuint locals, IoVector* remote, nuint remotes, nuint flags);

    [LibraryImport("libc", EntryPoint = "process_vm_writev", SetLastError = true)]
    public static unsafe partial nint ProcessWrite(int process, IoVector* local, nuint locals, IoVector* remote, nuint remotes, nuint flags);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int file);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static unsafe partial int Statx(int folder, string path, int flags, uint mask, void* status);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    public static partial nint SystemCall(nint number, nint argument);

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    public static unsafe partial int Pipe(int* ends, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int file, ulong address, nuint length);

    [LibraryImport("libc", EntryPoint = "vmsplice", SetLastError = true)]
    public static unsafe partial nint Splice(int pipe, IoVector* vectors, nuint count, uint flags);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    public static partial int Advise(ulong address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static unsafe partial int Control(int file, nuint request, void* argument);

    /// <summary><c>struct iovec</c>: an address and a length in bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct IoVector(ulong address, nuint length)
    {
        public ulong Address = address;
        public nuint Length = length;
    }
}
