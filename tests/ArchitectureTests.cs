using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The rules of the house that the compiler does not enforce, read from the assemblies' metadata.</summary>
[TestFixture]
public sealed class ArchitectureTests
{
    private const string GuestMemoryName = "Quadwalk.GuestMemory", MmuName = "Quadwalk.Mmu", EmulationName = "Quadwalk.Emulation", UnicornName = "Unicorn.Net";

    private static readonly string GuestMemoryPath = typeof(Memslots).Assembly.Location;
    private static readonly string MmuPath = typeof(PageWalker).Assembly.Location;
    private static readonly string EmulationPath = typeof(Vcpu).Assembly.Location;
    private static readonly string UnicornPath = typeof(Unicorn.Net.UnicornEngine).Assembly.Location;

    private static IEnumerable<TestCaseData> Layers() =>
    [
        new TestCaseData(GuestMemoryPath, Array.Empty<string>()).SetArgDisplayNames(GuestMemoryName),
        new TestCaseData(MmuPath, new[] { GuestMemoryName }).SetArgDisplayNames(MmuName),
        new TestCaseData(EmulationPath, new[] { GuestMemoryName, MmuName, UnicornName, "Iced" }).SetArgDisplayNames(EmulationName),
        new TestCaseData(UnicornPath, Array.Empty<string>()).SetArgDisplayNames(UnicornName),
    ];

    [TestCaseSource(nameof(Layers))]
    public void DependenciesPointOneWay(string path, string[] allowed)
    {
        using PEReader file = new(File.OpenRead(path));
        MetadataReader reader = file.GetMetadataReader();
        IEnumerable<string> references = reader.AssemblyReferences.Select(handle => reader.GetString(reader.GetAssemblyReference(handle).Name));
        Assert.That(references.Where(name => !name.StartsWith("System.", StringComparison.Ordinal)), Is.SubsetOf(allowed));
    }

    [TestCaseSource(nameof(Libraries))]
    public void LibrariesKnowNoConsoleAndNoEnvironmentVariables(string path)
    {
        using PEReader file = new(File.OpenRead(path));
        MetadataReader reader = file.GetMetadataReader();
        using (Assert.EnterMultipleScope())
        {
            Assert.That(reader.AssemblyReferences.Select(handle => reader.GetString(reader.GetAssemblyReference(handle).Name)), Does.Not.Contain("System.Console"));
            Assert.That(reader.MemberReferences.Select(handle => MemberName(reader, handle)), Has.None.StartsWith("Environment.GetEnvironmentVariable"));
        }
    }

    [TestCaseSource(nameof(Libraries))]
    public void NativeCodeIsCalledFromOnePlace(string path)
    {
        using PEReader file = new(File.OpenRead(path));
        MetadataReader reader = file.GetMetadataReader();
        string[] importers =
        [
            .. reader.MethodDefinitions.Select(reader.GetMethodDefinition).Where(method => !method.GetImport().Module.IsNil)
                .Select(method => reader.GetString(reader.GetTypeDefinition(method.GetDeclaringType()).Name)).Distinct(),
        ];
        string[] allowed = path == GuestMemoryPath ? ["Libc"] : path == UnicornPath ? ["NativeMethods"] : [];
        Assert.That(importers, Is.EqualTo(allowed));
    }

    private static IEnumerable<TestCaseData> Libraries() =>
        Layers().Select(layer => new TestCaseData(layer.Arguments[0]).SetArgDisplayNames(Path.GetFileNameWithoutExtension((string)layer.Arguments[0]!)));

    private static string MemberName(MetadataReader reader, MemberReferenceHandle handle)
    {
        MemberReference member = reader.GetMemberReference(handle);
        string type = member.Parent.Kind == HandleKind.TypeReference
            ? reader.GetString(reader.GetTypeReference((TypeReferenceHandle)member.Parent).Name)
            : "";
        return $"{type}.{reader.GetString(member.Name)}";
    }
}
