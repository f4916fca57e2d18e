namespace Unicorn.Net;

/// <content>Memory.</content>
public sealed unsafe partial class UnicornEngine
{
    /// <summary>The regions of mapped memory, in the order of their addresses.</summary>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public MemoryRegion[] Regions
    {
        get
        {
            Check(NativeMethods.Regions(handle, out MemoryRegion* regions, out uint count));
            try
            {
                MemoryRegion[] result = new ReadOnlySpan<MemoryRegion>(regions, (int)count).ToArray();
                Array.Sort(result, (left, right) => left.Begin.CompareTo(right.Begin));
                return result;
            }
            finally
            {
                _ = NativeMethods.Free(regions);
            }
        }
    }

    /// <summary>Maps zeroed memory that the engine allocates.</summary>
    /// <param name="address">Where; a multiple of 4096.</param>
    /// <param name="size">A multiple of 4096 bytes.</param>
    /// <param name="permissions">What may be done with it.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void Map(ulong address, nuint size, MemoryPermissions permissions) => Check(NativeMethods.Map(handle, address, size, permissions));

    /// <summary>Maps memory of the host.</summary>
    /// <param name="address">Where; a multiple of 4096.</param>
    /// <param name="size">A multiple of 4096 bytes.</param>
    /// <param name="permissions">What may be done with it.</param>
    /// <param name="memory">The host's memory, which stays where it is until it is unmapped or the engine closed: never that of a movable object.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void MapPointer(ulong address, nuint size, MemoryPermissions permissions, nint memory) =>
        Check(NativeMethods.MapPointer(handle, address, size, permissions, memory));

    /// <summary>Maps a device.</summary>
    /// <param name="address">Where; a multiple of 4096.</param>
    /// <param name="size">A multiple of 4096 bytes.</param>
    /// <param name="device">The device.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void MapMmio(ulong address, nuint size, MmioHandler device)
    {
        ArgumentNullException.ThrowIfNull(device);
        nint target = handle.Keep(new HookTarget<MmioHandler>(this, device));
        delegate* unmanaged[Cdecl]<nint, ulong, uint, nint, ulong> read = &HookThunks.MmioRead;
        delegate* unmanaged[Cdecl]<nint, ulong, uint, ulong, nint, void> write = &HookThunks.MmioWrite;
        UnicornError error = NativeMethods.MapMmio(handle, address, size, read, target, write, target);
        if (error != UnicornError.Ok)
        {
            handle.Release(target);
        }

        Check(error);
    }

    /// <summary>Unmaps memory; a region may be taken in part.</summary>
    /// <param name="address">Where; a multiple of 4096.</param>
    /// <param name="size">A multiple of 4096 bytes, all mapped.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void Unmap(ulong address, nuint size) => Check(NativeMethods.Unmap(handle, address, size));

    /// <summary>Changes what may be done with memory.</summary>
    /// <param name="address">Where; a multiple of 4096.</param>
    /// <param name="size">A multiple of 4096 bytes, all mapped.</param>
    /// <param name="permissions">What may be done from now on.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void Protect(ulong address, nuint size, MemoryPermissions permissions) =>
        Check(NativeMethods.Protect(handle, address, size, permissions));

    /// <summary>Reads memory, whatever its permissions. Addresses are physical: no page table is looked at.</summary>
    /// <param name="address">The first byte.</param>
    /// <param name="bytes">Receives them.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void Read(ulong address, Span<byte> bytes)
    {
        fixed (byte* pointer = bytes)
        {
            Check(NativeMethods.ReadMemory(handle, address, pointer, (nuint)bytes.Length));
        }
    }

    /// <summary>Writes memory, whatever its permissions. Addresses are physical: no page table is looked at.</summary>
    /// <param name="address">The first byte.</param>
    /// <param name="bytes">What to write.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* pointer = bytes)
        {
            Check(NativeMethods.WriteMemory(handle, address, pointer, (nuint)bytes.Length));
        }
    }
}
