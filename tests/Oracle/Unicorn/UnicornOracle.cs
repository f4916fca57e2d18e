using NUnit.Framework;
using Unicorn.Net;

namespace Quadwalk.Tests;

/// <summary>The libunicorn of the tests: what ./test has unpacked below artifacts/native, or the system's.</summary>
internal static class UnicornOracle
{
    private static readonly Lazy<string?> missing = new(Load);

    /// <summary>Skips the test where there is no library, and says why.</summary>
    public static void Require()
    {
        if (missing.Value is { } why)
        {
            Assert.Ignore(why);
        }
    }

    private static string? Load()
    {
        string native = Path.Combine(GuestSamples.Folder, "..", "..", "artifacts", "native", "usr", "lib");
        string? unpacked = Directory.Exists(native)
            ? Directory.EnumerateFiles(native, "libunicorn.so.2", SearchOption.AllDirectories).Order(StringComparer.Ordinal).FirstOrDefault()
            : null;
        try
        {
            UnicornLibrary.Load(unpacked is null ? null : Path.GetFullPath(unpacked));
            return null;
        }
        catch (UnicornLibraryException e)
        {
            return e.Message;
        }
    }
}
