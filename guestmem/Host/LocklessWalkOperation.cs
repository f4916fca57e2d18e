namespace Quadwalk.GuestMemory;

/// <summary>
/// A walk of a process's page tables without any lock, each entry read once (<c>host_pfn_mapping_level</c>, and on to the last entry): the
/// result is the level of the leaf, 1 where nothing is mapped.
/// </summary>
/// <remarks>
/// What it says may be old when it is done: who uses it looks at the notifier's sequence afterwards. The tables that it reads are there until
/// it is done, since who takes one out waits for walks (interrupts are off while it runs).
/// </remarks>
public sealed class LocklessWalkOperation : HostOperation<int>
{
    private readonly AddressSpace mm;
    private readonly Hva hva;

    /// <summary>Prepares a walk.</summary>
    /// <param name="mm">The process.</param>
    /// <param name="hva">The address.</param>
    public LocklessWalkOperation(AddressSpace mm, Hva hva)
    {
        ArgumentNullException.ThrowIfNull(mm);
        (this.mm, this.hva) = (mm, hva.Page);
    }

    /// <inheritdoc/>
    public override string Name => "host_pfn_mapping_level";

    /// <summary>The frame of the page of 4 KiB at the address; null where nothing is mapped.</summary>
    public Pfn? Frame { get; private set; }

    /// <inheritdoc/>
    protected internal override IEnumerable<Step> Steps()
    {
        Pfn table = mm.Tables.Root;
        HostPte entry = default;
        int level = HostPageTable.TopLevel;
        for (; level >= 1; level--)
        {
            yield return Step.Do($"lockless walk: read the entry of level {level}", mm.TableBit, level == HostPageTable.TopLevel ? mm.TableBit : 0);
            mm.LocklessWalks += level == HostPageTable.TopLevel ? 1 : 0;
            if (!mm.Kernel.Frames[table].Has(FrameFlags.Kernel))
            {
                mm.Kernel.Log.Report(KernelEventKind.Oops, table, "a walk without locks reads a table that was given back");
            }

            entry = mm.Tables.Read(table, hva, level);
            if (!entry.IsPresent || entry.IsLarge || level == 1)
            {
                break;
            }

            table = entry.Frame;
        }

        yield return Step.Do("lockless walk: interrupts on", 0, mm.TableBit);
        mm.LocklessWalks--;
        Frame = entry.IsPresent ? HostPageTable.FrameOf(entry, hva, level) : null;
        Result = entry.IsPresent ? level : 1;
    }
}
