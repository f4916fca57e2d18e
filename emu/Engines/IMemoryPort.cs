namespace Quadwalk.Emulation;

/// <summary>
/// How an instruction reaches data memory by guest-virtual address. A method that returns <see langword="false"/> has left the
/// reason (a fault, or an exit for MMIO) in the processor and has changed nothing.
/// </summary>
internal interface IMemoryPort
{
    /// <summary>Whether instructions have to look for data breakpoints that their accesses met.</summary>
    static abstract bool Watches { get; }

    /// <summary>Whether addresses are <see cref="SegmentedAddress"/>es, as outside 64-bit mode, rather than linear ones.</summary>
    static abstract bool IsSegmented { get; }

    /// <summary>Reads <c>sizeof(T)</c> bytes, which may cross a page.</summary>
    static abstract bool Read<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged;

    /// <summary>Writes <c>sizeof(T)</c> bytes, which may cross a page: all or none.</summary>
    static abstract bool Write<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value)
        where T : unmanaged;

    /// <summary>
    /// Reads for a read-modify-write: the write rights are checked now, so that <see cref="CommitModify"/> cannot fail.
    /// </summary>
    static abstract bool BeginModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value, out nint location)
        where T : unmanaged;

    /// <summary>Writes what <see cref="BeginModify"/> prepared; nothing else of the port may be called in between.</summary>
    static abstract void CommitModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, nint location, T value)
        where T : unmanaged;

    /// <summary>Checks that <paramref name="length"/> bytes could be read, without reading.</summary>
    static abstract bool ProbeRead(ref CpuState cpu, Vcpu vcpu, ulong gva, int length);

    /// <summary>Checks that <paramref name="length"/> bytes could be written, without writing: for an instruction of several writes.</summary>
    static abstract bool ProbeWrite(ref CpuState cpu, Vcpu vcpu, ulong gva, int length);

    /// <summary>
    /// A host pointer to <paramref name="length"/> bytes in one page that string instructions may read, or write, as a run; 0 where
    /// there is no such shortcut and elements go one by one.
    /// </summary>
    static abstract nint TryRun(ref CpuState cpu, ulong gva, int length, bool write);
}
