using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// Changes of CR0, CR3, CR4 and IA32_EFER: what may be written, what goes with it, and which translations it drops (SDM Vol. 2B, "MOV - Move
/// to/from Control Registers"; Vol. 3A, 2.5, 5.1.2, 5.4.1, 5.10.4.1 and 11.8.5). A change that is refused leaves every register as it was.
/// </summary>
internal static class ControlRegisterRules
{
    private const ulong KeepTranslations = 1UL << 63;
    private const ulong Pcid = 0xFFF;
    private const ulong RightsCr4 = Cr4.SMEP | Cr4.SMAP | Cr4.PKE | Cr4.PKS | PagingState.Cr4CET | Cr4.LAM_SUP;
    private const ulong Masking = PagingState.Cr3LamU57 | PagingState.Cr3LamU48;
    private const ulong PdpteLoadCr0 = Cr0.CD | Cr0.NW | Cr0.PG;
    private const ulong PdpteLoadCr4 = Cr4.PAE | Cr4.PGE | Cr4.PSE | Cr4.SMEP;
    private const uint TssType16 = 1;
    private const uint TssTypeMask = 0xD;
    private const int DescriptorTypeShift = 8;

    /// <summary>CR0: bits 63:32 are refused, unknown ones below dropped. PG enters and leaves IA-32e mode as IA32_EFER.LME asks.</summary>
    public static bool SetCr0(ref CpuState cpu, Vcpu vcpu, ulong value)
    {
        bool cacheless = (value & (Cr0.NW | Cr0.CD)) == Cr0.NW;
        bool unprotected = (value & (Cr0.PG | Cr0.PE)) == Cr0.PG;
        if (value >> 32 != 0 || cacheless || unprotected)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        value = (value & Cr0.Known) | Cr0.ET;
        ulong changed = cpu.Cr0 ^ value;
        ulong efer = cpu.Msr.Efer;
        if ((changed & Cr0.PG) != 0)
        {
            bool enables = (value & Cr0.PG) != 0;
            if (!(enables ? CanEnablePaging(ref cpu) : CanDisablePaging(ref cpu, vcpu)))
            {
                return vcpu.RaiseGP(FaultRule.LongModeTransition);
            }

            efer = enables && (efer & Efer.LME) != 0 ? efer | Efer.LMA : efer & ~Efer.LMA;
        }

        PdpteRegisters pdptes = cpu.Pdpte;
        if ((changed & PdpteLoadCr0) != 0 && !TryLoadPdptes(vcpu, value, cpu.Cr3, cpu.Cr4, efer, ref pdptes))
        {
            return false;
        }

        if ((changed & ~value & Cr0.PE) != 0)
        {
            MakeCodeWritable(ref cpu.Segments[SegmentIndex.Cs]);
        }

        cpu.Cr0 = value;
        cpu.Msr.Efer = efer;
        cpu.Pdpte = pdptes;
        if ((changed & Cr0.PG) != 0)
        {
            vcpu.Tlb.FlushAll(TlbFlushCause.Cr0);
        }
        else if ((changed & Cr0.WP) != 0)
        {
            vcpu.Tlb.RightsChanged(TlbFlushCause.Cr0);
        }

        vcpu.ContextChanged();
        return true;
    }

    /// <summary>
    /// CR3: drops the translations of the new PCID that are not global, unless PCIDs are on and bit 63 asks to keep them. A change of
    /// linear-address masking drops host addresses, which are found by addresses with metadata.
    /// </summary>
    public static bool SetCr3(ref CpuState cpu, Vcpu vcpu, ulong value)
    {
        bool keep = (cpu.Cr4 & Cr4.PCIDE) != 0 && (value & KeepTranslations) != 0;
        value = keep ? value & ~KeepTranslations : value;
        ulong known = (1UL << vcpu.Features.PhysicalAddressBits) - 1 | (vcpu.Features.Has(CpuFeature.Lam) ? Masking : 0);
        if ((value & ~known) != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        PdpteRegisters pdptes = cpu.Pdpte;
        if (!TryLoadPdptes(vcpu, cpu.Cr0, value, cpu.Cr4, cpu.Msr.Efer, ref pdptes))
        {
            return false;
        }

        bool masksOtherwise = ((cpu.Cr3 ^ value) & Masking) != 0;
        cpu.Cr3 = value;
        cpu.Pdpte = pdptes;
        if (masksOtherwise)
        {
            vcpu.Tlb.RightsChanged(TlbFlushCause.Cr3Masking);
        }

        vcpu.AddressSpaceChanged(keep);
        return true;
    }

    /// <summary>CR4: only bits that the processor model has. IA-32e mode needs PAE and keeps LA57, and PCIDE needs IA-32e mode and PCID 0.</summary>
    public static bool SetCr4(ref CpuState cpu, Vcpu vcpu, ulong value)
    {
        ulong changed = cpu.Cr4 ^ value;
        bool longMode = (cpu.Msr.Efer & Efer.LMA) != 0;
        bool startsPcids = (changed & value & Cr4.PCIDE) != 0;
        if ((value & ~vcpu.Features.Cr4Bits) != 0 || (startsPcids && (!longMode || (cpu.Cr3 & Pcid) != 0)))
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        if (longMode && ((value & Cr4.PAE) == 0 || (changed & Cr4.LA57) != 0))
        {
            return vcpu.RaiseGP(FaultRule.LongModeTransition);
        }

        PdpteRegisters pdptes = cpu.Pdpte;
        if ((changed & PdpteLoadCr4) != 0 && !TryLoadPdptes(vcpu, cpu.Cr0, cpu.Cr3, value, cpu.Msr.Efer, ref pdptes))
        {
            return false;
        }

        cpu.Cr4 = value;
        cpu.Pdpte = pdptes;
        DropByCr4(vcpu.Tlb, changed, value);
        vcpu.ContextChanged();
        return true;
    }

    /// <summary>IA32_EFER: only bits that the processor model has. LMA follows CR0.PG and is not written; LME cannot change while paging is on.</summary>
    public static bool SetEfer(ref CpuState cpu, Vcpu vcpu, ulong value)
    {
        ulong changed = (value ^ cpu.Msr.Efer) & ~Efer.LMA;
        if ((value & ~vcpu.Features.EferBits) != 0 || ((changed & Efer.LME) != 0 && (cpu.Cr0 & Cr0.PG) != 0))
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        cpu.Msr.Efer ^= changed;
        if ((changed & Efer.NXE) != 0)
        {
            vcpu.Tlb.FlushAll(TlbFlushCause.Efer);
        }

        vcpu.ContextChanged();
        return true;
    }

    /// <summary>
    /// What a change of CR4 drops: everything for PGE, and for PCIDE from 1 to 0; all of the current PCID for PAE, and for SMEP from 0 to 1. PSE
    /// and LA57 change what an entry means, so they count with PAE; NXE, which the SDM does not list, with PGE. The others change only
    /// what rights allow, which is asked at each use.
    /// </summary>
    private static void DropByCr4(Tlb tlb, ulong changed, ulong value)
    {
        if ((changed & Cr4.PGE) != 0 || (changed & ~value & Cr4.PCIDE) != 0)
        {
            tlb.FlushAll(TlbFlushCause.Cr4);
        }
        else if ((changed & (Cr4.PAE | Cr4.PSE | PagingState.Cr4LA57)) != 0 || (changed & value & Cr4.SMEP) != 0)
        {
            tlb.FlushCurrent(TlbFlushCause.Cr4);
        }
        else if ((changed & RightsCr4) != 0)
        {
            tlb.RightsChanged(TlbFlushCause.Cr4);
        }
    }

    /// <summary>With LME, paging is IA-32e mode: it needs PAE, code that is not 64-bit yet, and no 16-bit TSS in TR.</summary>
    private static bool CanEnablePaging(ref CpuState cpu)
    {
        bool tss16 = ((cpu.Tr.Attributes >> DescriptorTypeShift) & TssTypeMask) == TssType16;
        bool code64 = (cpu.Segments[SegmentIndex.Cs].Attributes & DescriptorBits.Code64) != 0;
        return (cpu.Msr.Efer & Efer.LME) == 0 || ((cpu.Cr4 & Cr4.PAE) != 0 && !code64 && !tss16);
    }

    /// <summary>In real-address mode CS gives full access, as after RESET, whatever was loaded before; its base, limit and width stay.</summary>
    private static void MakeCodeWritable(ref SegmentRegister cs)
    {
        const uint type = DescriptorBits.Code | DescriptorBits.ConformingOrExpandDown;
        cs.Attributes = (cs.Attributes & ~type) | DescriptorBits.WritableOrReadable | DescriptorBits.Accessed;
    }

    private static bool CanDisablePaging(ref CpuState cpu, Vcpu vcpu) => !vcpu.Is64BitMode && (cpu.Cr4 & Cr4.PCIDE) == 0;

    /// <summary>
    /// Reads the PDPTEs where the registers given mean PAE paging; false with #GP if one is present with a reserved bit set. Where no memory
    /// is, all bits read 1.
    /// </summary>
    private static bool TryLoadPdptes(Vcpu vcpu, ulong cr0, ulong cr3, ulong cr4, ulong efer, ref PdpteRegisters pdptes)
    {
        byte physicalBits = vcpu.Features.PhysicalAddressBits;
        if (new PagingState(cr0, cr3, cr4, efer, AlignmentCheck: false, physicalBits).Mode != PagingMode.Pae)
        {
            return true;
        }

        RamTables memory = vcpu.Memory.Tables;
        Span<ulong> entries = stackalloc ulong[PdpteRegisters.Count];
        for (int i = 0; i < entries.Length; i++)
        {
            Gpa from = PdpteRegisters.AddressOf(cr3, i);
            entries[i] = memory.TryRead(from, out ulong entry) ? entry : ulong.MaxValue;
            if (PdpteRegisters.ReservedBitsIn(entries[i], physicalBits) != 0)
            {
                return vcpu.RaiseGP(FaultRule.PdpteReservedBits);
            }
        }

        pdptes = new PdpteRegisters(entries[0], entries[1], entries[2], entries[3]);
        return true;
    }
}

/// <summary>The register operand of MOV to and from a control register: 64 bits in 64-bit mode, else 32.</summary>
internal static class ControlRegisterOperand
{
    /// <summary>Reads it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Get(ref CpuState cpu, Vcpu vcpu, int offset) =>
        vcpu.Is64BitMode ? CpuState.At<ulong>(ref cpu, offset) : CpuState.At<uint>(ref cpu, offset);

    /// <summary>Writes it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(ref CpuState cpu, Vcpu vcpu, int offset, ulong value) =>
        CpuState.At<ulong>(ref cpu, offset) = vcpu.Is64BitMode ? value : (uint)value;
}
