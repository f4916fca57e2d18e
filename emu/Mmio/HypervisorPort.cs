using System.Runtime.CompilerServices;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The hypervisor's way to memory, for the one instruction that exited: see <see cref="HypervisorMemory"/>. Where the processor's
/// accesses are recorded, so are these.
/// </summary>
internal readonly unsafe struct HypervisorPort : IMemoryPort
{
    /// <inheritdoc/>
    public static bool Watches => false;

    /// <inheritdoc/>
    public static bool IsSegmented => false;

    /// <inheritdoc/>
    public static bool Read<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged
    {
        if (!vcpu.Hypervisor.Read(gva, sizeof(T)))
        {
            value = default;
            return false;
        }

        value = Unsafe.ReadUnaligned<T>(vcpu.Hypervisor.Scratch);
        Record(ref cpu, vcpu, gva, value, AccessRecordKind.Read);
        return true;
    }

    /// <inheritdoc/>
    public static bool Write<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value)
        where T : unmanaged
    {
        Unsafe.WriteUnaligned(vcpu.Hypervisor.Scratch, value);
        if (!vcpu.Hypervisor.Write(gva, sizeof(T)))
        {
            return false;
        }

        Record(ref cpu, vcpu, gva, value, AccessRecordKind.Write);
        return true;
    }

    /// <inheritdoc/>
    public static bool BeginModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value, out nint location)
        where T : unmanaged
    {
        location = 0;
        if (!vcpu.Hypervisor.ReadForWrite(gva, sizeof(T)))
        {
            value = default;
            return false;
        }

        value = Unsafe.ReadUnaligned<T>(vcpu.Hypervisor.Scratch);
        Record(ref cpu, vcpu, gva, value, AccessRecordKind.Read);
        return true;
    }

    /// <inheritdoc/>
    public static void CommitModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, nint location, T value)
        where T : unmanaged
    {
        Unsafe.WriteUnaligned(vcpu.Hypervisor.Scratch, value);
        vcpu.Hypervisor.WriteBack();
        Record(ref cpu, vcpu, gva, value, AccessRecordKind.Write);
    }

    /// <inheritdoc/>
    public static bool ProbeRead(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => vcpu.Hypervisor.Probe(gva, length, AccessKind.Read);

    /// <inheritdoc/>
    public static bool ProbeWrite(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => vcpu.Hypervisor.Probe(gva, length, AccessKind.Write);

    /// <inheritdoc/>
    public static nint TryRun(ref CpuState cpu, ulong gva, int length, bool write) => 0;

    private static void Record<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value, AccessRecordKind kind)
        where T : unmanaged
    {
        if ((cpu.Mode & BlockMode.Recorded) != 0)
        {
            vcpu.Record.Add(gva, value, kind);
        }
    }
}
