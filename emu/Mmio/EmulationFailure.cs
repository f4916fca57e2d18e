using System.Globalization;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>What kept the hypervisor from emulating an instruction.</summary>
public enum EmulationFailureKind
{
    /// <summary>
    /// The instruction's bytes are out of reach. The guest gets #UD; at CPL 0 the machine stops first, as KVM does with
    /// KVM_INTERNAL_ERROR_EMULATION (<c>handle_emulation_failure</c>).
    /// </summary>
    Fetch,

    /// <summary>
    /// Bytes of an operand are out of reach although a memslot covers them. KVM makes an MMIO exit to its user of this
    /// (<c>emulator_read_write_onepage</c>).
    /// </summary>
    Memory,

    /// <summary>A device said <see cref="MmioOutcome.Failed"/>.</summary>
    Device,
}

/// <summary>An instruction that the hypervisor could not emulate; nothing of it has happened but for what devices did before.</summary>
/// <param name="Kind">What kept it from it.</param>
/// <param name="Rip">Where the instruction is: an offset in CS.</param>
/// <param name="Cpl">The privilege level it ran at.</param>
/// <param name="Address">The first address that was out of reach, or the device's.</param>
/// <param name="Width">How many bytes were wanted there.</param>
/// <param name="Access">What was wanted.</param>
/// <param name="Status">What the access path said; <see cref="GuestAccessStatus.NoSlot"/> for a device.</param>
public sealed record EmulationFailure(
    EmulationFailureKind Kind, ulong Rip, byte Cpl, Gpa Address, int Width, AccessKind Access, GuestAccessStatus Status)
{
    /// <summary>One sentence on it.</summary>
    public override string ToString()
    {
        string wanted = Access switch { AccessKind.Write => "write", AccessKind.Execute => "fetch", _ => "read" };
        string what = string.Create(CultureInfo.InvariantCulture, $"the hypervisor cannot emulate the instruction at 0x{Rip:x}: its {wanted} of {Width} bytes at guest-physical {Address}");
        return Kind switch
        {
            EmulationFailureKind.Device => $"{what} failed in the device",
            _ when Status == GuestAccessStatus.NoSlot => $"{what} lies in no memslot",
            _ => $"{what} is out of the access path's reach (-EFAULT)",
        };
    }
}
