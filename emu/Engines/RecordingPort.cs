namespace Quadwalk.Emulation;

/// <summary>The processor's port with a record of each access: what a trace shows. Accesses go one by one, never as a run.</summary>
internal readonly struct RecordingPort : IMemoryPort
{
    /// <inheritdoc/>
    public static bool Watches => false;

    /// <inheritdoc/>
    public static bool IsSegmented => false;

    /// <inheritdoc/>
    public static bool Read<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value)
        where T : unmanaged
    {
        bool done = ProcessorPort.Read(ref cpu, vcpu, gva, out value);
        if (done)
        {
            vcpu.Record.Add(gva, value, AccessRecordKind.Read);
        }

        return done;
    }

    /// <inheritdoc/>
    public static bool Write<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, T value)
        where T : unmanaged
    {
        bool done = ProcessorPort.Write(ref cpu, vcpu, gva, value);
        if (done)
        {
            vcpu.Record.Add(gva, value, AccessRecordKind.Write);
        }

        return done;
    }

    /// <inheritdoc/>
    public static bool BeginModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, out T value, out nint location)
        where T : unmanaged
    {
        bool done = ProcessorPort.BeginModify(ref cpu, vcpu, gva, out value, out location);
        if (done)
        {
            vcpu.Record.Add(gva, value, AccessRecordKind.Read);
        }

        return done;
    }

    /// <inheritdoc/>
    public static void CommitModify<T>(ref CpuState cpu, Vcpu vcpu, ulong gva, nint location, T value)
        where T : unmanaged
    {
        ProcessorPort.CommitModify(ref cpu, vcpu, gva, location, value);
        vcpu.Record.Add(gva, value, AccessRecordKind.Write);
    }

    /// <inheritdoc/>
    public static bool ProbeRead(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => ProcessorPort.ProbeRead(ref cpu, vcpu, gva, length);

    /// <inheritdoc/>
    public static bool ProbeWrite(ref CpuState cpu, Vcpu vcpu, ulong gva, int length) => ProcessorPort.ProbeWrite(ref cpu, vcpu, gva, length);

    /// <inheritdoc/>
    public static nint TryRun(ref CpuState cpu, ulong gva, int length, bool write) => 0;
}
