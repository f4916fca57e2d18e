namespace Quadwalk.Tests;

/// <summary>Runs a form on the host as its use of the stack requires.</summary>
internal static class HostRun
{
    /// <summary>The state it leaves.</summary>
    public static HostState Run(HostProcessor host, InstructionForm form, HostState state)
    {
        if (FormStates.UsesStack(form))
        {
            host.RunOnStack(form.Bytes, ref state);
        }
        else
        {
            host.Run(form.Bytes, ref state);
        }

        return state;
    }
}
