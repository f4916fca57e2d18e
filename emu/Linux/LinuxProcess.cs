namespace Quadwalk.Emulation;

/// <summary>The working directory and the file mode mask, which CLONE_FS shares.</summary>
internal sealed class FileSystemState
{
    /// <summary>The working directory.</summary>
    public required string Folder { get; set; }

    /// <summary>umask(2).</summary>
    public uint Mask { get; set; } = 0x12;

    /// <summary>A copy for a new process.</summary>
    public FileSystemState Copy() => new() { Folder = Folder, Mask = Mask };
}

/// <summary>A process: what its threads have in common.</summary>
internal sealed class LinuxProcess(LinuxKernel kernel, int id, LinuxProcess? parent)
{
    /// <summary>The kernel that runs it.</summary>
    public LinuxKernel Kernel { get; } = kernel;

    /// <summary>The process id.</summary>
    public int Id { get; } = id;

    /// <summary>Who waits for it; null for the first process and for orphans, which nobody waits for.</summary>
    public LinuxProcess? Parent { get; set; } = parent;

    /// <summary>The process group and the session.</summary>
    public (int Group, int Session) Group { get; set; } = parent?.Group ?? (id, id);

    /// <summary>Its memory.</summary>
    public required AddressSpace Memory { get; set; }

    /// <summary>Its descriptors.</summary>
    public required FileTable Files { get; set; }

    /// <summary>Its working directory and mask.</summary>
    public required FileSystemState FileSystem { get; set; }

    /// <summary>What it does on each signal, by number.</summary>
    public required SignalAction[] Actions { get; set; }

    /// <summary>What /proc/self/exe is.</summary>
    public required string Executable { get; set; }

    /// <summary>PR_SET_NAME, 15 bytes at most.</summary>
    public byte[] Name { get; set; } = [];

    /// <summary>Its threads, the running ones.</summary>
    public List<LinuxTask> Threads { get; } = [];

    /// <summary>Its children, dead ones that nobody waited for included.</summary>
    public List<LinuxProcess> Children { get; } = [];

    /// <summary>Signals to the process as a whole.</summary>
    public PendingSignals Pending { get; } = new();

    /// <summary>Whether a stop signal holds it.</summary>
    public bool Stopped { get; set; }

    /// <summary>Set by execve(2) and by the end: the parent of a vfork goes on.</summary>
    public bool LeftParent { get; set; }

    /// <summary>What wait4(2) reports, once it is dead.</summary>
    public int? WaitStatus { get; set; }

    /// <summary>The instructions that its threads retired.</summary>
    public ulong Instructions { get; set; }

    /// <summary>The same of its children that were waited for.</summary>
    public ulong ChildInstructions { get; set; }
}
