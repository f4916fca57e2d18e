using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class TraceFileTests
{
    private DirectoryInfo folder = null!;

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory();

    [TearDown]
    public void RemoveFolder() => folder.Delete(recursive: true);

    [TestCase(false)]
    [TestCase(true)]
    public void It_appears_when_it_is_complete(bool replaces)
    {
        string path = PathOf("trace", replaces ? "old" : null);

        using TraceFile file = TraceFile.Create(path);
        file.Stream.Write("new"u8);
        string? meanwhile = File.Exists(path) ? File.ReadAllText(path) : null;
        file.Complete();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(meanwhile, Is.EqualTo(replaces ? "old" : null));
            Assert.That(File.ReadAllText(path), Is.EqualTo("new"));
            Assert.That(folder.GetFiles(), Has.Length.EqualTo(1));
        }
    }

    [TestCase(false)]
    [TestCase(true)]
    public void Given_up_it_leaves_all_as_it_was(bool replaces)
    {
        string path = PathOf("trace", replaces ? "old" : null);

        using (TraceFile file = TraceFile.Create(path))
        {
            file.Stream.Write("half"u8);
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(File.Exists(path) ? File.ReadAllText(path) : null, Is.EqualTo(replaces ? "old" : null));
            Assert.That(folder.GetFiles(), Has.Length.EqualTo(replaces ? 1 : 0));
        }
    }

    [Test]
    public void A_symbolic_link_stays_and_its_target_is_replaced()
    {
        string target = PathOf("target", "old");
        string link = PathOf("link", null);
        File.CreateSymbolicLink(link, target);

        using TraceFile file = TraceFile.Create(link);
        file.Stream.Write("new"u8);
        file.Complete();

        using (Assert.EnterMultipleScope())
        {
            Assert.That(new FileInfo(link).LinkTarget, Is.EqualTo(target));
            Assert.That(File.ReadAllText(target), Is.EqualTo("new"));
        }
    }

    [Test]
    public void A_device_is_written_and_not_replaced()
    {
        using TraceFile file = TraceFile.Create("/dev/null");
        file.Stream.Write("gone"u8);
        file.Complete();

        Assert.That(File.ReadAllBytes("/dev/null"), Is.Empty);
    }

    [TestCase("missing/trace")]
    [TestCase("")]
    public void What_cannot_be_written_is_refused_at_once(string name) =>
        Assert.That(() => TraceFile.Create(Path.Combine(folder.FullName, name)), Throws.InstanceOf<IOException>());

    private string PathOf(string name, string? contents)
    {
        string path = Path.Combine(folder.FullName, name);
        if (contents is not null)
        {
            File.WriteAllText(path, contents);
        }

        return path;
    }
}
