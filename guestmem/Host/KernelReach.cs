using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>
/// Whether the host's own kernel reaches a byte of this process, by each of the ways that it has: what the modelled one is compared with.
/// Linux only; no way leaves a mark in the memory.
/// </summary>
public static unsafe class KernelReach
{
    private const int MadvPopulateRead = 22;

    /// <summary>copy_from_user: what the kernel reads for write(2), through the process's own mapping.</summary>
    /// <param name="address">The byte's address.</param>
    /// <returns>EFAULT or none.</returns>
    public static Errno CopyFromUser(Hva address) => ThroughPipe(pipe => Libc.Write(pipe, address.Value, 1));

    /// <summary>get_user_pages_fast, which vmsplice(2) asks for the page.</summary>
    /// <param name="address">The byte's address.</param>
    /// <returns>EFAULT or none.</returns>
    public static Errno GupFast(Hva address) => ThroughPipe(pipe =>
    {
        Libc.IoVector byteAt = new(address.Value, 1);
        return Libc.Splice(pipe, &byteAt, 1, 0);
    });

    /// <summary>pin_user_pages_remote, as process_vm_readv(2) calls it: ranges, then faults.</summary>
    /// <param name="address">The byte's address.</param>
    /// <returns>EFAULT or none.</returns>
    public static Errno GupSlow(Hva address)
    {
        byte copy;
        Libc.IoVector own = new((ulong)&copy, 1);
        Libc.IoVector other = new(address.Value, 1);
        return ErrorOf(Libc.ProcessRead(Environment.ProcessId, &own, 1, &other, 1, 0));
    }

    /// <summary>GUP with FOLL_HWPOISON, as madvise(MADV_POPULATE_READ) calls it.</summary>
    /// <param name="address">An address in the page.</param>
    /// <returns>EHWPOISON for a page that the hardware has lost; EINVAL for a range that GUP refuses; else none.</returns>
    public static Errno GupHwPoison(Hva address) => ErrorOf(Libc.Advise(address.Page.Value, (nuint)PageSize.Size4K, MadvPopulateRead));

    private static Errno ThroughPipe(Func<int, nint> write)
    {
        int* ends = stackalloc int[2];
        if (Libc.Pipe(ends, (int)Libc.OpenCloseOnExec) != 0)
        {
            throw new HostMemoryException("the host has no pipe left", (Errno)Marshal.GetLastPInvokeError());
        }

        try
        {
            return ErrorOf(write(ends[1]));
        }
        finally
        {
            _ = Libc.Close(ends[0]);
            _ = Libc.Close(ends[1]);
        }
    }

    private static Errno ErrorOf(nint result) => result >= 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
}
