using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// Descriptor tables, task-state segments and exception frames, as the processor reaches them by itself (SDM Vol. 3A, 5.6, "implicit
/// supervisor-mode accesses").
/// </summary>
internal static unsafe class SystemMemory
{
    // SAFETY: a tag equals a page address only while Addend maps that page to live guest memory; both tests see the whole access.

    private static readonly WalkAccess ImplicitRead = new(AccessKind.Read, User: false, Implicit: true);
    private static readonly WalkAccess ImplicitWrite = new(AccessKind.Write, User: false, Implicit: true);

    /// <summary>Reads a structure with implicit supervisor rights; false with a fault, or an exit for MMIO, recorded.</summary>
    public static bool Read<T>(Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged
    {
        gva &= Mask(vcpu);
        ref TlbEntry entry = ref vcpu.Tlb.EntryFor(TlbContext.Supervisor, new Gva(gva));
        if (entry.ReadTag == ((gva + (ulong)(sizeof(T) - 1)) & ~PageSize.Mask4K))
        {
            value = Unsafe.ReadUnaligned<T>((byte*)((nint)gva + entry.Addend));
            return true;
        }

        value = default;
        fixed (T* destination = &value)
        {
            return Copy(vcpu, gva, (byte*)destination, sizeof(T), ImplicitRead);
        }
    }

    /// <summary>Writes with implicit supervisor rights; all or nothing.</summary>
    public static bool Write<T>(Vcpu vcpu, ulong gva, T value)
        where T : unmanaged => Copy(vcpu, gva, (byte*)&value, sizeof(T), ImplicitWrite);

    /// <summary>Writes part of a stack with the rights that the handler will have; all or nothing.</summary>
    public static bool WriteFrame(Vcpu vcpu, ulong gva, byte* source, int length, int cpl)
    {
        TlbContext context = cpl == 3 ? TlbContext.User
            : (vcpu.State.SystemFlags & Rflags.AC) != 0 ? TlbContext.SupervisorWithAc
            : TlbContext.Supervisor;
        ref TlbEntry entry = ref vcpu.Tlb.EntryFor(context, new Gva(gva));
        if (entry.WriteTag == ((gva + (ulong)(length - 1)) & ~PageSize.Mask4K))
        {
            Unsafe.CopyBlockUnaligned((byte*)((nint)gva + entry.Addend), source, (uint)length);
            return true;
        }

        return Copy(vcpu, gva, source, length, new WalkAccess(AccessKind.Write, User: cpl == 3));
    }

    private static bool Copy(Vcpu vcpu, ulong gva, byte* data, int length, WalkAccess access)
    {
        gva &= Mask(vcpu);
        int inFirst = (int)Math.Min((ulong)length, PageSize.Size4K - (gva & PageSize.Mask4K));
        byte* first = vcpu.Memory.TranslateFor(gva, access);
        byte* second = null;
        if (first != null && inFirst < length)
        {
            second = vcpu.Memory.TranslateFor((gva + (ulong)inFirst) & Mask(vcpu), access);
        }

        if (first == null || (inFirst < length && second == null))
        {
            return false;
        }

        if (access.Kind == AccessKind.Read)
        {
            Unsafe.CopyBlockUnaligned(data, first, (uint)inFirst);
            Unsafe.CopyBlockUnaligned(data + inFirst, second, (uint)(length - inFirst));
            return true;
        }

        Unsafe.CopyBlockUnaligned(first, data, (uint)inFirst);
        Unsafe.CopyBlockUnaligned(second, data + inFirst, (uint)(length - inFirst));
        vcpu.Frames.Written((ulong)first, inFirst);
        vcpu.Frames.Written((ulong)second, length - inFirst);
        return true;
    }

    /// <summary>The bits that such an address has: 32 outside IA-32e mode, whose structures may lie anywhere.</summary>
    private static ulong Mask(Vcpu vcpu) => (vcpu.State.Msr.Efer & Efer.LMA) != 0 ? ulong.MaxValue : uint.MaxValue;
}
