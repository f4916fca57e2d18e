using System.Runtime.CompilerServices;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>
/// Guest addresses that are host addresses: an instruction under test reaches the very memory that the oracle's instruction reaches.
/// </summary>
internal readonly unsafe struct FlatPort : IMemoryPort
{
    public static bool Watches => false;

    // SAFETY: only for operands that FormStates placed in the oracle's scratch memory.
    public static bool IsSegmented => false;

    public static bool Read<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged
    {
        value = Unsafe.ReadUnaligned<T>((void*)gva);
        return true;
    }

    public static bool Write<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value)
        where T : unmanaged
    {
        Unsafe.WriteUnaligned((void*)gva, value);
        return true;
    }

    public static bool BeginModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value, out nint location)
        where T : unmanaged
    {
        location = (nint)gva;
        return Read(ref cpu, vcpu, gva, out value);
    }

    public static void CommitModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, nint location, T value)
        where T : unmanaged => Write(ref cpu, vcpu, gva, value);

    public static bool ProbeRead(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => true;

    public static bool ProbeWrite(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => true;

    public static nint TryRun(ref CpuState cpu, ulong gva, int length, bool write) => (nint)gva;
}
