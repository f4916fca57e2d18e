using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>mmap(2) and its relatives.</summary>
internal static class MemoryCalls
{
    private const int Shared = 1, Private = 2, SharedValidate = 3, TypeMask = 0xf, Fixed = 0x10, Anonymous = 0x20, NoReplace = 0x10_0000;
    private const int MayMove = 1, MoveFixed = 2;
    private const int DontNeed = 4;

    /// <summary>mmap(2). A mapping of a file shows what the file held when the page was first touched.</summary>
    public static SyscallResult Map(LinuxTask task, ulong address, ulong length, int protection, int flags, int descriptor, ulong offset)
    {
        AddressSpace memory = task.Memory;
        int type = flags & TypeMask;
        if (length == 0 || type is not (Shared or Private or SharedValidate) || (protection & ~7) != 0 || (offset & PageSize.Mask4K) != 0)
        {
            return LinuxErrno.EINVAL;
        }

        if (length > AddressSpace.End)
        {
            return LinuxErrno.ENOMEM;
        }

        length = Pages(length);
        Protection rights = (Protection)protection;
        bool anonymous = (flags & Anonymous) != 0;
        MemoryArea area = new(0, 0, rights) { Shared = anonymous && type != Private ? new SharedPages(task.Kernel.Frames) : null };
        if (!anonymous && Backed(task, ref area, descriptor, type != Private, offset) is { } error)
        {
            return error;
        }

        // Linux's heuristic overcommit refuses what the RAM could never hold.
        if ((rights & Protection.Write) != 0 && length / PageSize.Size4K > task.Kernel.Frames.Total)
        {
            return LinuxErrno.ENOMEM;
        }

        if ((flags & (Fixed | NoReplace)) != 0)
        {
            if ((address & PageSize.Mask4K) != 0)
            {
                return LinuxErrno.EINVAL;
            }

            if (address > AddressSpace.End || length > AddressSpace.End - address)
            {
                return LinuxErrno.ENOMEM;
            }

            if (address < AddressSpace.Lowest)
            {
                return LinuxErrno.EPERM;
            }

            if ((flags & NoReplace) != 0 && !memory.IsFree(address, address + length))
            {
                return LinuxErrno.EEXIST;
            }
        }
        else if (Place(memory, address, length) is { } found)
        {
            address = found;
        }
        else
        {
            return LinuxErrno.ENOMEM;
        }

        return memory.TryMap(area with { Start = address, End = address + length }) ? (long)address : LinuxErrno.ENOMEM;
    }

    /// <summary>munmap(2).</summary>
    public static SyscallResult Unmap(LinuxTask task, ulong address, ulong length)
    {
        if (!IsRange(address, length) || length == 0)
        {
            return LinuxErrno.EINVAL;
        }

        return task.Memory.TryUnmap(address, address + Pages(length)) ? 0 : LinuxErrno.ENOMEM;
    }

    /// <summary>mprotect(2).</summary>
    public static SyscallResult Protect(LinuxTask task, ulong address, ulong length, int protection)
    {
        if ((protection & ~7) != 0 || (address & PageSize.Mask4K) != 0)
        {
            return LinuxErrno.EINVAL;
        }

        if (!IsRange(address, length))
        {
            return LinuxErrno.ENOMEM;
        }

        return length != 0 && task.Memory.Protect(address, address + Pages(length), (Protection)protection) is { } error ? error : 0;
    }

    /// <summary>madvise(2): only MADV_DONTNEED does anything.</summary>
    public static SyscallResult Advise(LinuxTask task, ulong address, ulong length, int advice)
    {
        if (!IsRange(address, length))
        {
            return LinuxErrno.EINVAL;
        }

        if (advice == DontNeed)
        {
            task.Memory.Discard(address, address + Pages(length));
        }

        return 0;
    }

    /// <summary>brk(2): the new end of the heap, or the old one where it cannot be had.</summary>
    public static SyscallResult Break(LinuxTask task, ulong wanted)
    {
        AddressSpace memory = task.Memory;
        (ulong start, ulong end) = memory.Heap;
        if (wanted < start || wanted > AddressSpace.End)
        {
            return (long)end;
        }

        ulong before = Pages(end), after = Pages(wanted);
        if (after > before)
        {
            MemoryArea area = new(before, after, Protection.Read | Protection.Write) { IsHeap = true };
            bool fits = (after - before) / PageSize.Size4K <= task.Kernel.Frames.Total && memory.IsFree(before, after);
            if (!fits || !memory.TryMap(area))
            {
                return (long)end;
            }
        }
        else if (after < before && !memory.TryUnmap(after, before))
        {
            return (long)end;
        }

        memory.Heap = (start, wanted);
        return (long)wanted;
    }

    /// <summary>mremap(2).</summary>
    public static SyscallResult Remap(LinuxTask task, ulong address, ulong oldLength, ulong newLength, int flags, ulong target)
    {
        AddressSpace memory = task.Memory;
        bool fixedTarget = (flags & MoveFixed) != 0;
        if ((flags & ~(MayMove | MoveFixed)) != 0 || (fixedTarget && (flags & MayMove) == 0) || newLength == 0 || oldLength == 0
            || !IsRange(address, oldLength) || newLength > AddressSpace.End)
        {
            return LinuxErrno.EINVAL;
        }

        (oldLength, newLength) = (Pages(oldLength), Pages(newLength));
        if (memory.Find(address) is not { } area || area.End - address < oldLength)
        {
            return LinuxErrno.EFAULT;
        }

        MemoryArea moved = area.Part(address, address + oldLength);
        if (!fixedTarget && newLength <= oldLength)
        {
            return newLength == oldLength || memory.TryUnmap(address + newLength, address + oldLength) ? (long)address : LinuxErrno.ENOMEM;
        }

        if (newLength > oldLength && (newLength - oldLength) / PageSize.Size4K > task.Kernel.Frames.Total)
        {
            return LinuxErrno.ENOMEM;
        }

        if (!fixedTarget && newLength <= AddressSpace.End - address && memory.IsFree(address + oldLength, address + newLength))
        {
            MemoryArea rest = moved with { Start = address + oldLength, End = address + newLength, Offset = moved.Offset + oldLength };
            return memory.TryMap(rest) ? (long)address : LinuxErrno.ENOMEM;
        }

        if ((flags & MayMove) == 0)
        {
            return LinuxErrno.ENOMEM;
        }

        return Move(memory, moved, fixedTarget ? target : null, newLength);
    }

    private static SyscallResult Move(AddressSpace memory, MemoryArea area, ulong? target, ulong length)
    {
        if (target is { } wanted)
        {
            bool overlaps = wanted < area.End && area.Start < wanted + length;
            if (!IsRange(wanted, length) || wanted < AddressSpace.Lowest || overlaps)
            {
                return LinuxErrno.EINVAL;
            }

            if (!memory.TryUnmap(wanted, wanted + length))
            {
                return LinuxErrno.ENOMEM;
            }
        }

        return (target ?? memory.FindFree(length)) is { } place && memory.TryMove(area, place, length) ? (long)place : LinuxErrno.ENOMEM;
    }

    private static ulong? Place(AddressSpace memory, ulong hint, ulong length)
    {
        ulong start = hint & ~PageSize.Mask4K;
        bool fits = start >= AddressSpace.Lowest && start < AddressSpace.End && length <= AddressSpace.End - start && memory.IsFree(start, start + length);
        return fits ? start : memory.FindFree(length);
    }

    private static LinuxErrno? Backed(LinuxTask task, ref MemoryArea area, int descriptor, bool shared, ulong offset)
    {
        if (!task.Process.Files.TryGet(descriptor, out OpenFile? file))
        {
            return LinuxErrno.EBADF;
        }

        if (file is not HostFile host || (shared && (area.Protection & Protection.Write) != 0))
        {
            return LinuxErrno.ENODEV;
        }

        if (!host.MayRead)
        {
            return LinuxErrno.EACCES;
        }

        area = area with { Source = host, Offset = offset, EndsWithSource = true, MayWrite = !shared };
        return null;
    }

    private static bool IsRange(ulong address, ulong length) =>
        (address & PageSize.Mask4K) == 0 && address < AddressSpace.End && length <= AddressSpace.End - address;

    private static ulong Pages(ulong length) => (length + PageSize.Mask4K) & ~PageSize.Mask4K;
}
