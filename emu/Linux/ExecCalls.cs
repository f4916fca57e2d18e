namespace Quadwalk.Emulation;

/// <summary>execve(2).</summary>
internal static class ExecCalls
{
    private const int MostStrings = 1 << 16, MostBytes = 1 << 20, LongestString = 128 << 10;

    /// <summary>Replaces the program of the running process.</summary>
    public static SyscallResult Execute(LinuxTask task, ulong name, ulong arguments, ulong environment)
    {
        int room = MostBytes;
        byte[][] argv = [], envp = [];
        LoadedProgram? loaded = null;
        if ((PathArgument.Read(task, name, out string path)
            ?? ReadStrings(task, arguments, ref room, out argv)
            ?? ReadStrings(task, environment, ref room, out envp)
            ?? task.Kernel.Programs.Load(task, path, argv, envp, out loaded)) is { } error)
        {
            return error;
        }

        LoadedProgram program = loaded!;
        LinuxProcess process = task.Process;
        task.Kernel.KeepOnly(task);
        AddressSpace before = process.Memory;
        process.Memory = program.Memory;
        process.Executable = program.Path;
        process.Name = program.Name;
        process.Files = Unshared(process.Files);
        process.Files.CloseOnExec();
        process.Actions = [.. process.Actions.Select(action => action.Handler == SignalAction.Ignore ? action : default)];
        process.LeftParent = true;
        task.ClearAtExit = 0;
        task.SignalStack = AlternateStack.None;
        task.Kernel.Gate.Start(program.Memory, program.Entry, program.StackPointer);
        before.Release();
        return SyscallResult.Done;
    }

    private static FileTable Unshared(FileTable files)
    {
        FileTable copy = files.Copy();
        files.Release();
        return copy;
    }

    /// <summary>Reads an array of strings that a null pointer ends.</summary>
    private static LinuxErrno? ReadStrings(LinuxTask task, ulong address, ref int room, out byte[][] strings)
    {
        strings = [];
        List<byte[]> read = [];
        for (ulong at = address; address != 0; at += sizeof(ulong))
        {
            if (!task.Memory.TryRead(at, out ulong pointer))
            {
                return LinuxErrno.EFAULT;
            }

            if (pointer == 0)
            {
                break;
            }

            if (task.Memory.ReadString(pointer, Math.Min(LongestString, room), out byte[] text) is { } error)
            {
                return error == LinuxErrno.ENAMETOOLONG ? LinuxErrno.E2BIG : error;
            }

            room -= text.Length + 1 + sizeof(ulong);
            read.Add(text);
            if (room <= 0 || read.Count > MostStrings)
            {
                return LinuxErrno.E2BIG;
            }
        }

        strings = [.. read];
        return null;
    }
}
