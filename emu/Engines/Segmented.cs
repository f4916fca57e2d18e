using System.Runtime.CompilerServices;

namespace Quadwalk.Emulation;

/// <summary>
/// Segmentation before another port: outside 64-bit mode an address that reaches a port is a <see cref="SegmentedAddress"/>, which is
/// checked against the segment and made linear here (SDM Vol. 3A, 3.4 and 6.3).
/// </summary>
internal readonly struct Segmented<TPort> : IMemoryPort
    where TPort : struct, IMemoryPort
{
    /// <inheritdoc/>
    public static bool Watches => TPort.Watches;

    /// <inheritdoc/>
    public static bool IsSegmented => true;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Read<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged
    {
        if (!SegmentedAddress.MayRead(ref cpu, gva, sizeof(T)))
        {
            value = default;
            return SegmentedAddress.Refuse(vcpu, gva);
        }

        return TPort.Read(ref cpu, vcpu, SegmentedAddress.Linear(ref cpu, gva), out value);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe bool Write<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value)
        where T : unmanaged =>
        SegmentedAddress.MayWrite(ref cpu, gva, sizeof(T))
            ? TPort.Write(ref cpu, vcpu, SegmentedAddress.Linear(ref cpu, gva), value)
            : SegmentedAddress.Refuse(vcpu, gva);

    /// <inheritdoc/>
    public static unsafe bool BeginModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value, out nint location)
        where T : unmanaged
    {
        if (!SegmentedAddress.MayWrite(ref cpu, gva, sizeof(T)))
        {
            value = default;
            location = 0;
            return SegmentedAddress.Refuse(vcpu, gva);
        }

        return TPort.BeginModify(ref cpu, vcpu, SegmentedAddress.Linear(ref cpu, gva), out value, out location);
    }

    /// <inheritdoc/>
    public static void CommitModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, nint location, T value)
        where T : unmanaged => TPort.CommitModify(ref cpu, vcpu, SegmentedAddress.Linear(ref cpu, gva), location, value);

    /// <inheritdoc/>
    public static bool ProbeRead(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) =>
        SegmentedAddress.MayRead(ref cpu, gva, length)
            ? TPort.ProbeRead(ref cpu, vcpu, SegmentedAddress.Linear(ref cpu, gva), length)
            : SegmentedAddress.Refuse(vcpu, gva);

    /// <inheritdoc/>
    public static bool ProbeWrite(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) =>
        SegmentedAddress.MayWrite(ref cpu, gva, length)
            ? TPort.ProbeWrite(ref cpu, vcpu, SegmentedAddress.Linear(ref cpu, gva), length)
            : SegmentedAddress.Refuse(vcpu, gva);

    /// <inheritdoc/>
    public static nint TryRun(ref CpuState cpu, ulong gva, int length, bool write)
    {
        bool allowed = write ? SegmentedAddress.MayWrite(ref cpu, gva, length) : SegmentedAddress.MayRead(ref cpu, gva, length);
        return allowed ? TPort.TryRun(ref cpu, SegmentedAddress.Linear(ref cpu, gva), length, write) : 0;
    }
}

/// <summary>
/// An address outside 64-bit mode, as instruction semantics hand it to a port: the segment's index in bits 56 to 58, and the 32-bit offset.
/// Bit 55 is a guard, so that adding or subtracting distances wraps the offset and leaves the segment alone.
/// </summary>
internal static class SegmentedAddress
{
    private const int SegmentShift = 56;
    private const ulong Guard = 1UL << 55;
    private const uint ReadKinds = DescriptorBits.Present | DescriptorBits.Code;
    private const uint ExpandDown = DescriptorBits.Code | DescriptorBits.ConformingOrExpandDown;

    /// <summary>The address of an offset in a segment.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(int segment, uint offset) => ((ulong)segment << SegmentShift) + Guard + offset;

    /// <summary>The linear address: 32 bits, of which real-address mode reaches 21.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Linear(ref CpuState cpu, ulong address) => (uint)(cpu.Segments[SegmentOf(address)].Base + address);

    /// <summary>Whether the segment may be read at these bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MayRead(ref CpuState cpu, ulong address, int length)
    {
        ref SegmentRegister segment = ref cpu.Segments[SegmentOf(address)];
        uint attributes = segment.Attributes;
        bool readable = (attributes & ReadKinds) == DescriptorBits.Present
            || (attributes & (ReadKinds | DescriptorBits.WritableOrReadable)) == (ReadKinds | DescriptorBits.WritableOrReadable);
        return readable & Contains(segment, (uint)address, length);
    }

    /// <summary>Whether the segment may be written at these bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MayWrite(ref CpuState cpu, ulong address, int length)
    {
        ref SegmentRegister segment = ref cpu.Segments[SegmentOf(address)];
        bool writable = (segment.Attributes & (ReadKinds | DescriptorBits.WritableOrReadable)) == (DescriptorBits.Present | DescriptorBits.WritableOrReadable);
        return writable & Contains(segment, (uint)address, length);
    }

    /// <summary>Records #SS(0) for the stack segment, #GP(0) for another; always false.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool Refuse(Vcpu vcpu, ulong address)
    {
        bool stack = SegmentOf(address) == SegmentIndex.Ss;
        return vcpu.Raise(
            stack ? ExceptionVector.StackFault : ExceptionVector.GeneralProtection, 0, FaultRule.SegmentLimit, (uint)address);
    }

    /// <summary>Whether the limit allows an access; that of an expand-down segment is the last offset that is not in it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Contains(in SegmentRegister segment, uint offset, int length)
    {
        ulong last = (ulong)offset + (uint)length - 1;
        if ((segment.Attributes & ExpandDown) != DescriptorBits.ConformingOrExpandDown)
        {
            return last <= segment.Limit;
        }

        return offset > segment.Limit && last <= ((segment.Attributes & DescriptorBits.Default32) != 0 ? uint.MaxValue : ushort.MaxValue);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int SegmentOf(ulong address) => (int)(address >> SegmentShift) & 7;
}
