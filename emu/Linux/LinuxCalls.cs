namespace Quadwalk.Emulation;

/// <summary>Leads system calls to what answers them. Those that are not here return ENOSYS and are counted.</summary>
internal static class LinuxCalls
{
    /// <summary>Numbers from here on are counted as one: no kernel has them.</summary>
    private const ulong Beyond = 1024;

    /// <summary>Whether a call that a signal interrupted is made again where the handler has SA_RESTART (signal(7)).</summary>
    public static bool Restarts(LinuxSyscall call) => call is LinuxSyscall.Read or LinuxSyscall.Write or LinuxSyscall.Readv or LinuxSyscall.Writev
        or LinuxSyscall.Wait4 or LinuxSyscall.Futex or LinuxSyscall.Sendfile or LinuxSyscall.Vfork or LinuxSyscall.Clone;

    /// <summary>Makes an attempt at the call that a task is in.</summary>
    public static SyscallResult Invoke(LinuxTask task) =>
        Files(task) ?? Paths(task) ?? Memory(task) ?? Processes(task) ?? Signals(task) ?? Time(task) ?? Unknown(task);

    private static SyscallResult? Files(LinuxTask task)
    {
        SyscallArguments a = task.Call;
        return a.Number switch
        {
            LinuxSyscall.Read => TransferCalls.Read(task, Int(a.A0), a.A1, a.A2),
            LinuxSyscall.Write => TransferCalls.Write(task, Int(a.A0), a.A1, a.A2),
            LinuxSyscall.Readv => TransferCalls.ReadVector(task, Int(a.A0), a.A1, Int(a.A2)),
            LinuxSyscall.Writev => TransferCalls.WriteVector(task, Int(a.A0), a.A1, Int(a.A2)),
            LinuxSyscall.Pread64 => TransferCalls.ReadAt(task, Int(a.A0), a.A1, a.A2, a.A3),
            LinuxSyscall.Pwrite64 => TransferCalls.WriteAt(task, Int(a.A0), a.A1, a.A2, a.A3),
            LinuxSyscall.Sendfile => TransferCalls.SendFile(task, Int(a.A0), Int(a.A1), a.A2, a.A3),
            LinuxSyscall.Close => task.Process.Files.Close(Int(a.A0)) ? 0 : LinuxErrno.EBADF,
            LinuxSyscall.Fstat => StatusCalls.Fstat(task, Int(a.A0), a.A1),
            LinuxSyscall.Lseek => FileCalls.Seek(task, Int(a.A0), (long)a.A1, Int(a.A2)),
            LinuxSyscall.Ioctl => FileCalls.Ioctl(task, Int(a.A0)),
            LinuxSyscall.Fcntl => FileCalls.Fcntl(task, Int(a.A0), Int(a.A1), a.A2),
            LinuxSyscall.Dup => FileCalls.Dup(task, Int(a.A0)),
            LinuxSyscall.Dup2 => FileCalls.Dup2(task, Int(a.A0), Int(a.A1)),
            LinuxSyscall.Dup3 => FileCalls.Dup3(task, Int(a.A0), Int(a.A1), Int(a.A2)),
            LinuxSyscall.Pipe => FileCalls.Pipe(task, a.A0, 0),
            LinuxSyscall.Pipe2 => FileCalls.Pipe(task, a.A0, Int(a.A1)),
            LinuxSyscall.Poll => PollCalls.Poll(task, a.A0, a.A1, Int(a.A2) < 0 ? null : (ulong)Int(a.A2) * 1_000_000),
            LinuxSyscall.Ppoll => PollCalls.PollUntil(task, a.A0, a.A1, a.A2),
            LinuxSyscall.Fsync or LinuxSyscall.Fdatasync or LinuxSyscall.Flock or LinuxSyscall.Fadvise64 => FileCalls.Check(task, Int(a.A0)),
            LinuxSyscall.Ftruncate => FileCalls.Truncate(task, Int(a.A0), a.A1),
            LinuxSyscall.Getdents64 => FileCalls.ReadEntries(task, Int(a.A0), a.A1, a.A2),
            LinuxSyscall.Socket or LinuxSyscall.Socketpair => LinuxErrno.EAFNOSUPPORT,
            _ => null,
        };
    }

    private static SyscallResult? Paths(LinuxTask task)
    {
        const int here = AtFlags.CurrentFolder;
        SyscallArguments a = task.Call;
        return a.Number switch
        {
            LinuxSyscall.Open => OpenCalls.Open(task, here, a.A0, Int(a.A1), (uint)a.A2),
            LinuxSyscall.Creat => OpenCalls.Open(task, here, a.A0, OpenFlags.Create | OpenFlags.Truncate | OpenFlags.WriteOnly, (uint)a.A1),
            LinuxSyscall.Openat => OpenCalls.Open(task, Int(a.A0), a.A1, Int(a.A2), (uint)a.A3),
            LinuxSyscall.Stat => StatusCalls.Stat(task, here, a.A0, a.A1, 0),
            LinuxSyscall.Lstat => StatusCalls.Stat(task, here, a.A0, a.A1, AtFlags.NoFollow),
            LinuxSyscall.Newfstatat => StatusCalls.Stat(task, Int(a.A0), a.A1, a.A2, Int(a.A3)),
            LinuxSyscall.Statx => StatusCalls.Statx(task, Int(a.A0), a.A1, Int(a.A2), a.A4),
            LinuxSyscall.Access => StatusCalls.Access(task, here, a.A0, Int(a.A1), 0),
            LinuxSyscall.Faccessat => StatusCalls.Access(task, Int(a.A0), a.A1, Int(a.A2), 0),
            LinuxSyscall.Faccessat2 => StatusCalls.Access(task, Int(a.A0), a.A1, Int(a.A2), Int(a.A3)),
            LinuxSyscall.Readlink => StatusCalls.ReadLink(task, here, a.A0, a.A1, a.A2),
            LinuxSyscall.Readlinkat => StatusCalls.ReadLink(task, Int(a.A0), a.A1, a.A2, a.A3),
            LinuxSyscall.Getcwd => PathCalls.GetFolder(task, a.A0, a.A1),
            LinuxSyscall.Chdir => PathCalls.ChangeFolder(task, a.A0),
            LinuxSyscall.Fchdir => PathCalls.ChangeFolder(task, Int(a.A0)),
            LinuxSyscall.Mkdir => PathCalls.MakeFolder(task, here, a.A0, (uint)a.A1),
            LinuxSyscall.Mkdirat => PathCalls.MakeFolder(task, Int(a.A0), a.A1, (uint)a.A2),
            LinuxSyscall.Rmdir => PathCalls.Unlink(task, here, a.A0, AtFlags.RemoveDirectory),
            LinuxSyscall.Unlink => PathCalls.Unlink(task, here, a.A0, 0),
            LinuxSyscall.Unlinkat => PathCalls.Unlink(task, Int(a.A0), a.A1, Int(a.A2)),
            LinuxSyscall.Rename => PathCalls.Rename(task, (here, a.A0), (here, a.A1), 0),
            LinuxSyscall.Renameat => PathCalls.Rename(task, (Int(a.A0), a.A1), (Int(a.A2), a.A3), 0),
            LinuxSyscall.Renameat2 => PathCalls.Rename(task, (Int(a.A0), a.A1), (Int(a.A2), a.A3), Int(a.A4)),
            LinuxSyscall.Symlink => PathCalls.Symlink(task, a.A0, here, a.A1),
            LinuxSyscall.Symlinkat => PathCalls.Symlink(task, a.A0, Int(a.A1), a.A2),
            LinuxSyscall.Chmod => PathCalls.ChangeMode(task, here, a.A0, (uint)a.A1),
            LinuxSyscall.Fchmodat => PathCalls.ChangeMode(task, Int(a.A0), a.A1, (uint)a.A2),
            LinuxSyscall.Fchmod => PathCalls.ChangeMode(task, Int(a.A0), (uint)a.A1),
            LinuxSyscall.Utimensat => PathCalls.SetTimes(task, Int(a.A0), a.A1, a.A2, Int(a.A3)),
            LinuxSyscall.Truncate => PathCalls.Truncate(task, a.A0, a.A1),
            LinuxSyscall.Umask => PathCalls.SetMask(task, (uint)a.A0),
            _ => null,
        };
    }

    private static SyscallResult? Memory(LinuxTask task)
    {
        SyscallArguments a = task.Call;
        return a.Number switch
        {
            LinuxSyscall.Mmap => MemoryCalls.Map(task, a.A0, a.A1, Int(a.A2), Int(a.A3), Int(a.A4), a.A5),
            LinuxSyscall.Munmap => MemoryCalls.Unmap(task, a.A0, a.A1),
            LinuxSyscall.Mprotect => MemoryCalls.Protect(task, a.A0, a.A1, Int(a.A2)),
            LinuxSyscall.Mremap => MemoryCalls.Remap(task, a.A0, a.A1, a.A2, Int(a.A3), a.A4),
            LinuxSyscall.Brk => MemoryCalls.Break(task, a.A0),
            LinuxSyscall.Madvise => MemoryCalls.Advise(task, a.A0, a.A1, Int(a.A2)),
            LinuxSyscall.Msync => 0,
            _ => null,
        };
    }

    private static SyscallResult? Processes(LinuxTask task)
    {
        SyscallArguments a = task.Call;
        return a.Number switch
        {
            LinuxSyscall.Clone => CloneCalls.Clone(task, a.A0, a.A1, a.A2, a.A3, a.A4),
            LinuxSyscall.Fork => CloneCalls.Clone(task, Signal.SIGCHLD, 0, 0, 0, 0),
            LinuxSyscall.Vfork => CloneCalls.Clone(task, CloneCalls.Vfork | CloneCalls.SharedMemory | Signal.SIGCHLD, 0, 0, 0, 0),
            LinuxSyscall.Clone3 or LinuxSyscall.Rseq => LinuxErrno.ENOSYS,
            LinuxSyscall.Execve => ExecCalls.Execute(task, a.A0, a.A1, a.A2),
            LinuxSyscall.Exit => ProcessCalls.Exit(task, Int(a.A0)),
            LinuxSyscall.ExitGroup => ProcessCalls.ExitGroup(task, Int(a.A0)),
            LinuxSyscall.Wait4 => ProcessCalls.Wait(task, Int(a.A0), a.A1, Int(a.A2), a.A3),
            LinuxSyscall.Getpid => task.Process.Id,
            LinuxSyscall.Gettid => task.Id,
            LinuxSyscall.Getppid => task.Process.Parent?.Id ?? 1,
            LinuxSyscall.Getuid or LinuxSyscall.Geteuid or LinuxSyscall.Getgid or LinuxSyscall.Getegid => ProcessCalls.User,
            LinuxSyscall.Getresuid or LinuxSyscall.Getresgid => ProcessCalls.GetUsers(task, a.A0, a.A1, a.A2),
            LinuxSyscall.Setuid or LinuxSyscall.Setgid => ProcessCalls.SetUsers(Int(a.A0)),
            LinuxSyscall.Setreuid or LinuxSyscall.Setregid => ProcessCalls.SetUsers(Int(a.A0), Int(a.A1)),
            LinuxSyscall.Setresuid or LinuxSyscall.Setresgid => ProcessCalls.SetUsers(Int(a.A0), Int(a.A1), Int(a.A2)),
            LinuxSyscall.Getgroups => 0,
            LinuxSyscall.Getpgrp => task.Process.Group.Group,
            LinuxSyscall.Getpgid => ProcessCalls.GetGroup(task, Int(a.A0), session: false),
            LinuxSyscall.Getsid => ProcessCalls.GetGroup(task, Int(a.A0), session: true),
            LinuxSyscall.Setpgid => ProcessCalls.SetGroup(task, Int(a.A0), Int(a.A1)),
            LinuxSyscall.Setsid => ProcessCalls.SetSession(task),
            LinuxSyscall.Uname => ControlCalls.Name(task, a.A0),
            LinuxSyscall.Sysinfo => ControlCalls.Information(task, a.A0),
            LinuxSyscall.Prctl => ControlCalls.Control(task, Int(a.A0), a.A1),
            LinuxSyscall.ArchPrctl => ControlCalls.ControlSegments(task, Int(a.A0), a.A1),
            LinuxSyscall.Getrlimit => ControlCalls.Limit(task, Int(a.A0), a.A1),
            LinuxSyscall.Setrlimit => ControlCalls.SetLimit(task, Int(a.A0), a.A1),
            LinuxSyscall.Prlimit64 => ControlCalls.SetLimit(task, Int(a.A0), Int(a.A1), a.A2, a.A3),
            LinuxSyscall.Getrandom => ControlCalls.Random(task, a.A0, a.A1),
            LinuxSyscall.SchedYield => ControlCalls.Yield(task),
            LinuxSyscall.SchedGetaffinity => ControlCalls.Affinity(task, a.A1, a.A2),
            LinuxSyscall.Getcpu => ControlCalls.Processor(task, a.A0, a.A1),
            LinuxSyscall.SetTidAddress => ControlCalls.SetClearAddress(task, a.A0),
            LinuxSyscall.SetRobustList => 0,
            LinuxSyscall.Futex => FutexCalls.Futex(task, a),
            _ => null,
        };
    }

    private static SyscallResult? Signals(LinuxTask task)
    {
        SyscallArguments a = task.Call;
        return a.Number switch
        {
            LinuxSyscall.RtSigaction => SignalCalls.Action(task, Int(a.A0), a.A1, a.A2, a.A3),
            LinuxSyscall.RtSigprocmask => SignalCalls.Mask(task, Int(a.A0), a.A1, a.A2, a.A3),
            LinuxSyscall.RtSigreturn => SignalCalls.Return(task),
            LinuxSyscall.RtSigsuspend => SignalCalls.Suspend(task, a.A0, a.A1),
            LinuxSyscall.RtSigpending => SignalCalls.Pending(task, a.A0, a.A1),
            LinuxSyscall.Sigaltstack => SignalCalls.Stack(task, a.A0, a.A1),
            LinuxSyscall.Pause => SyscallResult.Block,
            LinuxSyscall.Kill => SignalCalls.Kill(task, Int(a.A0), Int(a.A1)),
            LinuxSyscall.Tkill => SignalCalls.KillThread(task, null, Int(a.A0), Int(a.A1)),
            LinuxSyscall.Tgkill => SignalCalls.KillThread(task, Int(a.A0), Int(a.A1), Int(a.A2)),
            _ => null,
        };
    }

    private static SyscallResult? Time(LinuxTask task)
    {
        SyscallArguments a = task.Call;
        return a.Number switch
        {
            LinuxSyscall.ClockGettime => TimeCalls.Get(task, Int(a.A0), a.A1),
            LinuxSyscall.ClockGetres => TimeCalls.Resolution(task, Int(a.A0), a.A1),
            LinuxSyscall.Gettimeofday => TimeCalls.GetTimeOfDay(task, a.A0),
            LinuxSyscall.Time => TimeCalls.Seconds(task, a.A0),
            LinuxSyscall.Nanosleep => TimeCalls.Sleep(task, 1, 0, a.A0),
            LinuxSyscall.ClockNanosleep => TimeCalls.Sleep(task, Int(a.A0), Int(a.A1), a.A2),
            LinuxSyscall.Times => TimeCalls.Times(task, a.A0),
            LinuxSyscall.Getrusage => TimeCalls.Usage(task, Int(a.A0), a.A1),
            _ => null,
        };
    }

    private static SyscallResult Unknown(LinuxTask task)
    {
        ulong number = Math.Min((ulong)task.Call.Number, Beyond);
        task.Kernel.Unknown[number] = task.Kernel.Unknown.GetValueOrDefault(number) + 1;
        return LinuxErrno.ENOSYS;
    }

    private static int Int(ulong value) => (int)value;
}
