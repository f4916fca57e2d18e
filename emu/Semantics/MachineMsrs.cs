using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The model-specific registers that firmware and kernels look at beside those of <see cref="ReadMsr"/> (SDM Vol. 4, table 2-2), and
/// what they refuse. With no cache, memory types change no access; <see cref="Vcpu.MemoryTypes"/> tells what they are.
/// </summary>
internal static class MachineMsrs
{
    public const uint PlatformId = 0x17;
    public const uint FeatureControl = 0x3A;
    public const uint TscAdjust = 0x3B;
    public const uint BiosSignature = 0x8B;
    public const uint MtrrCapability = 0xFE;
    public const uint SysenterCs = 0x174;
    public const uint SysenterEsp = 0x175;
    public const uint SysenterEip = 0x176;
    public const uint MachineCheckCapability = 0x179;
    public const uint MachineCheckStatus = 0x17A;
    public const uint MtrrVariable = 0x200;
    public const uint MtrrFixed64K = 0x250;
    public const uint MtrrFixed16K = 0x258;
    public const uint MtrrFixed4K = 0x268;
    public const uint MtrrDefaultType = 0x2FF;
    public const uint Xss = 0xDA0;
    public const uint Pkrs = 0x6E1;

    /// <summary>Eight variable ranges, fixed ranges, write-combining.</summary>
    private const ulong MtrrCapabilities = MtrrVariables.Count / 2 | (1 << 8) | (1 << 10);

    /// <summary>Locked by firmware, and nothing in it.</summary>
    private const ulong FeatureControlLocked = 1;

    private const ulong MicrocodeRevision = 1UL << 32;
    private const ulong FastStrings = 1 << 0, NoBranchTrace = 1 << 11, NoSampling = 1 << 12, MonitorEnabled = 1 << 18;
    private const ulong MachineCheckStatusKnown = 7;
    private const ulong MtrrDefaultKnown = 0xCFF;
    private const ulong MtrrMaskReserved = 0x7FF;
    private const ulong MtrrBaseReserved = 0xF00;

    /// <summary>IA32_MISC_ENABLE after reset.</summary>
    public static ulong MiscEnableReset(CpuFeatures features) =>
        FastStrings | NoBranchTrace | NoSampling | (features.Has(CpuFeature.Monitor) ? MonitorEnabled : 0);

    /// <summary>Reads a register; null where there is none of this number.</summary>
    public static ulong? Read(ref CpuState cpu, Vcpu vcpu, uint number)
    {
        ref ModelSpecificRegisters msr = ref cpu.Msr;
        if (!IsThere(vcpu.Features, number))
        {
            return null;
        }

        return number switch
        {
            PlatformId => 0,
            FeatureControl => FeatureControlLocked,
            TscAdjust => msr.TscOffset,
            BiosSignature => MicrocodeRevision,
            MtrrCapability => MtrrCapabilities,
            SysenterCs => msr.SysenterCs,
            SysenterEsp => msr.SysenterEsp,
            SysenterEip => msr.SysenterEip,
            MachineCheckCapability => 0,
            MachineCheckStatus => msr.MachineCheckStatus,
            MtrrDefaultType => msr.MtrrDefaultType,
            Xss => msr.Xss,
            Pkrs => msr.Pkrs,
            _ when TryFixed(number, out int index) => msr.MtrrFixed[index],
            _ => msr.MtrrVariable[(int)(number - MtrrVariable)],
        };
    }

    /// <summary>Writes a register; false with #GP(0) recorded.</summary>
    public static bool Write(ref CpuState cpu, Vcpu vcpu, uint number, ulong value)
    {
        ref ModelSpecificRegisters msr = ref cpu.Msr;
        if (!IsThere(vcpu.Features, number))
        {
            return vcpu.RaiseGP(FaultRule.UnknownMsr);
        }

        switch (number)
        {
            case TscAdjust:
                msr.TscOffset = value;
                return true;
            case BiosSignature:
                return true;
            case SysenterCs:
                msr.SysenterCs = (uint)value;
                return true;
            case SysenterEsp:
                return Store(vcpu, ref msr.SysenterEsp, value, vcpu.IsProcessorCanonical(value));
            case SysenterEip:
                return Store(vcpu, ref msr.SysenterEip, value, vcpu.IsProcessorCanonical(value));
            case MachineCheckStatus:
                return Store(vcpu, ref msr.MachineCheckStatus, value, (value & ~MachineCheckStatusKnown) == 0);
            case MtrrDefaultType:
                return StoreMtrr(vcpu, ref msr.MtrrDefaultType, value, (value & ~MtrrDefaultKnown) == 0 && MemoryTypeEncoding.IsForMtrr((byte)value));
            case Xss:
                return Store(vcpu, ref msr.Xss, value, value == 0);
            case Pkrs when value >> 32 == 0:
                ProtectionKeys.SetSupervisor(ref cpu, vcpu, (uint)value);
                return true;
            case Pkrs or PlatformId or FeatureControl or MtrrCapability or MachineCheckCapability:
                return vcpu.RaiseGP(FaultRule.ReservedControlBits);
            default:
                return TryFixed(number, out int index)
                    ? StoreMtrr(vcpu, ref msr.MtrrFixed[index], value, MemoryTypeEncoding.AreForMtrr(value))
                    : WriteVariable(vcpu, ref msr.MtrrVariable[(int)(number - MtrrVariable)], number, value);
        }
    }

    private static bool IsThere(CpuFeatures features, uint number) => number switch
    {
        PlatformId or FeatureControl or BiosSignature => true,
        TscAdjust => features.Has(CpuFeature.TscAdjust),
        SysenterCs or SysenterEsp or SysenterEip => features.Has(CpuFeature.Sep),
        MachineCheckCapability or MachineCheckStatus => features.Has(CpuFeature.Mca),
        Xss => features.Has(CpuFeature.Xsaves),
        Pkrs => features.Has(CpuFeature.Pks),
        MtrrCapability or MtrrDefaultType or (>= MtrrVariable and < MtrrVariable + MtrrVariables.Count) => features.Has(CpuFeature.Mtrr),
        _ => TryFixed(number, out _) && features.Has(CpuFeature.Mtrr),
    };

    private static bool TryFixed(uint number, out int index)
    {
        index = number switch
        {
            MtrrFixed64K => 0,
            >= MtrrFixed16K and < MtrrFixed16K + 2 => (int)(number - MtrrFixed16K) + 1,
            >= MtrrFixed4K and < MtrrFixed4K + 8 => (int)(number - MtrrFixed4K) + 3,
            _ => -1,
        };
        return index >= 0;
    }

    /// <summary>Bases have even numbers and a memory type, masks odd ones and a valid bit.</summary>
    private static bool WriteVariable(Vcpu vcpu, ref ulong register, uint number, ulong value)
    {
        bool isMask = (number & 1) != 0;
        ulong reserved = (isMask ? MtrrMaskReserved : MtrrBaseReserved) | (ulong.MaxValue << vcpu.Features.PhysicalAddressBits);
        return StoreMtrr(vcpu, ref register, value, (value & reserved) == 0 && (isMask || MemoryTypeEncoding.IsForMtrr((byte)value)));
    }

    /// <summary>Stores what an MTRR is given. A write to one invalidates the TLBs, global entries too (SDM Vol. 2D, "WRMSR").</summary>
    private static bool StoreMtrr(Vcpu vcpu, ref ulong register, ulong value, bool allowed)
    {
        if (!Store(vcpu, ref register, value, allowed))
        {
            return false;
        }

        vcpu.FlushTlb();
        return true;
    }

    private static bool Store(Vcpu vcpu, ref ulong register, ulong value, bool allowed)
    {
        if (!allowed)
        {
            return vcpu.RaiseGP(FaultRule.ReservedControlBits);
        }

        register = value;
        return true;
    }
}
