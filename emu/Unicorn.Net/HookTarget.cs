namespace Unicorn.Net;

/// <summary>What a native callback finds by its user data.</summary>
internal sealed record HookTarget<THandler>(UnicornEngine Engine, THandler Handler)
    where THandler : class;
