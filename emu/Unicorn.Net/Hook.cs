namespace Unicorn.Net;

/// <summary>A hook in an engine; disposing of it takes it out. Those left go with the engine.</summary>
public sealed class Hook : IDisposable
{
    private readonly UnicornEngine engine;
    private readonly nuint number;
    private readonly nint target;
    private bool removed;

    internal Hook(UnicornEngine engine, nuint number, nint target)
    {
        this.engine = engine;
        this.number = number;
        this.target = target;
    }

    /// <summary>Takes the hook out; it may be done within a hook.</summary>
    public void Dispose()
    {
        if (!removed)
        {
            removed = true;
            engine.RemoveHook(number, target);
        }
    }
}
