using System.Text;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>A program in an address space of its own, not yet started.</summary>
internal sealed record LoadedProgram(AddressSpace Memory, string Path, byte[] Name, ulong Entry, ulong StackPointer);

/// <summary>Loads programs, and keeps the last few parsed ones.</summary>
internal sealed class ProgramStore(LinuxKernel kernel)
{
    private const int Most = 16, LongestName = 15, LargestFile = 1 << 30, LongestScriptLine = 256, DeepestScript = 4;

    private readonly List<(string Path, HostFileStatus Status, LinuxExecutable Program)> kept = [];

    /// <summary>Loads the program of the first process.</summary>
    /// <exception cref="ImageFormatException">It cannot be run.</exception>
    public LoadedProgram LoadFirst()
    {
        LinuxOptions options = kernel.Options;
        if (kernel.Paths.Resolve("/", Path.GetFullPath(options.Program), follow: true, "", out HostPath place) is { } error)
        {
            throw new ImageFormatException($"it cannot be run: {error}");
        }

        if (TryRead(place, out byte[] bytes) is { } unreadable)
        {
            throw new ImageFormatException($"it cannot be read: {unreadable}");
        }

        LinuxExecutable program = LinuxExecutable.Parse(bytes);
        Keep(place, program);
        byte[][] arguments = [.. options.Arguments.Select(Encoding.UTF8.GetBytes)];
        byte[][] environment = [.. options.Environment.Select(Encoding.UTF8.GetBytes)];
        byte[] name = Encoding.UTF8.GetBytes(options.Program);
        return Place(program, place.Path, name, arguments, environment, out LinuxErrno? failure)
            ?? throw new ImageFormatException(failure == LinuxErrno.E2BIG
                ? "its arguments and environment are too long: give shorter ones"
                : $"it does not fit in 0x{kernel.Machine.Options.RamBytes:x} bytes of RAM: give the machine more with -m");
    }

    /// <summary>Loads a program, or the interpreter of a script.</summary>
    /// <param name="task">Who asks; relative names begin in its folder.</param>
    /// <param name="name">The name of the file.</param>
    /// <param name="arguments">argv.</param>
    /// <param name="environment">envp.</param>
    /// <param name="program">The program.</param>
    public LinuxErrno? Load(LinuxTask task, string name, byte[][] arguments, byte[][] environment, out LoadedProgram? program)
    {
        program = null;
        for (int depth = 0; depth < DeepestScript; depth++)
        {
            if (PathArgument.Resolve(task, AtFlags.CurrentFolder, name, follow: true, out HostPath place) is { } error)
            {
                return error;
            }

            if (Find(place, out LinuxExecutable? executable, out byte[] script) is { } bad)
            {
                return bad;
            }

            byte[] title = Encoding.UTF8.GetBytes(name);
            if (executable is not null)
            {
                program = Place(executable, place.Path, title, arguments, environment, out LinuxErrno? failure);
                return failure;
            }

            if (!TryInterpret(script, title, ref name, ref arguments))
            {
                return LinuxErrno.ENOEXEC;
            }
        }

        return LinuxErrno.ELOOP;
    }

    private LinuxErrno? Find(HostPath place, out LinuxExecutable? executable, out byte[] script)
    {
        executable = null;
        script = [];
        if (place.TryStatus(out HostFileStatus status) is { } missing)
        {
            return missing;
        }

        if (FileType.Of(status.Mode) != FileType.Regular || (status.Mode & 0x49) == 0 || place.Access == PathAccess.Passage)
        {
            return LinuxErrno.EACCES;
        }

        foreach ((string path, HostFileStatus known, LinuxExecutable program) in kept)
        {
            if (path == place.Path && known.Modified == status.Modified && known.Size == status.Size && known.Inode == status.Inode)
            {
                executable = program;
                return null;
            }
        }

        if (TryRead(place, out byte[] bytes) is { } unreadable)
        {
            return unreadable;
        }

        if (bytes.AsSpan().StartsWith("#!"u8))
        {
            script = bytes;
            return null;
        }

        try
        {
            executable = LinuxExecutable.Parse(bytes);
        }
        catch (ImageFormatException e)
        {
            if (bytes.AsSpan().StartsWith("\u007fELF"u8))
            {
                kernel.Options.Complain?.Invoke($"{place.Path}: {e.Message}");
            }

            return LinuxErrno.ENOEXEC;
        }

        Keep(place, executable);
        return null;
    }

    private void Keep(HostPath place, LinuxExecutable program)
    {
        if (place.TryStatus(out HostFileStatus status) is not null)
        {
            return;
        }

        kept.RemoveAll(entry => entry.Path == place.Path);
        if (kept.Count == Most)
        {
            kept.RemoveAt(0);
        }

        kept.Add((place.Path, status, program));
    }

    private static LinuxErrno? TryRead(HostPath place, out byte[] bytes)
    {
        bytes = [];
        try
        {
            using FileStream file = new(place.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            if (file.Length > LargestFile)
            {
                return LinuxErrno.EFBIG;
            }

            bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return null;
        }
        catch (Exception e) when (HostErrors.TryTell(e, out LinuxErrno error))
        {
            return error;
        }
    }

    /// <summary>Makes <c>#! interpreter argument</c> the program, and the script its next argument (execve(2)).</summary>
    private static bool TryInterpret(byte[] script, byte[] title, ref string name, ref byte[][] arguments)
    {
        ReadOnlySpan<byte> line = script.AsSpan(2, Math.Min(script.Length, LongestScriptLine) - 2);
        int end = line.IndexOf((byte)'\n');
        string[] words = Encoding.UTF8.GetString(end < 0 ? line : line[..end]).Trim().Split([' ', '\t'], 2, StringSplitOptions.TrimEntries);
        if (words[0].Length == 0)
        {
            return false;
        }

        name = words[0];
        arguments = [.. words.Select(Encoding.UTF8.GetBytes), title, .. arguments.Skip(1)];
        return true;
    }

    private LoadedProgram? Place(
        LinuxExecutable program, string path, byte[] name, byte[][] arguments, byte[][] environment, out LinuxErrno? error)
    {
        error = LinuxErrno.ENOMEM;
        if (AddressSpace.TryCreate(kernel.Machine, kernel.Gate, kernel.Frames) is not { } memory)
        {
            return null;
        }

        ulong stackBottom = AddressSpace.End - AddressSpace.StackBytes;
        ulong heap = (program.End + PageSize.Mask4K) & ~PageSize.Mask4K;
        memory.Heap = (heap, heap);
        ulong? stackPointer = null;
        if (memory.TryMap(new MemoryArea(stackBottom, AddressSpace.End, Protection.Read | Protection.Write)) && program.TryMap(memory))
        {
            stackPointer = InitialStack.TryBuild(kernel, memory, program, name, arguments, environment, out error);
        }

        if (stackPointer is not { } top)
        {
            memory.Release();
            return null;
        }

        error = null;
        byte[] shortName = name[(Array.LastIndexOf(name, (byte)'/') + 1)..];
        return new LoadedProgram(memory, path, shortName[..Math.Min(shortName.Length, LongestName)], program.Entry, top);
    }
}
