using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Where the boot protocol puts things in guest-virtual memory.</summary>
/// <remarks>
/// The supervisor's own pages lie in the last 16 MiB, above everything that is linked with <c>-mcmodel=kernel</c>, and within reach
/// of a sign-extended 32-bit displacement.
/// </remarks>
public static class BootAddresses
{
    /// <summary>The direct map: guest-physical address 0 appears here, as in Linux (<c>page_offset_base</c>).</summary>
    public static Gva DirectMap => new(0xffff_8880_0000_0000);

    /// <summary>The most guest-physical memory that the direct map has room for: 64 TiB.</summary>
    public const ulong DirectMapRoom = 64UL << 40;

    /// <summary>The size of the stack that an image starts on.</summary>
    public const ulong StackBytes = 1UL << 20;

    internal const ulong SmallStackBytes = 4 * PageSize.Size4K;
    internal const ulong UserEnd = 0x8000_0000_0000;

    internal static Gva Supervisor => new(0xffff_ffff_ff00_0000);

    internal static Gva Descriptors => Supervisor;

    internal static Gva SupervisorInformation => Supervisor + 0x1000;

    internal static Gva Shim => Supervisor + 0x2000;

    internal static Gva InterruptStackTop => Supervisor + 0x8000;

    internal static Gva SystemStackTop => Supervisor + 0xd000;

    internal static Gva SupervisorStackTop => Supervisor + 0x20_0000;

    /// <summary>The first byte that belongs to the image again; the last 14 MiB hold nothing.</summary>
    internal static Gva SupervisorLast => SupervisorStackTop + (PageSize.Size4K - 1);

    /// <summary>
    /// The last page below it is never mapped: a SYSCALL at its end would give SYSRET a return address that is not canonical.
    /// </summary>
    internal static Gva UserInformation => new(UserEnd - 2 * PageSize.Size4K);

    internal static Gva UserStackTop => UserInformation;
}
