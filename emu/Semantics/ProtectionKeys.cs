using System.Runtime.Intrinsics.X86;

namespace Quadwalk.Emulation;

/// <summary>PKRU and IA32_PKRS (SDM Vol. 3A, 5.6.2).</summary>
internal static class ProtectionKeys
{
    private const int SupervisorKeys = 16;
    private const uint LowBits = 0x5555_5555;

    /// <summary>Writes PKRU; no translation is dropped, only host addresses of pages with a key whose rights change.</summary>
    public static void Set(ref CpuState cpu, Vcpu vcpu, uint value)
    {
        uint changed = cpu.Pkru ^ value;
        cpu.Pkru = value;
        if (changed != 0 && (cpu.Cr4 & Cr4.PKE) != 0)
        {
            vcpu.Tlb.KeysChanged(KeysOf(changed));
        }
    }

    /// <summary>Writes IA32_PKRS; the same for keys of supervisor pages.</summary>
    public static void SetSupervisor(ref CpuState cpu, Vcpu vcpu, uint value)
    {
        uint changed = (uint)cpu.Msr.Pkrs ^ value;
        cpu.Msr.Pkrs = value;
        if (changed != 0 && (cpu.Cr4 & Cr4.PKS) != 0)
        {
            vcpu.Tlb.KeysChanged(KeysOf(changed) << SupervisorKeys);
        }
    }

    /// <summary>The keys, bit k for key k, of which one of the two bits is set in a word laid out as PKRU.</summary>
    public static uint KeysOf(uint rights) => Bmi2.IsSupported
        ? Bmi2.ParallelBitExtract(rights | (rights >> 1), LowBits)
        : Gather((rights | (rights >> 1)) & LowBits);

    /// <summary>Moves the even bits together.</summary>
    internal static uint Gather(uint even)
    {
        even = (even | (even >> 1)) & 0x3333_3333;
        even = (even | (even >> 2)) & 0x0F0F_0F0F;
        even = (even | (even >> 4)) & 0x00FF_00FF;
        return (even | (even >> 8)) & 0x0000_FFFF;
    }
}

/// <summary>RDPKRU.</summary>
internal readonly struct ReadProtectionKeys : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.PKE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        if ((uint)cpu.Gpr[GeneralRegister.Rcx] != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        SystemOperand.SetEdxEax(ref cpu, cpu.Pkru);
        return true;
    }
}

/// <summary>WRPKRU.</summary>
internal readonly struct WriteProtectionKeys : IInstruction
{
    /// <inheritdoc/>
    public static bool Execute<TPort>(ref CpuState cpu, ref Op op, Vcpu vcpu)
        where TPort : struct, IMemoryPort
    {
        if ((cpu.Cr4 & Cr4.PKE) == 0)
        {
            return vcpu.Raise(ExceptionVector.InvalidOpcode, null, FaultRule.NotEnabled);
        }

        if (((uint)cpu.Gpr[GeneralRegister.Rcx] | (uint)cpu.Gpr[GeneralRegister.Rdx]) != 0)
        {
            return vcpu.RaiseGP(FaultRule.ReservedOperand);
        }

        ProtectionKeys.Set(ref cpu, vcpu, (uint)cpu.Gpr[GeneralRegister.Rax]);
        return true;
    }
}
