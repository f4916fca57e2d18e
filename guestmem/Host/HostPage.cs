using System.Globalization;
using System.Runtime.InteropServices;

namespace Quadwalk.GuestMemory;

/// <summary>One page of this process of a certain kind, for asking the host's kernel what it makes of it. Linux only.</summary>
public sealed class HostPage : IDisposable
{
    private const ulong VvarPages = 16;

    private readonly IDisposable? owner;
    private readonly AddressReservation? memory;

    private HostPage(HostPageKind kind, Hva address, AddressReservation? memory = null, IDisposable? owner = null)
    {
        Kind = kind;
        Address = address;
        this.memory = memory;
        this.owner = owner;
    }

    /// <summary>What it is.</summary>
    public HostPageKind Kind { get; }

    /// <summary>Its first byte.</summary>
    public Hva Address { get; }

    /// <summary>Makes a page, or finds one.</summary>
    /// <param name="kind">What it shall be. One of secret memory takes a page out of the whole machine's direct map while it lives.</param>
    /// <param name="error">Why there is none: what the host answered.</param>
    /// <returns>The page; null: this host has no such pages.</returns>
    public static HostPage? TryMake(HostPageKind kind, out Errno error)
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            error = Errno.ENOSYS;
            return null;
        }

        error = Errno.None;
        return kind switch
        {
            HostPageKind.Secret => TryMakeSecret(out error),
            HostPageKind.PfnMap => FindVvar(out error),
            HostPageKind.Poisoned => TryMakePoisoned(out error),
            HostPageKind.NoRights => TryMakeAnonymous(kind, Libc.ProtNone, out error),
            HostPageKind.Ordinary => TryMakeAnonymous(kind, Libc.ProtRead | Libc.ProtWrite, out error),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "not a kind of page"),
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        memory?.Dispose();
        owner?.Dispose();
    }

    private static HostPage? TryMakeAnonymous(HostPageKind kind, int protection, out Errno error)
    {
        AddressReservation memory = new(PageSize.Size4K);
        error = Libc.Protect(memory.Start, (nuint)memory.Length, protection) == 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
        if (error == Errno.None)
        {
            return new HostPage(kind, new Hva((ulong)memory.Start), memory);
        }

        memory.Dispose();
        return null;
    }

    private static HostPage? TryMakeSecret(out Errno error)
    {
        using MemfdHandle? file = MemfdHandle.TryOpenSecret(out error);
        if (file is null)
        {
            return null;
        }

        AddressReservation? memory = null;
        try
        {
            file.SetLength(PageSize.Size4K);
            memory = new AddressReservation(PageSize.Size4K);
            file.MapOver(memory.Start, 0, PageSize.Size4K, writable: true);
            return new HostPage(HostPageKind.Secret, new Hva((ulong)memory.Start), memory);
        }
        catch (HostMemoryException e)
        {
            // RLIMIT_MEMLOCK covers it, among others.
            memory?.Dispose();
            error = e.Error;
            return null;
        }
    }

    private static HostPage? TryMakePoisoned(out Errno error)
    {
        if (TryMakeAnonymous(HostPageKind.Poisoned, Libc.ProtRead | Libc.ProtWrite, out error) is not HostPage page)
        {
            return null;
        }

        UserFaultFile? file = UserFaultFile.TryOpen(out error);
        if (file is not null)
        {
            error = file.Poison(page.Address, PageSize.Size4K);
            if (error == Errno.None)
            {
                return new HostPage(HostPageKind.Poisoned, page.Address, page.memory, file);
            }

            file.Dispose();
        }

        page.Dispose();
        return null;
    }

    // Its first pages may be holes: the one that can be read.
    private static HostPage? FindVvar(out Errno error)
    {
        error = Errno.ENOENT;
        string? line = File.ReadLines("/proc/self/maps").FirstOrDefault(one => one.EndsWith("[vvar]", StringComparison.Ordinal));
        if (line is null || !ulong.TryParse(line.AsSpan(0, line.IndexOf('-', StringComparison.Ordinal)), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong start))
        {
            return null;
        }

        ulong end = ulong.Parse(line.AsSpan(line.IndexOf('-', StringComparison.Ordinal) + 1).ToString().Split(' ')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        for (Hva page = new(start); page.Value < Math.Min(end, start + (VvarPages << PageSize.Shift4K)); page += PageSize.Size4K)
        {
            if (NofaultCopy.TryRead64(page, out _))
            {
                error = Errno.None;
                return new HostPage(HostPageKind.PfnMap, page);
            }
        }

        return null;
    }
}
