using System.Runtime.InteropServices;

namespace Unicorn.Net;

/// <summary>A uc_engine, and the handles its hooks hold on managed objects, which must live until it is closed.</summary>
internal sealed class EngineHandle : SafeHandle
{
    private readonly Lock gate = new();
    private readonly List<GCHandle> targets = [];

    public EngineHandle(nint engine)
        : base(0, ownsHandle: true) => SetHandle(engine);

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <summary>Keeps an object alive; gives what a callback finds it by.</summary>
    public nint Keep(object target)
    {
        GCHandle kept = GCHandle.Alloc(target);
        lock (gate)
        {
            targets.Add(kept);
        }

        return GCHandle.ToIntPtr(kept);
    }

    /// <summary>Lets an object go that no callback can reach any longer.</summary>
    public void Release(nint target)
    {
        GCHandle kept = GCHandle.FromIntPtr(target);
        lock (gate)
        {
            if (targets.Remove(kept))
            {
                kept.Free();
            }
        }
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        bool closed = NativeMethods.Close(handle) == UnicornError.Ok;
        foreach (GCHandle target in targets)
        {
            target.Free();
        }

        targets.Clear();
        return closed;
    }
}
