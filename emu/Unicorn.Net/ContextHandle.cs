using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>A uc_context. It points into its engine, so it keeps that open.</summary>
internal sealed class ContextHandle : SafeHandle
{
    private readonly EngineHandle engine;
    private readonly bool engineHeld;

    public ContextHandle(EngineHandle engine, nint context)
        : base(0, ownsHandle: true)
    {
        this.engine = engine;
        engine.DangerousAddRef(ref engineHeld);
        SetHandle(context);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <summary>Whether the context was made by an engine.</summary>
    public bool IsOf(EngineHandle other) => ReferenceEquals(engine, other);

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        bool freed = NativeMethods.FreeContext(handle) == UnicornError.Ok;
        if (engineHeld)
        {
            engine.DangerousRelease();
        }

        return freed;
    }
}
