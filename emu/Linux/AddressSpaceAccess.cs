using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>What an access to the memory of a process met.</summary>
internal enum AccessEnd
{
    /// <summary>The page is there.</summary>
    Present,

    /// <summary>No area holds the address (SEGV_MAPERR).</summary>
    NotMapped,

    /// <summary>The area does not allow it (SEGV_ACCERR).</summary>
    NotAllowed,

    /// <summary>The page lies behind the end of its file, or the file cannot be read (BUS_ADRERR).</summary>
    NoContents,

    /// <summary>Guest RAM ran out.</summary>
    NoMemory,
}

internal sealed partial class AddressSpace
{
    /// <summary>The bits of an entry that the processor sets.</summary>
    private const ulong Touched = PageTableEntry.ABit | PageTableEntry.DBit;

    /// <summary>Makes a page fit for an access of the program, if it may have it.</summary>
    /// <param name="gva">The address.</param>
    /// <param name="kind">The access.</param>
    /// <param name="gpa">Where the byte is.</param>
    public AccessEnd Resolve(ulong gva, AccessKind kind, out Gpa gpa)
    {
        gpa = default;
        if (Find(gva) is not { } area)
        {
            return AccessEnd.NotMapped;
        }

        if (!area.Allows(kind))
        {
            return AccessEnd.NotAllowed;
        }

        ulong page = gva & ~PageSize.Mask4K;
        ulong entry = table.Get(page);
        Gpa frame = UserPageTable.FrameOf(entry);
        if (entry == 0)
        {
            AccessEnd end = Make(area, page, out frame);
            if (end != AccessEnd.Present)
            {
                Exhausted |= end == AccessEnd.NoMemory;
                return end;
            }
        }
        else if (kind == AccessKind.Write && (entry & PageTableEntry.RWBit) == 0)
        {
            if (!IsOwned(area, entry) && !TryCopy(ref frame))
            {
                Exhausted = true;
                return AccessEnd.NoMemory;
            }

            table.TrySet(page, area.Entry(frame, writable: true));
            gate.FlushPage(this, page);
        }

        gpa = frame + (gva & PageSize.Mask4K);
        return AccessEnd.Present;
    }

    /// <summary>Copies memory of the program; false where it may not read it.</summary>
    public bool TryRead(ulong gva, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (gva >= End || Resolve(gva, AccessKind.Read, out Gpa gpa) != AccessEnd.Present)
            {
                return false;
            }

            int count = InPage(gva, destination.Length);
            machine.ReadMemory(gpa, destination[..count]);
            destination = destination[count..];
            gva += (ulong)count;
        }

        return true;
    }

    /// <summary>Copies into memory of the program; false where it may not write it, with the pages before it written.</summary>
    public bool TryWrite(ulong gva, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            if (gva >= End || Resolve(gva, AccessKind.Write, out Gpa gpa) != AccessEnd.Present)
            {
                return false;
            }

            int count = InPage(gva, source.Length);
            machine.WriteMemory(gpa, source[..count]);
            source = source[count..];
            gva += (ulong)count;
        }

        return true;
    }

    /// <summary>How many of the bytes at an address, from its first, the program may write.</summary>
    public ulong Writable(ulong gva, ulong length)
    {
        ulong done = 0;
        while (done < length && gva + done < End && Resolve(gva + done, AccessKind.Write, out _) == AccessEnd.Present)
        {
            done += PageSize.Size4K - ((gva + done) & PageSize.Mask4K);
        }

        return Math.Min(done, length);
    }

    /// <summary>Reads a value.</summary>
    public bool TryRead<T>(ulong gva, out T value)
        where T : unmanaged
    {
        value = default;
        return TryRead(gva, MemoryMarshal.AsBytes(new Span<T>(ref value)));
    }

    /// <summary>Writes a value.</summary>
    public bool TryWrite<T>(ulong gva, T value)
        where T : unmanaged => TryWrite(gva, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Reads up to a zero byte, which is left out.</summary>
    /// <param name="gva">Where the string begins.</param>
    /// <param name="limit">The most bytes, the zero included.</param>
    /// <param name="bytes">The string.</param>
    /// <returns>EFAULT or ENAMETOOLONG, or null.</returns>
    public LinuxErrno? ReadString(ulong gva, int limit, out byte[] bytes)
    {
        bytes = [];
        using MemoryStream text = new();
        Span<byte> part = stackalloc byte[(int)PageSize.Size4K];
        while (text.Length < limit)
        {
            Span<byte> page = part[..InPage(gva, limit - (int)text.Length)];
            if (!TryRead(gva, page))
            {
                return LinuxErrno.EFAULT;
            }

            int end = page.IndexOf((byte)0);
            text.Write(end < 0 ? page : page[..end]);
            if (end >= 0)
            {
                bytes = text.ToArray();
                return null;
            }

            gva += (ulong)page.Length;
        }

        return LinuxErrno.ENAMETOOLONG;
    }

    private static int InPage(ulong gva, int length) => (int)Math.Min((ulong)length, PageSize.Size4K - (gva & PageSize.Mask4K));

    /// <summary>Whether a page may be written without a copy.</summary>
    private bool IsOwned(MemoryArea area, ulong entry) => area.Shared is not null || !frames.IsShared(UserPageTable.FrameOf(entry));

    private AccessEnd Make(MemoryArea area, ulong page, out Gpa frame)
    {
        ulong offset = area.Offset + (page - area.Start);
        if (area.Shared is { } shared)
        {
            if (!shared.TryTake(machine, offset, out frame))
            {
                return AccessEnd.NoMemory;
            }
        }
        else
        {
            AccessEnd end = Fill(area, offset, out frame);
            if (end != AccessEnd.Present)
            {
                return end;
            }
        }

        if (table.TrySet(page, area.Entry(frame, writable: true)))
        {
            return AccessEnd.Present;
        }

        frames.Release(frame);
        return AccessEnd.NoMemory;
    }

    private AccessEnd Fill(MemoryArea area, ulong offset, out Gpa frame)
    {
        Span<byte> contents = stackalloc byte[(int)PageSize.Size4K];
        contents.Clear();
        frame = default;
        int count = area.Source?.ReadPage(offset, contents) ?? 0;
        if (count < 0 || (count == 0 && area.EndsWithSource))
        {
            return AccessEnd.NoContents;
        }

        if (!frames.TryTake(out frame))
        {
            return AccessEnd.NoMemory;
        }

        machine.WriteMemory(frame, contents);
        return AccessEnd.Present;
    }

    private bool TryCopy(ref Gpa frame)
    {
        if (!frames.TryTake(out Gpa copy))
        {
            return false;
        }

        Span<byte> contents = stackalloc byte[(int)PageSize.Size4K];
        machine.ReadMemory(frame, contents);
        machine.WriteMemory(copy, contents);
        frames.Release(frame);
        frame = copy;
        return true;
    }
}
