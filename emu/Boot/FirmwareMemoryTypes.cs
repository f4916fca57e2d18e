using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The memory types that firmware leaves an image with, on every processor. They are SeaBIOS's in QEMU: WB by default and in conventional
/// memory, UC for the video memory and for devices below 4 GiB, WP for the BIOS area.
/// </summary>
internal static class FirmwareMemoryTypes
{
    private const ulong EnabledWithFixed = 0xC00, Valid = 1 << 11;
    private const ulong AllWriteBack = 0x0606_0606_0606_0606, AllWriteProtected = 0x0505_0505_0505_0505;
    private const int Fixed64K = 0, Fixed16KLow = 1, Fixed16KVideo = 2, Fixed4K = 3;
    private const ulong DevicesOfSmallMachine = 0x8000_0000;

    /// <summary>Sets the MTRRs of a processor that has them.</summary>
    /// <param name="vcpu">The processor.</param>
    /// <param name="ramBytes">
    /// The machine's RAM: devices begin at 2 GiB where there is no more than that, and where <see cref="PhysicalLayout"/> has them otherwise.
    /// </param>
    public static void Set(Vcpu vcpu, ulong ramBytes)
    {
        if (!vcpu.Features.Has(CpuFeature.Mtrr))
        {
            return;
        }

        ref ModelSpecificRegisters msr = ref vcpu.State.Msr;
        msr.MtrrFixed[Fixed64K] = msr.MtrrFixed[Fixed16KLow] = AllWriteBack;
        msr.MtrrFixed[Fixed16KVideo] = 0;
        for (int i = Fixed4K; i < MtrrFixeds.Count; i++)
        {
            msr.MtrrFixed[i] = AllWriteProtected;
        }

        ulong devices = ramBytes <= DevicesOfSmallMachine ? DevicesOfSmallMachine : PhysicalLayout.DeviceHole;
        msr.MtrrVariable = default;
        msr.MtrrVariable[0] = devices | (ulong)MemoryType.UC;
        msr.MtrrVariable[1] = ((devices - PhysicalLayout.HighRam) & ((1UL << vcpu.Features.PhysicalAddressBits) - 1)) | Valid;
        msr.MtrrDefaultType = EnabledWithFixed | (ulong)MemoryType.WB;
    }
}
