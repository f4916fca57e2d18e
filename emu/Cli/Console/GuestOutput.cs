namespace Quadwalk.Cli;

/// <summary>The guest's console on standard output. An error ends the run rather than the process, and the status line makes way.</summary>
internal sealed class GuestOutput(Stream target, StatusLine? status) : OutputStream(target)
{
    /// <summary>Called when the output can no longer be written.</summary>
    public Action? Closed { get; set; }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (status is null || buffer.IsEmpty)
        {
            base.Write(buffer);
            return;
        }

        lock (status)
        {
            status.Erase();
            base.Write(buffer);
            status.AtLineStart = buffer[^1] == '\n';
        }
    }

    protected override void OnFailure(OutputException failure) => Closed?.Invoke();
}
