using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>The registers at the entry of an image.</summary>
internal static class BootRegisters
{
    private const ulong ResetDr6 = 0xffff_0ff0;
    private const ulong ResetDr7 = 0x400;

    /// <summary>Puts a processor at the entry of an image.</summary>
    public static void Set(Vcpu vcpu, int ring, Gva entry, Gva stackPointer, Gva information, ulong cr3)
    {
        ref CpuState cpu = ref vcpu.State;
        cpu.Gpr = default;
        cpu.Gpr[GeneralRegister.Rsp] = stackPointer.Value;
        cpu.Gpr[GeneralRegister.Rdi] = information.Value;
        cpu.Rip = entry.Value;
        cpu.Vector = default;
        cpu.Mxcsr = SseState.MxcsrDefault;
        cpu.X87 = default;
        cpu.X87.Control = FxsaveArea.X87ControlWord;
        cpu.Cpl = (byte)ring;
        SetSegments(ref cpu, ring);
        cpu.Cr0 = Cr0.PE | Cr0.MP | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.PG;
        cpu.Cr2 = 0;
        cpu.Cr3 = cr3;
        bool xsave = vcpu.Features.Has(CpuFeature.Xsave);
        cpu.Cr4 = Cr4.PAE | Cr4.PGE | Cr4.OSFXSR | Cr4.OSXMMEXCPT | (xsave ? Cr4.OSXSAVE : 0) | (ring == 3 ? Cr4.SMEP | Cr4.SMAP : 0);
        cpu.Xcr0 = xsave ? StateComponents.Supported(vcpu.Features) : StateComponents.X87;
        cpu.Pkru = 0;
        cpu.Cr8 = 0;
        cpu.Dr = default;
        cpu.Dr[6] = ResetDr6;
        cpu.Dr[7] = ResetDr7;
        cpu.Msr = new ModelSpecificRegisters
        {
            Efer = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE,
            Star = ((ulong)(BootDescriptors.UserCode32 | 3) << 48) | ((ulong)BootDescriptors.KernelCode << 32),
            Lstar = ring == 3 ? BootAddresses.Shim.Value : 0,
            Fmask = Rflags.Writable,
            Pat = PageAttributeTable.ResetValue,
        };
        vcpu.Rflags = Rflags.Fixed;
        vcpu.FlushTlb();
    }

    private static void SetSegments(ref CpuState cpu, int ring)
    {
        ushort code = ring == 3 ? (ushort)(BootDescriptors.UserCode | 3) : BootDescriptors.KernelCode;
        ushort data = ring == 3 ? (ushort)(BootDescriptors.UserData | 3) : BootDescriptors.KernelData;
        cpu.Segments = default;
        cpu.Segments[SegmentIndex.Cs] = BootDescriptors.Load(code);
        cpu.Segments[SegmentIndex.Ss] = BootDescriptors.Load(data);
        cpu.Segments[SegmentIndex.Ds] = BootDescriptors.Load(data);
        cpu.Segments[SegmentIndex.Es] = BootDescriptors.Load(data);
        cpu.Tr = BootDescriptors.Load(BootDescriptors.Task);
        cpu.Ldtr = default;
        cpu.Gdtr = new DescriptorTableRegister { Base = BootAddresses.Descriptors.Value, Limit = BootDescriptors.GdtLimit };
        cpu.Idtr = default;
    }
}
