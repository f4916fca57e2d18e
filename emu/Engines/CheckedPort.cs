namespace Quadwalk.Emulation;

/// <summary>
/// A port with what most code does without: alignment checks (SDM Vol. 3A, 7.15, "Interrupt 17") and data breakpoints (SDM Vol. 3B, 18.2.5).
/// </summary>
/// <remarks>
/// A value of 2, 4 or 8 bytes must be aligned to its width; whether unaligned accesses of 16 bytes and more are checked is up to the
/// processor, and this one does not. A page fault comes before #AC, as in table 7-2.
/// </remarks>
internal readonly struct CheckedPort<TInner> : IMemoryPort
    where TInner : struct, IMemoryPort
{
    private const int WidestChecked = 8;

    /// <inheritdoc/>
    public static bool Watches => true;

    /// <inheritdoc/>
    public static bool IsSegmented => TInner.IsSegmented;

    /// <inheritdoc/>
    public static bool Read<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged
    {
        if (IsMisaligned<T>(ref cpu, gva))
        {
            value = default;
            return Refuse(vcpu, gva, TInner.ProbeRead(ref cpu, vcpu, gva, SizeOf<T>()));
        }

        return TInner.Read(ref cpu, vcpu, gva, out value) && Note<T>(ref cpu, vcpu, gva, write: false);
    }

    /// <inheritdoc/>
    public static bool Write<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value)
        where T : unmanaged
    {
        if (IsMisaligned<T>(ref cpu, gva))
        {
            return Refuse(vcpu, gva, TInner.ProbeWrite(ref cpu, vcpu, gva, SizeOf<T>()));
        }

        return TInner.Write(ref cpu, vcpu, gva, value) && Note<T>(ref cpu, vcpu, gva, write: true);
    }

    /// <inheritdoc/>
    public static bool BeginModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value, out nint location)
        where T : unmanaged
    {
        if (IsMisaligned<T>(ref cpu, gva))
        {
            value = default;
            location = 0;
            return Refuse(vcpu, gva, TInner.ProbeWrite(ref cpu, vcpu, gva, SizeOf<T>()));
        }

        return TInner.BeginModify(ref cpu, vcpu, gva, out value, out location) && Note<T>(ref cpu, vcpu, gva, write: false);
    }

    /// <inheritdoc/>
    public static void CommitModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, nint location, T value)
        where T : unmanaged
    {
        TInner.CommitModify(ref cpu, vcpu, gva, location, value);
        Note<T>(ref cpu, vcpu, gva, write: true);
    }

    /// <inheritdoc/>
    public static bool ProbeRead(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => TInner.ProbeRead(ref cpu, vcpu, gva, length);

    /// <inheritdoc/>
    public static bool ProbeWrite(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => TInner.ProbeWrite(ref cpu, vcpu, gva, length);

    /// <inheritdoc/>
    public static nint TryRun(ref CpuState cpu, ulong gva, int length, bool write) => 0;

    private static unsafe int SizeOf<T>()
        where T : unmanaged => sizeof(T);

    private static bool IsMisaligned<T>(ref CpuState cpu, ulong gva)
        where T : unmanaged =>
        SizeOf<T>() <= WidestChecked && (gva & (ulong)(SizeOf<T>() - 1)) != 0 && (cpu.Mode & BlockMode.AlignmentChecked) != 0;

    private static bool Refuse(Vcpu vcpu, ulong gva, bool reachable) =>
        reachable && vcpu.Raise(ExceptionVector.AlignmentCheck, 0, FaultRule.MisalignedOperand, gva);

    private static bool Note<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, bool write)
        where T : unmanaged
    {
        if ((cpu.Mode & BlockMode.Watched) != 0)
        {
            vcpu.Debug.Accessed(gva, SizeOf<T>(), write);
        }

        return true;
    }
}
