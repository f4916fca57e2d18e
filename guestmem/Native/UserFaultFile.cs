using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quadwalk.GuestMemory;

/// <summary>userfaultfd(2), for the one thing that is wanted of it: entries that say that the hardware has lost a page.</summary>
internal sealed unsafe class UserFaultFile : SafeHandleMinusOneIsInvalid
{
    // include/uapi/linux/userfaultfd.h
    private const nint UserModeOnly = 1;
    private const nuint IoctlApi = 0xc018_aa3f;
    private const nuint IoctlRegister = 0xc020_aa00;
    private const nuint IoctlPoison = 0xc020_aa08;
    private const ulong Api = 0xaa;
    private const ulong FeaturePoison = 1 << 14;
    private const ulong RegisterMissing = 1;

    public UserFaultFile()
        : base(ownsHandle: true)
    {
    }

    /// <summary>Opens one that can poison, or returns null and the errno: EPERM where the host forbids it, EINVAL where it is older than 6.6.</summary>
    public static UserFaultFile? TryOpen(out Errno error)
    {
        nint number = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => 323,
            Architecture.Arm64 => 282,
            _ => 0,
        };
        if (!OperatingSystem.IsLinux() || number == 0)
        {
            error = Errno.ENOSYS;
            return null;
        }

        UserFaultFile file = new();
        file.SetHandle((int)Libc.SystemCall(number, Libc.OpenCloseOnExec | UserModeOnly));
        error = file.IsInvalid ? (Errno)Marshal.GetLastPInvokeError() : file.Ask(IoctlApi, Api, FeaturePoison, 0);
        if (error == Errno.None)
        {
            return file;
        }

        file.Dispose();
        return null;
    }

    /// <summary>Poisons pages of anonymous memory that were never touched.</summary>
    /// <param name="start">The first address; a multiple of 4096.</param>
    /// <param name="length">The length in bytes; a multiple of 4096.</param>
    public Errno Poison(Hva start, ulong length)
    {
        Errno error = Ask(IoctlRegister, start.Value, length, RegisterMissing, 0);
        return error == Errno.None ? Ask(IoctlPoison, start.Value, length, 0, 0) : error;
    }

    protected override bool ReleaseHandle() => Libc.Close((int)handle) == 0;

    private Errno Ask(nuint request, params ReadOnlySpan<ulong> words)
    {
        // SAFETY: the kernel reads and writes a structure of as many words, four at most.
        ulong* argument = stackalloc ulong[4];
        words.CopyTo(new Span<ulong>(argument, 4));
        return Libc.Control((int)handle, request, argument) == 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
    }
}
