using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>How much of a place in the host's file system a process sees.</summary>
internal enum PathAccess
{
    /// <summary>A folder above something allowed: it can be passed, and shows only what leads there.</summary>
    Passage,

    /// <summary>It can be read.</summary>
    Read,

    /// <summary>It can be changed, too.</summary>
    Write,
}

/// <summary>A place in the host's file system that a process sees.</summary>
/// <param name="Path">Its name without symbolic links, but for the last part where that was not to be followed.</param>
/// <param name="Access">What may be done there.</param>
internal readonly record struct HostPath(string Path, PathAccess Access)
{
    /// <summary>Looks at what is there.</summary>
    public LinuxErrno? TryStatus(out HostFileStatus status)
    {
        Errno error = HostFileStatus.TryRead(Path, follow: false, out status);
        return error == Errno.None ? null : HostErrors.Of(error);
    }
}

/// <summary>
/// The names that processes know: those of the host, as far as they were allowed, as with OpenBSD's unveil(2). Links are followed here, step
/// by step, and what they lead to is judged.
/// </summary>
internal sealed class HostPaths
{
    /// <summary>PATH_MAX.</summary>
    public const int LongestPath = 4096;

    private const int LongestName = 255, MostLinks = 40;
    private const string Self = "/proc/self/exe";

    private readonly List<LinuxPath> roots = [];
    private readonly string program;

    /// <summary>Allows a program and some paths.</summary>
    public HostPaths(string program, IReadOnlyList<LinuxPath> allowed)
    {
        this.program = Canonical(program);
        foreach (LinuxPath path in allowed)
        {
            roots.Add(path with { Path = Canonical(path.Path) });
        }
    }

    /// <summary>Finds the place that a name stands for.</summary>
    /// <param name="folder">Where relative names begin.</param>
    /// <param name="name">The name.</param>
    /// <param name="follow">Whether a link at its end is followed.</param>
    /// <param name="executable">What /proc/self/exe is.</param>
    /// <param name="place">The place, if it may be seen.</param>
    /// <returns>ENOENT, ENOTDIR, ELOOP or ENAMETOOLONG, or null.</returns>
    public LinuxErrno? Resolve(string folder, string name, bool follow, string executable, out HostPath place)
    {
        place = default;
        if (name.Length == 0)
        {
            return LinuxErrno.ENOENT;
        }

        string start = name[0] == '/' ? name : $"{folder}/{name}";
        if (start == Self)
        {
            start = executable;
        }

        if (Walk(start, follow, out string path) is { } error)
        {
            return error;
        }

        if (Judge(path) is not { } access)
        {
            return LinuxErrno.ENOENT;
        }

        place = new HostPath(path, access);
        return name[^1] == '/' && place.TryStatus(out HostFileStatus status) is null && FileType.Of(status.Mode) != FileType.Directory
            ? LinuxErrno.ENOTDIR
            : null;
    }

    /// <summary>Whether a child of a folder is shown.</summary>
    public bool Shows(HostPath folder, string child) => Judge(Join(folder.Path, child)) is not null;

    private static string Canonical(string path) =>
        Walk(Path.GetFullPath(path), follow: true, out string canonical) is null ? canonical : Path.GetFullPath(path);

    private static LinuxErrno? Walk(string start, bool follow, out string path)
    {
        Stack<string> rest = new();
        Push(rest, start);
        path = "/";
        int links = 0;
        while (rest.TryPop(out string? part))
        {
            if (part is "" or ".")
            {
                continue;
            }

            if (part == "..")
            {
                path = path.LastIndexOf('/') is > 0 and int at ? path[..at] : "/";
                continue;
            }

            string next = Join(path, part);
            if (part.Length > LongestName || next.Length > LongestPath)
            {
                return LinuxErrno.ENAMETOOLONG;
            }

            bool isLast = rest.Count == 0;
            if (isLast && !follow)
            {
                path = next;
                break;
            }

            bool exists = HostFileStatus.TryRead(next, follow: false, out HostFileStatus status) == Errno.None;
            if (exists && FileType.Of(status.Mode) == FileType.Link && new FileInfo(next).LinkTarget is { } target)
            {
                if (++links > MostLinks)
                {
                    return LinuxErrno.ELOOP;
                }

                path = target.StartsWith('/') ? "/" : path;
                Push(rest, target);
                continue;
            }

            if (!isLast && (!exists || FileType.Of(status.Mode) != FileType.Directory))
            {
                return exists ? LinuxErrno.ENOTDIR : LinuxErrno.ENOENT;
            }

            path = next;
        }

        return null;
    }

    private static void Push(Stack<string> rest, string path)
    {
        string[] parts = path.Split('/');
        for (int i = parts.Length - 1; i >= 0; i--)
        {
            rest.Push(parts[i]);
        }
    }

    private static string Join(string folder, string name) => folder == "/" ? $"/{name}" : $"{folder}/{name}";

    private static bool IsInside(string path, string root) =>
        path == root || root == "/" || (path.Length > root.Length && path[root.Length] == '/' && path.StartsWith(root, StringComparison.Ordinal));

    // The host's /proc and /dev would show this process and its devices.
    private PathAccess? Judge(string path)
    {
        if (IsInside(path, "/proc") || IsInside(path, "/dev"))
        {
            return null;
        }

        PathAccess? best = path == program ? PathAccess.Read : IsInside(program, path) ? PathAccess.Passage : null;
        foreach (LinuxPath root in roots)
        {
            PathAccess? access = IsInside(path, root.Path) ? root.Writable ? PathAccess.Write : PathAccess.Read
                : IsInside(root.Path, path) ? PathAccess.Passage
                : null;
            best = access > best || best is null ? access : best;
        }

        return best;
    }
}
