namespace Quadwalk.Emulation;

/// <summary>clone(2), fork(2) and vfork(2).</summary>
internal static class CloneCalls
{
    /// <summary>CLONE_VM.</summary>
    public const ulong SharedMemory = 0x100;

    /// <summary>CLONE_VFORK.</summary>
    public const ulong Vfork = 0x4000;

    private const ulong Fs = 0x200, Files = 0x400, Handlers = 0x800, Thread = 0x1_0000, SysvSem = 0x4_0000, SetTls = 0x8_0000;
    private const ulong ParentSetTid = 0x10_0000, ChildClearTid = 0x20_0000, Detached = 0x40_0000, ChildSetTid = 0x100_0000;
    private const ulong SignalMask = 0xff;
    private const ulong Known = SignalMask | SharedMemory | Vfork | Fs | Files | Handlers | Thread | SysvSem | SetTls | ParentSetTid | ChildClearTid
        | Detached | ChildSetTid;

    /// <summary>Makes a process or a thread.</summary>
    public static SyscallResult Clone(LinuxTask task, ulong flags, ulong stack, ulong parentTid, ulong childTid, ulong tls)
    {
        if (task.Wait.Child is { } waited)
        {
            return waited.LeftParent ? waited.Id : SyscallResult.Block;
        }

        bool thread = (flags & Thread) != 0;
        if ((flags & ~Known) != 0 || (thread && (flags & Handlers) == 0) || ((flags & Handlers) != 0 && (flags & SharedMemory) == 0)
            || ((flags & SetTls) != 0 && !BranchTarget.IsCanonical(tls)))
        {
            return LinuxErrno.EINVAL;
        }

        if (!thread && (flags & SignalMask) is not (0 or Signal.SIGCHLD))
        {
            return LinuxErrno.EINVAL;
        }

        LinuxKernel kernel = task.Kernel;
        if (kernel.Tasks.Count >= LinuxKernel.MostTasks || task.Process.Children.Count >= LinuxKernel.MostTasks)
        {
            return LinuxErrno.EAGAIN;
        }

        if ((thread ? task.Process : TryFork(task, flags)) is not { } process)
        {
            return LinuxErrno.ENOMEM;
        }

        LinuxTask child = kernel.Add(process);
        CpuState registers = task.Registers;
        registers.Gpr[GeneralRegister.Rax] = 0;
        registers.Gpr[GeneralRegister.Rsp] = stack != 0 ? stack : registers.Gpr[GeneralRegister.Rsp];
        registers.Segments[SegmentIndex.Fs].Base = (flags & SetTls) != 0 ? tls : registers.Segments[SegmentIndex.Fs].Base;
        child.Save(registers);
        child.Blocked = task.Blocked;
        child.ClearAtExit = (flags & ChildClearTid) != 0 ? childTid : 0;
        child.SignalStack = (flags & (SharedMemory | Vfork)) == SharedMemory ? AlternateStack.None : task.SignalStack;
        if ((flags & ParentSetTid) != 0)
        {
            task.Memory.TryWrite(parentTid, child.Id);
        }

        if ((flags & ChildSetTid) != 0)
        {
            process.Memory.TryWrite(childTid, child.Id);
        }

        if ((flags & Vfork) != 0 && !thread)
        {
            task.Wait.Child = process;
            return SyscallResult.Block;
        }

        return child.Id;
    }

    private static LinuxProcess? TryFork(LinuxTask task, ulong flags)
    {
        LinuxProcess parent = task.Process;
        if (((flags & SharedMemory) != 0 ? parent.Memory.Share() : parent.Memory.TryFork()) is not { } memory)
        {
            return null;
        }

        LinuxProcess child = new(task.Kernel, task.Kernel.TakeId(), parent)
        {
            Memory = memory,
            Files = (flags & Files) != 0 ? parent.Files.Share() : parent.Files.Copy(),
            FileSystem = (flags & Fs) != 0 ? parent.FileSystem : parent.FileSystem.Copy(),
            Actions = (flags & Handlers) != 0 ? parent.Actions : [.. parent.Actions],
            Executable = parent.Executable,
            Name = parent.Name,
        };
        parent.Children.Add(child);
        return child;
    }
}
