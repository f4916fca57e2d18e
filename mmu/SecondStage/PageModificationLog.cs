using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>The page-modification log of one processor (SDM Vol. 3C, section 29.3.6): a page of 512 guest-physical addresses, filled from its end.</summary>
public sealed class PageModificationLog
{
    /// <summary>The number of entries.</summary>
    public const int Entries = 512;

    /// <summary>A log that is empty.</summary>
    /// <param name="address">Where it lies; a multiple of 4 KiB.</param>
    /// <exception cref="ArgumentException">The address is misaligned.</exception>
    public PageModificationLog(Hpa address)
    {
        if (address.PageOffset != 0)
        {
            throw new ArgumentException($"{address} is not a multiple of 4 KiB.", nameof(address));
        }

        Address = address;
    }

    /// <summary>Where the log lies.</summary>
    public Hpa Address { get; }

    /// <summary>The PML index: the entry to be written next. It counts down, and past 0 it is 0xffff.</summary>
    public ushort Index { get; set; } = Entries - 1;

    /// <summary>There is no room: a translation that has to set a flag exits first.</summary>
    public bool IsFull => Index >= Entries;

    /// <summary>Logs the page of an address whose dirty flag became 1. Where no memory is, the store is lost, as on a bus.</summary>
    internal void Append<THost>(ref THost host, Gpa gpa)
        where THost : struct, IHostTableMemory
    {
        _ = host.TryWrite(Address + ((ulong)Index * sizeof(ulong)), gpa.Value & ~PageSize.Mask4K);
        Index--;
    }
}
