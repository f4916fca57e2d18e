namespace Quadwalk.Tests;

/// <summary>Where samples/guests lies, found by walking up from the test assembly to the solution.</summary>
internal static class GuestSamples
{
    public static string Folder { get; } = Path.Combine(FindRoot(), "samples", "guests");

    public static IEnumerable<string> Images => ImagesIn("");

    public static IEnumerable<string> ImagesIn(string folder) =>
        Directory.EnumerateFiles(PathOf(folder))
            .Where(path => Path.GetExtension(path) is ".elf" or ".bin")
            .Select(path => Path.GetFileName(path))
            .Order(StringComparer.Ordinal);

    public static string PathOf(string file) => Path.Combine(Folder, file);

    public static string ExpectedOutput(string guest) => File.ReadAllText(PathOf(guest + ".expected"));

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Quadwalk.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No Quadwalk.slnx above {AppContext.BaseDirectory}.");
    }
}
