namespace Unicorn.Net;

/// <summary>The state of an engine at a moment, made by <see cref="UnicornEngine.CreateContext"/>; what it holds is <see cref="ContextContent"/>'s to say.</summary>
public sealed unsafe class UnicornContext : RegisterFile, IDisposable
{
    internal UnicornContext(EngineHandle engine, nint context) => Handle = new ContextHandle(engine, context);

    internal ContextHandle Handle { get; }

    /// <summary>Frees the context.</summary>
    public void Dispose() => Handle.Dispose();

    private protected override void Check(UnicornError error)
    {
        if (error != UnicornError.Ok)
        {
            throw new UnicornException(error);
        }
    }

    private protected override UnicornError Read(int register, void* value, nuint* size) =>
        NativeMethods.ReadContextRegister(Handle, register, value, size);

    private protected override UnicornError Write(int register, void* value, nuint* size) =>
        NativeMethods.WriteContextRegister(Handle, register, value, size);

    private protected override UnicornError ReadBatch(int* registers, void** values, nuint* sizes, int count) =>
        NativeMethods.ReadContextRegisters(Handle, registers, values, sizes, count);

    private protected override UnicornError WriteBatch(int* registers, void** values, nuint* sizes, int count) =>
        NativeMethods.WriteContextRegisters(Handle, registers, values, sizes, count);
}
