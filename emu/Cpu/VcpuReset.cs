using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

public sealed unsafe partial class Vcpu
{
    private const ulong ResetVector = 0xFFF0;
    private const ulong ResetCodeBase = 0xFFFF_0000;
    private const ushort ResetCodeSelector = 0xF000;
    private const ulong ResetDr6 = 0xFFFF_0FF0;
    private const ulong ResetDr7 = 0x400;
    private const ushort ResetX87Control = 0x40;
    private const uint DataAttributes = DescriptorBits.Present | DescriptorBits.CodeOrData | DescriptorBits.WritableOrReadable | DescriptorBits.Accessed;

    /// <summary>
    /// Puts the processor in the state after power-up or RESET (SDM Vol. 3A, table 11-1): real-address mode, with the next instruction at
    /// physical address FFFFFFF0H. Memory, time and counters stay.
    /// </summary>
    public void Reset()
    {
        state->Vector = default;
        state->Mxcsr = SseState.MxcsrDefault;
        state->X87 = default;
        state->X87.Control = ResetX87Control;
        state->X87.Tags = byte.MaxValue;
        state->Xcr0 = StateComponents.X87;
        state->Pkru = 0;
        state->Msr = new ModelSpecificRegisters { Pat = PageAttributeTable.ResetValue, MiscEnable = MachineMsrs.MiscEnableReset(Features) };
        Initialize(Cr0.CD | Cr0.NW | Cr0.ET);
    }

    /// <summary>Puts the processor in the state after INIT: as <see cref="Reset"/>, but x87, vector registers, MSRs, CR0.CD and CR0.NW stay.</summary>
    internal void Init()
    {
        state->Msr.Efer = 0;
        Initialize((state->Cr0 & (Cr0.CD | Cr0.NW)) | Cr0.ET);
    }

    private void Initialize(ulong cr0)
    {
        DropQueuedFault();
        Hypervisor.Forget();
        state->Gpr = default;
        state->Gpr[GeneralRegister.Rdx] = Cpuid.Signature;
        state->Rip = ResetVector;
        state->Cpl = 0;
        for (int i = 0; i < 6; i++)
        {
            state->Segments[i] = new SegmentRegister { Limit = ushort.MaxValue, Attributes = DataAttributes };
        }

        state->Segments[SegmentIndex.Cs] = new SegmentRegister
        {
            Selector = ResetCodeSelector,
            Base = ResetCodeBase,
            Limit = ushort.MaxValue,
            Attributes = DataAttributes,
        };
        state->Tr = new SegmentRegister { Limit = ushort.MaxValue, Attributes = DescriptorBits.Present | (SegmentDescriptor.BusyTss << 8) };
        state->Ldtr = new SegmentRegister { Limit = ushort.MaxValue, Attributes = DescriptorBits.Present | (SegmentDescriptor.Ldt << 8) };
        state->Gdtr = state->Idtr = new DescriptorTableRegister { Limit = ushort.MaxValue };
        state->Cr0 = cr0;
        state->Cr2 = state->Cr3 = state->Cr4 = state->Cr8 = 0;
        state->Dr = default;
        state->Dr[6] = ResetDr6;
        state->Dr[7] = ResetDr7;
        Rflags = Emulation.Rflags.Fixed;
        FlushTlb();
    }
}
