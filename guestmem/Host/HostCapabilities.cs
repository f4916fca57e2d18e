using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>What this host offers to an emulator, as <c>quadwalk info</c> prints it. Nothing is left behind by asking.</summary>
/// <param name="OperatingSystem">The name and version of the operating system or distribution.</param>
/// <param name="KernelVersion">The version of the kernel.</param>
/// <param name="Runtime">The name and version of the .NET runtime.</param>
/// <param name="Architecture">What this process runs on, emulated or not.</param>
/// <param name="PageSize">The size of a host page, in bytes.</param>
/// <param name="ProcessorCount">The number of processors this process may use.</param>
/// <param name="MemoryBytes">How much memory this process may use, after container limits.</param>
/// <param name="Memfd">Whether guest memory can be a memfd, and so be mapped more than once.</param>
/// <param name="MemfdSecret">Whether memfd_secret(2) can take memory out of the kernel's direct map.</param>
/// <param name="PoisonedPages">Whether userfaultfd(2) can make a page of this process one that the hardware has lost.</param>
/// <param name="NofaultCopy">How an address that may be gone is read here.</param>
/// <param name="Processor">The host processor.</param>
public sealed record HostCapabilities(
    string OperatingSystem,
    Version KernelVersion,
    string Runtime,
    Architecture Architecture,
    int PageSize,
    int ProcessorCount,
    ulong MemoryBytes,
    bool Memfd,
    bool MemfdSecret,
    bool PoisonedPages,
    NofaultMechanism NofaultCopy,
    HostProcessorInfo Processor)
{
    /// <summary>Asks the host.</summary>
    public static HostCapabilities Probe() => new(
        RuntimeInformation.OSDescription,
        Environment.OSVersion.Version,
        RuntimeInformation.FrameworkDescription,
        RuntimeInformation.ProcessArchitecture,
        Environment.SystemPageSize,
        Environment.ProcessorCount,
        (ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        MemfdHandle.IsSupported,
        ProbeMemfdSecret(),
        ProbePoison(),
        GuestMemory.NofaultCopy.Mechanism,
        HostProcessorInfo.Probe());

    private static bool ProbePoison()
    {
        using HostPage? page = HostPage.TryMake(HostPageKind.Poisoned, out _);
        return page is not null;
    }

    // memfd_secret answers ENOSYS where it is missing or switched off, before it looks at its flags (mm/secretmem.c): flags that
    // it does not know tell the two apart and make no file.
    private static bool ProbeMemfdSecret() =>
        System.OperatingSystem.IsLinux() && Environment.Is64BitProcess
        && Libc.SystemCall(Libc.SysMemfdSecret, 1) == -1 && Marshal.GetLastPInvokeError() == (int)Errno.EINVAL;
}
