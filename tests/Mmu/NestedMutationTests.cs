using NUnit.Framework;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The nested sweeps notice when a nested walk is wrong: each mistake must be seen in some state of a normal run.</summary>
[TestFixture]
internal sealed class NestedMutationTests
{
    private const int Samples = 200_000;
    private const ulong A = 1 << 5, D = 1 << 6;

    private static readonly (string Name, NestedMistake Mistake)[] mistakes =
    [
        ("EPT accessed and dirty flags never enabled", new(Ept: state => Again(state, accessedDirty: false))),
        ("EPT accessed and dirty flags always enabled", new(Ept: state => Again(state, accessedDirty: true))),
        ("mode-based execute control ignored", new(Ept: state => Again(state, modeBased: false))),
        ("mode-based execute control taken for on", new(Ept: state => Again(state, modeBased: true))),
        ("execute-only taken for supported", new(Ept: state => Again(state, set: EptCapabilities.ExecuteOnlyBit))),
        ("execute-only taken for unsupported", new(Ept: state => Again(state, clear: EptCapabilities.ExecuteOnlyBit))),
        ("advanced information always given", new(Ept: state => Again(state, set: EptCapabilities.AdvancedInformationBit))),
        ("advanced information never given", new(Ept: state => Again(state, clear: EptCapabilities.AdvancedInformationBit))),
        ("EPT without 2 MiB pages", new(Ept: state => Again(state, clear: EptCapabilities.Page2MBit))),
        ("EPT without 1 GiB pages", new(Ept: state => Again(state, clear: EptCapabilities.Page1GBit))),
        ("the host's NXE ignored", new(Npt: _ => HostOf(0))),
        ("the host's NXE taken for set", new(Npt: _ => HostOf(PagingState.EferNXE))),
        ("the host without 1 GiB pages", new(Npt: _ => HostOf(PagingState.EferNXE, page1G: false))),
        ("the host's MAXPHYADDR taken for 52", new(Npt: state => HostOf(state.Paging.Efer & PagingState.EferNXE, physicalBits: 52))),
        ("CR0.WP ignored", new(Guest: state => state with { Cr0 = state.Cr0 & ~PagingState.Cr0WP })),
        ("CR0.WP taken for set", new(Guest: state => state with { Cr0 = state.Cr0 | PagingState.Cr0WP })),
        ("SMEP ignored", new(Guest: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4SMEP })),
        ("SMAP ignored", new(Guest: state => state with { Cr4 = state.Cr4 & ~PagingState.Cr4SMAP })),
        ("the guest's NXE ignored", new(Guest: state => state with { Efer = state.Efer & ~PagingState.EferNXE })),
        ("the guest's MAXPHYADDR taken for 52", new(Guest: state => state with { PhysicalAddressBits = 52 })),
        ("the policy for accessed flags ignored", new(Guest: state => state with { Accessed = AccessedPolicy.OnSuccess })),
        ("every access the supervisor's", new(Access: access => access with { User = false })),
        ("implicit accesses taken for explicit", new(Access: access => access with { Implicit = false })),
        ("writes taken for reads", new(Access: access => access.Kind == AccessKind.Write ? access with { Kind = AccessKind.Read } : access)),
        ("fetches taken for reads", new(Access: access => access.Kind == AccessKind.Execute ? access with { Kind = AccessKind.Read } : access)),
        ("A never set in the guest's entries", new(GuestFlagsNotSet: A)),
        ("D never set in the guest's entries", new(GuestFlagsNotSet: D)),
        ("A never set in extended page tables", new(SecondFlagsNotSet: SdmEptRules.A)),
        ("D never set in extended page tables", new(SecondFlagsNotSet: SdmEptRules.D)),
        ("A never set in nested page tables", new(SecondFlagsNotSet: A)),
        ("D never set in nested page tables", new(SecondFlagsNotSet: D)),
        ("the larger page counts", new(Result: result => result.Succeeded
            ? Changed(result, pageShift: Math.Max(result.Guest.PageShift, result.SecondStage.PageShift)) : result)),
        ("the guest's rights alone count", new(Result: result => result.Succeeded ? Changed(result, rights: result.Guest.Rights) : result)),
        .. Enumerable.Range(0, 12).Select(bit => ($"bit {bit} missing from the qualification", Without(1UL << bit))),
        ("bit 32 missing from EXITINFO1", Without(1UL << 32)),
        ("bit 33 missing from EXITINFO1", Without(1UL << 33)),
        ("an exit reports the page of the address alone", new(Result: result => result.Exit != SecondStageExitReason.None
            ? Changed(result, gpa: result.Gpa.Value & ~0xfffUL) : result)),
    ];

    private static IEnumerable<TestCaseData> Mistakes => mistakes.Select(item => new TestCaseData(item.Mistake).SetArgDisplayNames(item.Name));

    [TestCaseSource(nameof(Mistakes))]
    public void ANestedWalkThatIsWrongIsNoticed(object mistake) => Assert.That(IsNoticed((NestedMistake)mistake));

    [Test]
    public void TheNestedWalkIsNotMistaken() => Assert.That(IsNoticed(new NestedMistake()), Is.False);

    private static bool IsNoticed(NestedMistake mistake)
    {
        foreach (int samples in (int[])[2000, Samples])
        {
            foreach (Sweep sweep in NestedSweeps.Whole)
            {
                NestedSweepCheck check = new(sweep, mistake);
                NestedSweepTests.Sample(sweep, check, samples);
                if (check.Mismatches > 0)
                {
                    return true;
                }
            }
        }

        return false;
    }

    private static NestedMistake Without(ulong bit) => new(Result: result => Changed(result, qualification: result.SecondStage.Qualification & ~bit));

    private static NestedWalkResult Changed(in NestedWalkResult result, int? pageShift = null, PageRights? rights = null, ulong? qualification = null, ulong? gpa = null) => new()
    {
        Guest = result.Guest,
        SecondStage = result.SecondStage with { Qualification = qualification ?? result.SecondStage.Qualification },
        Access = result.Access,
        Gpa = new(gpa ?? result.Gpa.Value),
        Gva = result.Gva,
        Hpa = result.Hpa,
        Rights = rights ?? result.Rights,
        PageShift = pageShift ?? result.PageShift,
    };

    private static EptState Again(in EptState state, bool? accessedDirty = null, bool? modeBased = null, ulong set = 0, ulong clear = 0) => new(
        EptPointer.To(state.Eptp.Root, state.Levels, accessedDirty ?? state.AccessedDirty), state.PhysicalAddressBits,
        new EptCapabilities((state.Capabilities.Raw | set) & ~clear), modeBased ?? state.ModeBasedExecute);

    private static NptState HostOf(ulong efer, bool page1G = true, byte physicalBits = NestedLayout.PhysicalBits) =>
        new(NestedLayout.Root, PagingState.Cr4PAE, PagingState.EferLMA | efer, physicalBits, page1G);
}
