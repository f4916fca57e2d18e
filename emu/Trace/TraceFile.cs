namespace Quadwalk.Emulation;

/// <summary>
/// A file that appears under its name only when it is complete: it is written beside it under a temporary name and renamed by
/// <see cref="Complete"/>. Disposed of before that, it leaves no trace, and a file that stood there stays as it was.
/// </summary>
/// <remarks>What lies under <c>/dev</c> is written directly, since a device or a pipe cannot be replaced.</remarks>
public sealed class TraceFile : IDisposable
{
    private const string Devices = "/dev/";

    private readonly string target;
    private readonly string? temporary;
    private readonly FileStream stream;
    private bool completed;

    private TraceFile(string target, string? temporary, FileStream stream)
    {
        this.target = target;
        this.temporary = temporary;
        this.stream = stream;
    }

    /// <summary>Where to write.</summary>
    public Stream Stream => stream;

    /// <summary>Starts a file that will stand at <paramref name="path"/>; a symbolic link there is followed.</summary>
    /// <exception cref="IOException">It cannot be written, or <paramref name="path"/> is a directory.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    public static TraceFile Create(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string target = Path.GetFullPath(path);
        if (target.StartsWith(Devices, StringComparison.Ordinal))
        {
            return new TraceFile(target, null, new FileStream(target, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 1));
        }

        if (new FileInfo(target).LinkTarget is not null)
        {
            target = File.ResolveLinkTarget(target, returnFinalTarget: true)!.FullName;
        }

        if (Directory.Exists(target))
        {
            throw new IOException($"'{path}' is a directory");
        }

        string folder = Path.GetDirectoryName(target)!;
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"there is no folder '{folder}'");
        }

        string temporary = Path.Combine(folder, $".{Path.GetFileName(target)}.{Path.GetRandomFileName()}");
        return new TraceFile(target, temporary, new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.Read, 1));
    }

    /// <summary>Gives the file its name. Nothing may be written after it.</summary>
    /// <exception cref="IOException">It could not be written out or renamed; nothing is left behind.</exception>
    public void Complete()
    {
        stream.Dispose();
        if (temporary is not null)
        {
            File.Move(temporary, target, overwrite: true);
        }

        completed = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        stream.Dispose();
        if (!completed && temporary is not null)
        {
            File.Delete(temporary);
        }
    }
}
