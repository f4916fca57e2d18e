using Iced.Intel;
using NUnit.Framework;

namespace Quadwalk.Tests;

/// <summary>Every opcode of <see cref="VerificationSuites"/> against the host's processor, its register and memory forms apart.</summary>
[TestFixture]
public sealed class HostAgreementTests
{
    private HostComparison? comparison;
    private BranchComparison? branches;

    [OneTimeSetUp]
    public void Begin()
    {
        if (HostProcessor.IsSupported)
        {
            comparison = new HostComparison();
            branches = new BranchComparison();
        }
    }

    [OneTimeTearDown]
    public void End()
    {
        comparison?.Dispose();
        branches?.Dispose();
    }

    private static IEnumerable<TestCaseData<VerificationSuite, Code>> Cases() =>
        VerificationSuites.All.SelectMany(suite => suite.Codes.Select(code => new TestCaseData<VerificationSuite, Code>(suite, code).SetArgDisplayNames(suite.Name, $"{code}")));

    [TestCaseSource(nameof(Cases))]
    public void AgreesWithTheHost(VerificationSuite suite, Code code) => Run(suite, code, VerificationSuite.CasesPerShape, perShape: true);

    [TestCaseSource(nameof(Cases))]
    [Category("Full")]
    public void AgreesWithTheHostAtLength(VerificationSuite suite, Code code) => Run(suite, code, VerificationSuite.FullCasesPerCode, perShape: false);

    private void Run(VerificationSuite suite, Code code, int cases, bool perShape)
    {
        if (comparison is null || branches is null || !HostFeatures.Has(code))
        {
            Assert.Ignore("needs an x64 Linux host that has the instruction");
        }

        IEnumerable<InstructionForm> forms = suite.Kind == SuiteKind.Branch ? BranchComparison.FormsOf(code) : comparison.FormsOf(code);
        IGrouping<OpcodeShape, InstructionForm>[] shapes = [.. forms.GroupBy(form => OpcodeShape.Of(form.Instruction))];
        int each = perShape ? cases : (cases + shapes.Length - 1) / Math.Max(shapes.Length, 1);
        int compared = 0;
        foreach (IGrouping<OpcodeShape, InstructionForm> shape in shapes)
        {
            compared += suite.Kind == SuiteKind.Branch ? branches.Run(code, each, shape) : comparison.Run(code, each, shape, suite.Kind);
        }

        Assert.That((shapes.Length > 0, compared >= cases), Is.EqualTo((true, true)), $"{compared} states of {shapes.Length} shapes");
    }
}
