using System.Runtime.InteropServices;

namespace Quadwalk.Tests;

/// <summary>Descriptors in the test process's LDT, by modify_ldt(2).</summary>
internal static unsafe partial class LocalDescriptors
{
    /// <summary>Writable data with 32-bit stack operations, its limit in bytes.</summary>
    public const uint Data = 0b100_0001;

    /// <summary>16-bit code, its limit in pages.</summary>
    public const uint Code16 = 0b101_0100;

    private const long ModifyLdt = 154;
    private const int Write = 0x11;

    /// <summary>Sets an entry; false where the kernel does not.</summary>
    public static bool TrySet(int entry, uint start, uint limit, uint flags)
    {
        uint* descriptor = stackalloc uint[] { (uint)entry, start, limit, flags };
        return syscall(ModifyLdt, Write, descriptor, 4 * sizeof(uint)) == 0;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial long syscall(long number, long function, void* pointer, nuint bytes);
}
