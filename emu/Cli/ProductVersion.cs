using System.Reflection;

namespace Quadwalk.Cli;

/// <summary>The version of this build.</summary>
internal static class ProductVersion
{
    public static string Text { get; } = Of(typeof(ProductVersion).Assembly);

    /// <summary>An assembly's version as its authors write it, without the commit.</summary>
    public static string Of(Assembly assembly)
    {
        string version = assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
            ?? assembly.GetName().Version?.ToString()
            ?? "unknown";
        return version.Split('+')[0];
    }
}
