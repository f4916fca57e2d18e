namespace Quadwalk.Tests;

/// <summary>What a random world can do next.</summary>
public enum WorldOp
{
    HostFault,
    HostRead,
    HostWrite,
    GuestFault,
    GuestRead,
    GuestWrite,
    Unmap,
    Map,
    Discard,
    Protect,
    Fork,
    Spawn,
    Exit,
    Migrate,
    Punch,
    Convert,
    Attributes,
    CacheActivate,
    CacheRefresh,
    CacheDeactivate,
    CacheUse,
    Gup,
    Put,
    DirectMapAccess,
    DirectMapUse,
    FailAllocation,
    GuestRun,
    SlotChange,
    PathRead,
    PathWrite,
    Reclaim,
    Shrink,
    Writeback,
    NumaHint,
    Offline,
    SoftOffline,
    Collapse,
    Split,
    MapForever,
    DirtyLog,
}

/// <summary>Weights of the kinds of operations.</summary>
internal sealed class WorldMix
{
    private const int UsualWeight = 4;
    private readonly WorldOp[] table;

    private WorldMix(string name, int times, params ReadOnlySpan<WorldOp> stressed)
    {
        Name = name;
        List<WorldOp> all = [];
        foreach (WorldOp op in Enum.GetValues<WorldOp>())
        {
            all.AddRange(Enumerable.Repeat(op, Usual(op) * (stressed.Contains(op) ? times : 1)));
        }

        table = [.. all];
    }

    /// <summary>What <see cref="Of"/> takes.</summary>
    public string Name { get; }

    /// <summary>After how many steps everybody comes to an end: soon for what shows only then.</summary>
    public int RestEvery => Name is "P4" or "P7" or "P12" ? 400 : 2000;

    public static WorldMix Even { get; } = new("even", 1);

    /// <summary>The mix that stresses an invariant, by <c>P1</c> to <c>P18</c>; any other name: all alike.</summary>
    public static WorldMix Of(string name) => name switch
    {
        "P1" => new(name, 4, WorldOp.Unmap, WorldOp.Discard, WorldOp.Migrate, WorldOp.Punch, WorldOp.Convert, WorldOp.GuestRead, WorldOp.HostRead, WorldOp.GuestRun, WorldOp.Writeback, WorldOp.Reclaim),
        "P2" or "P3" => new(name, 4, WorldOp.Unmap, WorldOp.Discard, WorldOp.Migrate, WorldOp.GuestFault, WorldOp.CacheRefresh, WorldOp.CacheActivate, WorldOp.Convert),
        "P4" => new(name, 4, WorldOp.Gup, WorldOp.Fork, WorldOp.Spawn, WorldOp.Exit, WorldOp.Migrate, WorldOp.FailAllocation),
        "P5" => new(name, 4, WorldOp.GuestFault, WorldOp.Gup, WorldOp.Migrate, WorldOp.CacheActivate),
        "P6" => new(name, 6, WorldOp.Gup, WorldOp.Migrate, WorldOp.Convert, WorldOp.Reclaim, WorldOp.Split),
        "P7" => new(name, 6, WorldOp.Convert, WorldOp.Gup, WorldOp.HostFault, WorldOp.Map),
        "P8" => new(name, 4, WorldOp.Punch, WorldOp.HostFault, WorldOp.GuestFault, WorldOp.Attributes, WorldOp.Migrate),
        "P9" => new(name, 4, WorldOp.Protect, WorldOp.Map, WorldOp.Migrate, WorldOp.Fork, WorldOp.Spawn, WorldOp.Exit),
        "P10" => new(name, 3, WorldOp.GuestFault, WorldOp.Attributes),
        "P11" => new(name, 4, WorldOp.GuestFault, WorldOp.Protect, WorldOp.Fork, WorldOp.Spawn, WorldOp.Exit),
        "P12" => new(name, 6, WorldOp.FailAllocation, WorldOp.Unmap, WorldOp.Fork, WorldOp.Spawn, WorldOp.Exit),
        "P13" or "P18" => new(name, 8, WorldOp.PathRead, WorldOp.HostWrite),
        "P17" => new(name, 8, WorldOp.SlotChange, WorldOp.GuestFault, WorldOp.GuestRun),
        "P14" or "P15" => new(name, 6, WorldOp.DirectMapAccess, WorldOp.DirectMapUse, WorldOp.Punch),
        "P16" => new(name, 6, WorldOp.CacheActivate, WorldOp.CacheRefresh, WorldOp.CacheUse, WorldOp.Attributes),
        _ => Even,
    };

    public WorldOp Draw(ref WorldRandom random) => table[random.Below(table.Length)];

    private static int Usual(WorldOp op) => op switch
    {
        WorldOp.HostFault or WorldOp.GuestFault => 4 * UsualWeight,
        WorldOp.HostRead or WorldOp.HostWrite or WorldOp.GuestRead or WorldOp.GuestWrite or WorldOp.CacheUse or WorldOp.Put => 2 * UsualWeight,
        WorldOp.Fork or WorldOp.Spawn or WorldOp.Exit or WorldOp.FailAllocation or WorldOp.CacheDeactivate => UsualWeight / 4,
        WorldOp.Shrink or WorldOp.Offline or WorldOp.SoftOffline or WorldOp.Collapse or WorldOp.Split => UsualWeight / 4,
        WorldOp.NumaHint or WorldOp.DirtyLog or WorldOp.MapForever or WorldOp.PathWrite => UsualWeight / 2,
        WorldOp.Unmap or WorldOp.Protect or WorldOp.Punch or WorldOp.Convert => UsualWeight / 2,
        WorldOp.SlotChange => UsualWeight / 2,
        _ => UsualWeight,
    };
}
