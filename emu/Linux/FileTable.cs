using System.Diagnostics.CodeAnalysis;

namespace Quadwalk.Emulation;

/// <summary>The descriptors of a process.</summary>
internal sealed class FileTable
{
    /// <summary>RLIMIT_NOFILE.</summary>
    public const int Limit = 1024;

    private readonly List<(OpenFile? File, bool CloseOnExec)> entries = [];
    private int owners = 1;

    /// <summary>The file of a descriptor.</summary>
    public bool TryGet(long descriptor, [NotNullWhen(true)] out OpenFile? file)
    {
        file = descriptor >= 0 && descriptor < entries.Count ? entries[(int)descriptor].File : null;
        return file is not null;
    }

    /// <summary>Gives a file the lowest free descriptor from <paramref name="lowest"/> on; EMFILE, with the file untouched, where there is none.</summary>
    public SyscallResult Add(OpenFile file, bool closeOnExec = false, int lowest = 0)
    {
        int descriptor = lowest;
        while (TryGet(descriptor, out _))
        {
            descriptor++;
        }

        if (descriptor >= Limit)
        {
            return LinuxErrno.EMFILE;
        }

        Set(descriptor, file, closeOnExec);
        return descriptor;
    }

    /// <summary>Gives a file a certain descriptor, closing what had it.</summary>
    public void Set(int descriptor, OpenFile file, bool closeOnExec)
    {
        file.Acquire();
        while (entries.Count <= descriptor)
        {
            entries.Add(default);
        }

        entries[descriptor].File?.Release();
        entries[descriptor] = (file, closeOnExec);
    }

    /// <summary>Closes a descriptor; false where there is none.</summary>
    public bool Close(long descriptor)
    {
        if (!TryGet(descriptor, out OpenFile? file))
        {
            return false;
        }

        entries[(int)descriptor] = default;
        file.Release();
        return true;
    }

    /// <summary>FD_CLOEXEC of a descriptor that exists.</summary>
    public bool this[int descriptor]
    {
        get => entries[descriptor].CloseOnExec;
        set => entries[descriptor] = entries[descriptor] with { CloseOnExec = value };
    }

    /// <summary>One process more uses it (CLONE_FILES).</summary>
    public FileTable Share()
    {
        owners++;
        return this;
    }

    /// <summary>A copy with the same files.</summary>
    public FileTable Copy()
    {
        FileTable copy = new();
        foreach ((OpenFile? file, bool closeOnExec) in entries)
        {
            file?.Acquire();
            copy.entries.Add((file, closeOnExec));
        }

        return copy;
    }

    /// <summary>Closes what execve(2) closes.</summary>
    public void CloseOnExec()
    {
        for (int i = 0; i < entries.Count; i++)
        {
            if (entries[i].CloseOnExec)
            {
                Close(i);
            }
        }
    }

    /// <summary>One process less; the last closes everything.</summary>
    public void Release()
    {
        if (--owners == 0)
        {
            for (int i = 0; i < entries.Count; i++)
            {
                Close(i);
            }
        }
    }
}
