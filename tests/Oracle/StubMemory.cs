using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Quadwalk.Tests;

/// <summary>
/// The mappings behind <see cref="HostProcessor"/>. Everything the stubs address lies in the low 2 GiB, so that a stub
/// reaches its data through a plain disp32 and stays the same wherever it is copied, and 32-bit addresses reach the scratch pages.
/// <code>
/// | stack reserve 256 KiB, RW | scratch, RW | guard | control, RW | guard | code, RX |      the same code, RW, elsewhere
/// </code>
/// The reserve is there for signals: the runtime suspends threads with one, and its frame and handler run on
/// whatever RSP holds, which may be a scratch address.
/// </summary>
internal sealed unsafe partial class StubMemory : IDisposable
{
    public const int PageSize = 0x1000;
    public const int ScratchSize = 3 * PageSize;
    public const int CodeSize = 4 << 20;
    private const int StackReserve = 256 << 10;
    private const int LowSize = StackReserve + ScratchSize + 3 * PageSize + CodeSize;

    private const int ProtNone = 0, ProtRead = 1, ProtWrite = 2, ProtExec = 4;
    private const int MapShared = 1, MapPrivate = 2, MapFixed = 0x10, MapAnonymous = 0x20, Map32Bit = 0x40;
    private const uint MfdCloexec = 1;

    private byte* low;
    private byte* writable;

    public StubMemory()
    {
        int file = memfd_create("quadwalk-oracle", MfdCloexec);
        ThrowIf(file < 0, "memfd_create");
        try
        {
            ThrowIf(ftruncate(file, CodeSize) != 0, "ftruncate");
            low = Map(null, LowSize, ProtNone, MapPrivate | MapAnonymous | Map32Bit, -1);
            Scratch = Map(low, StackReserve + ScratchSize, ProtRead | ProtWrite, MapPrivate | MapAnonymous | MapFixed, -1) + StackReserve;
            Control = Map(Scratch + ScratchSize + PageSize, PageSize, ProtRead | ProtWrite, MapPrivate | MapAnonymous | MapFixed, -1);
            Code = Map(Control + 2 * PageSize, CodeSize, ProtRead | ProtExec, MapShared | MapFixed, file);
            writable = Map(null, CodeSize, ProtRead | ProtWrite, MapShared, file);
        }
        catch
        {
            Unmap();
            throw;
        }
        finally
        {
            _ = close(file);
        }
    }

    ~StubMemory() => Unmap();

    /// <summary><see cref="ScratchSize"/> bytes, page-aligned.</summary>
    public byte* Scratch { get; }

    /// <summary>One page for what a stub must find without a register.</summary>
    public byte* Control { get; }

    /// <summary>Where the code runs.</summary>
    public byte* Code { get; }

    /// <summary>Where the same code is written.</summary>
    public Span<byte> WritableCode => new(writable, CodeSize);

    public void Dispose()
    {
        Unmap();
        GC.SuppressFinalize(this);
    }

    private void Unmap()
    {
        if (low != null)
        {
            _ = munmap(low, LowSize);
            low = null;
        }

        if (writable != null)
        {
            _ = munmap(writable, CodeSize);
            writable = null;
        }
    }

    private static byte* Map(byte* address, int size, int protection, int flags, int file)
    {
        byte* mapped = mmap(address, (nuint)size, protection, flags, file, 0);
        ThrowIf((nint)mapped == -1, "mmap");
        return mapped;
    }

    private static void ThrowIf(bool failed, string call)
    {
        if (failed)
        {
            int error = Marshal.GetLastPInvokeError();
            throw new Win32Exception(error, $"{call}: {Marshal.GetPInvokeErrorMessage(error)}");
        }
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int memfd_create(string name, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ftruncate(int file, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial byte* mmap(byte* address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(byte* address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int file);
}
