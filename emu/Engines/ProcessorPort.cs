using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>The hardware's way to memory: the TLB inlined, and on a miss a page walk by <see cref="ProcessorMemory"/>.</summary>
internal readonly unsafe struct ProcessorPort : IMemoryPort
{
    // SAFETY: a tag equals a page address only while Addend maps that whole page to live guest memory (ProcessorMemory fills
    // entries from memslots and flushes them when slots change), and comparing the page of the last byte keeps the access inside it.

    /// <inheritdoc/>
    public static bool Watches => false;

    /// <inheritdoc/>
    public static bool IsSegmented => false;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Read<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged
    {
        TlbEntry* entry = (TlbEntry*)((byte*)cpu.Tlb + Tlb.OffsetOf(gva));
        byte* source = entry->ReadTag == ((gva + (ulong)(sizeof(T) - 1)) & ~PageSize.Mask4K)
            ? (byte*)((nint)gva + entry->Addend)
            : vcpu.Memory.ReadSlow(gva, sizeof(T));
        if (source == null)
        {
            value = default;
            return false;
        }

        value = Unsafe.ReadUnaligned<T>(source);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Write<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value)
        where T : unmanaged
    {
        TlbEntry* entry = (TlbEntry*)((byte*)cpu.Tlb + Tlb.OffsetOf(gva));
        if (entry->WriteTag == ((gva + (ulong)(sizeof(T) - 1)) & ~PageSize.Mask4K))
        {
            Unsafe.WriteUnaligned((byte*)((nint)gva + entry->Addend), value);
            return true;
        }

        Unsafe.WriteUnaligned(vcpu.Memory.Scratch, value);
        return vcpu.Memory.WriteSlow(gva, sizeof(T));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool BeginModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value, out nint location)
        where T : unmanaged
    {
        TlbEntry* entry = (TlbEntry*)((byte*)cpu.Tlb + Tlb.OffsetOf(gva));
        location = entry->WriteTag == ((gva + (ulong)(sizeof(T) - 1)) & ~PageSize.Mask4K)
            ? (nint)gva + entry->Addend
            : (nint)vcpu.Memory.ModifySlow(gva, sizeof(T));
        if (location == 0)
        {
            value = default;
            return false;
        }

        value = Unsafe.ReadUnaligned<T>((byte*)location);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void CommitModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, nint location, T value)
        where T : unmanaged
    {
        Unsafe.WriteUnaligned((byte*)location, value);
        if (location == (nint)vcpu.Memory.Scratch)
        {
            vcpu.Memory.WriteSlow(gva, sizeof(T));
        }
    }

    /// <inheritdoc/>
    public static bool ProbeRead(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => vcpu.Memory.Probe(gva, length, AccessKind.Read);

    /// <inheritdoc/>
    public static bool ProbeWrite(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => vcpu.Memory.Probe(gva, length, AccessKind.Write);

    /// <inheritdoc/>
    public static nint TryRun(ref CpuState cpu, ulong gva, int length, bool write)
    {
        TlbEntry* entry = (TlbEntry*)((byte*)cpu.Tlb + Tlb.OffsetOf(gva));
        ulong tag = write ? entry->WriteTag : entry->ReadTag;
        return tag == ((gva + (ulong)(length - 1)) & ~PageSize.Mask4K) ? (nint)gva + entry->Addend : 0;
    }
}
