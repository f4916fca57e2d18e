using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>What an image finds at its entry, and where.</summary>
/// <param name="Entry">The first instruction.</param>
/// <param name="Ring">The privilege level: 0 or 3.</param>
/// <param name="Cr3">CR3: the guest-physical address of the PML4.</param>
/// <param name="StackPointer">RSP at the entry.</param>
/// <param name="Information">Where the boot information lies; RDI at the entry.</param>
/// <param name="FirstFree">The first guest-physical address that nothing uses, a multiple of 4096.</param>
/// <param name="FreeEnd">The end of the unused RAM that starts at <paramref name="FirstFree"/>.</param>
/// <param name="TableFrames">How many frames hold page tables.</param>
/// <param name="Regions">Everything that is mapped, in ascending order of address.</param>
public sealed record BootLayout(
    Gva Entry,
    int Ring,
    ulong Cr3,
    Gva StackPointer,
    Gva Information,
    Gpa FirstFree,
    Gpa FreeEnd,
    int TableFrames,
    IReadOnlyList<BootRegion> Regions);
