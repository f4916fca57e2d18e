namespace Quadwalk.Cli;

/// <summary>One line on a terminal that is drawn over and over, and erased at the end. Callers lock it.</summary>
internal sealed class StatusLine(TextWriter terminal)
{
    private const string ToStartAndErase = "\r\u001b[K";

    private bool drawn;

    /// <summary>Whether the cursor stands where a line may be drawn; guest output that ends within a line takes its place.</summary>
    public bool AtLineStart { get; set; } = true;

    public void Draw(string text)
    {
        if (AtLineStart)
        {
            terminal.Write(ToStartAndErase + text);
            terminal.Flush();
            drawn = true;
        }
    }

    public void Erase()
    {
        if (drawn)
        {
            terminal.Write(ToStartAndErase);
            terminal.Flush();
            drawn = false;
        }
    }
}
