using System.Buffers;

namespace Quadwalk.Emulation;

/// <summary>read(2), write(2) and their relatives. A buffer that cannot be written is found out before anything is read.</summary>
internal static class TransferCalls
{
    private const int Chunk = 1 << 16, MostVectors = 1024, VectorSize = 16;
    private const ulong MostBytes = 0x7fff_f000;

    /// <summary>read(2).</summary>
    public static SyscallResult Read(LinuxTask task, int descriptor, ulong buffer, ulong count) =>
        Find(task, descriptor, write: false, out OpenFile file) ?? Wait(file, Read(task, file, null, buffer, count));

    /// <summary>pread64(2).</summary>
    public static SyscallResult ReadAt(LinuxTask task, int descriptor, ulong buffer, ulong count, ulong offset) =>
        Find(task, descriptor, write: false, out OpenFile file) ?? Read(task, file, offset, buffer, count);

    /// <summary>readv(2).</summary>
    public static SyscallResult ReadVector(LinuxTask task, int descriptor, ulong vectors, int count)
    {
        (ulong Base, ulong Length)[] parts = [];
        if ((Find(task, descriptor, write: false, out OpenFile file) ?? ReadVectors(task, vectors, count, out parts)) is { } error)
        {
            return error;
        }

        ulong total = 0;
        foreach ((ulong start, ulong length) in parts)
        {
            SyscallResult result = length == 0 ? 0 : Read(task, file, null, start, length);
            if (result.Failed)
            {
                return total == 0 ? Wait(file, result) : (long)total;
            }

            total += (ulong)result.Value;
            if ((ulong)result.Value < length)
            {
                break;
            }
        }

        return (long)total;
    }

    /// <summary>write(2).</summary>
    public static SyscallResult Write(LinuxTask task, int descriptor, ulong buffer, ulong count) =>
        Find(task, descriptor, write: true, out OpenFile file) ?? Write(task, file, [(buffer, count)]);

    /// <summary>pwrite64(2).</summary>
    public static SyscallResult WriteAt(LinuxTask task, int descriptor, ulong buffer, ulong count, ulong offset)
    {
        if (Find(task, descriptor, write: true, out OpenFile file) is { } error)
        {
            return error;
        }

        ulong done = 0;
        SyscallResult result = Copy(task, buffer, Math.Min(count, MostBytes), 0, bytes =>
        {
            SyscallResult part = file.WriteAt(offset + done, bytes.Span);
            done += part.Failed ? 0 : (ulong)part.Value;
            return part;
        });
        return done != 0 ? (long)done : result;
    }

    /// <summary>writev(2).</summary>
    public static SyscallResult WriteVector(LinuxTask task, int descriptor, ulong vectors, int count) =>
        Find(task, descriptor, write: true, out OpenFile file) is { } bad ? bad
        : ReadVectors(task, vectors, count, out (ulong Base, ulong Length)[] parts) is { } error ? error
        : Write(task, file, parts);

    /// <summary>sendfile(2).</summary>
    public static SyscallResult SendFile(LinuxTask task, int target, int source, ulong offsetAddress, ulong count)
    {
        ulong offset = 0;
        if (Find(task, target, write: true, out OpenFile to) is { } unwritable)
        {
            return unwritable;
        }

        if (Find(task, source, write: false, out OpenFile from) is { } unreadable)
        {
            return unreadable;
        }

        if (!from.HasPosition)
        {
            return LinuxErrno.EINVAL;
        }

        if (offsetAddress != 0 && !task.Memory.TryRead(offsetAddress, out offset))
        {
            return LinuxErrno.EFAULT;
        }

        ulong start = offsetAddress != 0 ? offset : (ulong)from.Seek(0, 1).Value;
        byte[] bytes = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            SyscallResult read = from.ReadAt(start, bytes.AsSpan(0, (int)Math.Min(count, Chunk)));
            if (read.Failed || read.Value == 0)
            {
                return read;
            }

            SyscallResult written = Signalled(task, to.Write(bytes.AsSpan(0, (int)read.Value)));
            if (written.Failed)
            {
                return Wait(to, written);
            }

            ulong end = start + (ulong)written.Value;
            if (offsetAddress == 0)
            {
                from.Seek((long)end, 0);
            }
            else if (!task.Memory.TryWrite(offsetAddress, end))
            {
                return LinuxErrno.EFAULT;
            }

            return written;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>EAGAIN becomes a wait, unless the file was opened with O_NONBLOCK.</summary>
    private static SyscallResult Wait(OpenFile file, SyscallResult result) =>
        result == LinuxErrno.EAGAIN && (file.Flags & OpenFlags.NonBlock) == 0 ? SyscallResult.Block : result;

    /// <summary>A write to a pipe that nobody reads sends SIGPIPE.</summary>
    private static SyscallResult Signalled(LinuxTask task, SyscallResult result)
    {
        if (result == LinuxErrno.EPIPE)
        {
            LinuxKernel.Send(task, new SignalInfo(Signal.SIGPIPE, 0, LinuxKernel.SenderOf(task.Process)));
        }

        return result;
    }

    private static SyscallResult? Find(LinuxTask task, int descriptor, bool write, out OpenFile file)
    {
        bool found = task.Process.Files.TryGet(descriptor, out OpenFile? open) && (write ? open.MayWrite : open.MayRead);
        file = open!;
        return found ? null : LinuxErrno.EBADF;
    }

    private static SyscallResult? ReadVectors(LinuxTask task, ulong address, int count, out (ulong Base, ulong Length)[] parts)
    {
        parts = [];
        if (count is < 0 or > MostVectors)
        {
            return LinuxErrno.EINVAL;
        }

        parts = new (ulong, ulong)[count];
        ulong total = 0;
        for (int i = 0; i < count; i++)
        {
            if (!task.Memory.TryRead(address + (ulong)(i * VectorSize), out ulong start)
                || !task.Memory.TryRead(address + (ulong)(i * VectorSize) + 8, out ulong length))
            {
                return LinuxErrno.EFAULT;
            }

            if (length > long.MaxValue)
            {
                return LinuxErrno.EINVAL;
            }

            length = Math.Min(length, MostBytes - total);
            total += length;
            parts[i] = (start, length);
        }

        return null;
    }

    private static SyscallResult Read(LinuxTask task, OpenFile file, ulong? offset, ulong buffer, ulong count)
    {
        count = Math.Min(count, MostBytes);
        byte[] bytes = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            ulong done = 0;
            do
            {
                ulong wanted = Math.Min(count - done, Chunk);
                int room = (int)task.Memory.Writable(buffer + done, wanted);
                if (room == 0 && wanted != 0)
                {
                    return done != 0 ? (long)done : LinuxErrno.EFAULT;
                }

                SyscallResult result = offset is { } at ? file.ReadAt(at + done, bytes.AsSpan(0, room)) : file.Read(bytes.AsSpan(0, room));
                if (result.Failed)
                {
                    return done != 0 ? (long)done : result;
                }

                task.Memory.TryWrite(buffer + done, bytes.AsSpan(0, (int)result.Value));
                done += (ulong)result.Value;
                if (result.Value < room || room == 0 || !file.HasPosition)
                {
                    break;
                }
            }
            while (done < count);

            return (long)done;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>Writes all, over as many attempts as it takes where the file waits.</summary>
    private static SyscallResult Write(LinuxTask task, OpenFile file, ReadOnlySpan<(ulong Base, ulong Length)> parts)
    {
        ulong before = 0;
        foreach ((ulong start, ulong length) in parts)
        {
            ulong size = Math.Min(length, MostBytes);
            ulong skip = Math.Min(size, task.Wait.Progress - Math.Min(before, task.Wait.Progress));
            before += size;
            if (skip == size && size != 0)
            {
                continue;
            }

            SyscallResult result = Copy(task, start, size, skip, bytes =>
            {
                SyscallResult part = file.Write(bytes.Span);
                task.Wait.Progress += part.Failed ? 0 : (ulong)part.Value;
                return part;
            });
            if (result.Failed)
            {
                SyscallResult waits = Wait(file, result);
                return waits.End == SyscallEnd.Block || task.Wait.Progress == 0 ? Signalled(task, waits) : (long)task.Wait.Progress;
            }
        }

        return (long)task.Wait.Progress;
    }

    /// <summary>Hands a buffer of the program on in chunks until one is not taken whole.</summary>
    private static SyscallResult Copy(LinuxTask task, ulong buffer, ulong count, ulong skip, Func<ReadOnlyMemory<byte>, SyscallResult> take)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            do
            {
                int part = (int)Math.Min(count - skip, Chunk);
                if (!task.Memory.TryRead(buffer + skip, bytes.AsSpan(0, part)))
                {
                    return LinuxErrno.EFAULT;
                }

                SyscallResult result = take(bytes.AsMemory(0, part));
                if (result.Failed)
                {
                    return result;
                }

                skip += (ulong)result.Value;
                if (result.Value < part)
                {
                    return LinuxErrno.EAGAIN;
                }
            }
            while (skip < count);

            return 0;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }
}
