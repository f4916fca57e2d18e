namespace Quadwalk.Tests;

/// <summary>The modes that <see cref="LegacyMachine"/> starts in.</summary>
public enum LegacyMode
{
    Real,
    Virtual8086,
    Protected16,
    Protected32,
    Compatibility16,
    Compatibility32,
}
