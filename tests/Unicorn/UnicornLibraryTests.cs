using System.ComponentModel;
using System.Diagnostics;
using NUnit.Framework;
using Unicorn.Net;

namespace Quadwalk.Tests;

/// <summary>What the binding says of a library that is absent, too old or another: one line with what was found, what is needed and how to get it.</summary>
[TestFixture]
public sealed class UnicornLibraryTests
{
    private const string Needed = "libunicorn 2.1.1 or later is needed, and ";

    private const string Advice = ": on Debian 13 or later 'apt-get install libunicorn2t64' brings it, see https://www.unicorn-engine.org/docs/ for other systems";

    [Test]
    public void AnAbsentFileIsNamed() => Refuses("/nowhere/libunicorn.so.2", "there is no /nowhere/libunicorn.so.2");

    [Test]
    public void AFileThatIsNoLibraryIsNamed()
    {
        string file = typeof(UnicornLibraryTests).Assembly.Location;
        Refuses(file, $"{file} cannot be loaded");
    }

    [Test]
    [Platform("Linux")]
    public void AnotherLibraryIsNamed() => Refuses("libc.so.6", "libc.so.6 is not libunicorn");

    [Test]
    [Platform("Linux")]
    public void AnOlderVersionIsNamed()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("quadwalk-unicorn");
        try
        {
            string source = Path.Combine(folder.FullName, "old.c"), library = Path.Combine(folder.FullName, "libold.so");
            File.WriteAllText(source, "unsigned uc_version(unsigned *major, unsigned *minor) { return 2 << 24 | 0 << 16 | 1 << 8 | 255; }");
            try
            {
                using Process compiler = Process.Start("gcc", ["-shared", "-fPIC", "-o", library, source]);
                compiler.WaitForExit();
                Assert.That(compiler.ExitCode, Is.Zero);
            }
            catch (Win32Exception)
            {
                Assert.Ignore("There is no gcc to make an old library with.");
            }

            Refuses(library, $"{library} is 2.0.1");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Refuses(string path, string found) =>
        Assert.That(() => UnicornLibrary.Find(path), Throws.TypeOf<UnicornLibraryException>().With.Message.EqualTo(Needed + found + Advice));
}
