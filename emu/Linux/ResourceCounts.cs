namespace Quadwalk.Emulation;

/// <summary>What processes may hold of the host at a time, all together.</summary>
internal sealed class ResourceCounts
{
    private const int MostFiles = 512, MostPipes = 1024;

    private int files;
    private int pipes;

    /// <summary>Counts a file of the host; false when there are too many.</summary>
    public bool TryTakeFile() => files < MostFiles && ++files > 0;

    /// <summary>A file was closed.</summary>
    public void ReleaseFile() => files--;

    /// <summary>Counts a pipe; false when there are too many.</summary>
    public bool TryTakePipe() => pipes < MostPipes && ++pipes > 0;

    /// <summary>A pipe was closed.</summary>
    public void ReleasePipe() => pipes--;
}
