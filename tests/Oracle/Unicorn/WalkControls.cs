namespace Quadwalk.Tests;

/// <summary>The control bits of a <see cref="WalkCase"/>.</summary>
[Flags]
internal enum WalkControls
{
    None = 0,
    WP = 1,
    NXE = 2,
    SMEP = 4,
    SMAP = 8,
    AC = 16,
    PGE = 32,
    PSE = 64,
    PKE = 128,

    /// <summary>PKRU is <see cref="UnicornMmu.Pkru"/>, not 0.</summary>
    Keys = 256,
}
