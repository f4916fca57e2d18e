using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>The oracle's scratch memory as a guest sees it: at the same addresses, in frames that lie apart and in reverse order.</summary>
internal sealed class PagedMemory
{
    private const int Page = 0x1000;
    private const ulong FirstFrame = 0x10_0000;

    private readonly PagedGuest guest;
    private readonly HostProcessor host;

    public PagedMemory(PagedGuest guest, HostProcessor host)
    {
        this.guest = guest;
        this.host = host;
        for (int page = 0; page < HostProcessor.ScratchSize / Page; page++)
        {
            guest.Map(host.ScratchAddress + (ulong)(page * Page), Frame(page));
        }
    }

    /// <summary>Gives the guest what the host's scratch memory holds.</summary>
    public void Fill()
    {
        for (int at = 0; at < HostProcessor.ScratchSize; at += Page)
        {
            host.Scratch.Slice(at, Page).CopyTo(guest.Ram(Frame(at / Page), Page));
        }
    }

    /// <summary>Gathers what the guest's memory holds.</summary>
    public void CopyTo(Span<byte> memory)
    {
        for (int at = 0; at < HostProcessor.ScratchSize; at += Page)
        {
            guest.Ram(Frame(at / Page), Page).CopyTo(memory[at..]);
        }
    }

    /// <summary>Gives a page other rights, or takes it away, and flushes the TLB.</summary>
    public void Protect(int page, PageRights? rights)
    {
        ulong gva = host.ScratchAddress + (ulong)(page * Page);
        if (rights is PageRights some)
        {
            guest.Map(gva, Frame(page), some);
        }
        else
        {
            guest.Unmap(gva);
        }

        guest.Cpu.FlushTlb();
    }

    private static ulong Frame(int page) => FirstFrame - (ulong)(2 * page * Page);
}
