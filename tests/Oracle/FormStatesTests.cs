using NUnit.Framework;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class FormStatesTests
{
    /// <summary>A fault here ends the test process, which is the failure this test looks for.</summary>
    [TestCaseSource(typeof(InstructionFamilies), nameof(InstructionFamilies.All))]
    public void EveryFormRunsOnTheHost(InstructionFamily family)
    {
        if (!HostProcessor.IsSupported)
        {
            Assert.Ignore("needs an x64 Linux host");
        }

        using HostProcessor host = new();
        FormStates states = new(host, new OperandSource(11));
        FormOptions options = new(StackPointer: true, AbsoluteAddress: host.ScratchAddress + 0x100);
        InstructionForm[] forms = [.. InstructionForms.Of(family, options)];
        int ran = 0, changed = 0;
        foreach (InstructionForm form in forms)
        {
            bool any = false;
            for (int i = 0; i < 3; i++)
            {
                if (states.TryNext(form, out HostState before))
                {
                    HostState after = before;
                    if (FormStates.UsesStack(form))
                    {
                        host.RunOnStack(form.Bytes, ref after);
                    }
                    else
                    {
                        host.Run(form.Bytes, ref after);
                    }

                    any = true;
                    changed += Same(before, after) ? 0 : 1;
                }
            }

            ran += any ? 1 : 0;
        }

        using (Assert.EnterMultipleScope())
        {
            Assert.That(ran, Is.GreaterThan(forms.Length * 9 / 10));
            Assert.That(changed, Is.GreaterThan(ran / 4), "instructions change registers");
        }
    }

    private static bool Same(in HostState left, in HostState right) =>
        Bytes(left).SequenceEqual(Bytes(right));

    private static ReadOnlySpan<byte> Bytes(in HostState state) =>
        System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<HostState>(in state));
}
