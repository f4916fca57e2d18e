namespace Quadwalk.GuestMemory;

/// <summary>Mistakes that the modelled host can be told to make. Each breaks an invariant, and the test of that invariant has to notice.</summary>
[Flags]
public enum InjectedFaults
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>A page goes back to the allocator without its place in the direct map.</summary>
    ForgetDirectMapRestore = 1 << 0,

    /// <summary>A fault installs its entry without looking at the notifier's sequence again.</summary>
    SkipInvalidateCheck = 1 << 1,

    /// <summary>Migration does not mind pins.</summary>
    MigratePinned = 1 << 2,

    /// <summary>A change of a process's page tables does not call its notifiers.</summary>
    SkipNotifier = 1 << 3,

    /// <summary>Frames leave the direct map without a flush.</summary>
    SkipFlush = 1 << 4,

    /// <summary>The inner of two nested uses of the direct map takes the frame out again, as if it were the only one.</summary>
    MiscountDirectMapUses = 1 << 5,

    /// <summary>A slot of a window is used again before the flush that follows its last use.</summary>
    ReuseWindowBeforeFlush = 1 << 6,

    /// <summary>An interrupt that came in the window of a temporary view returns without that view.</summary>
    ForgetViewRestore = 1 << 7,

    /// <summary>The end of an invalidation lowers its counts before the sequence has grown.</summary>
    SequenceAfterCount = 1 << 8,

    /// <summary>A change of the memslots does not wait for those who still use the old ones.</summary>
    SkipSynchronizeSrcu = 1 << 9,

    /// <summary>A large entry of the second stage is made although slot, attributes or file do not allow its size.</summary>
    IgnoreLevelLimits = 1 << 10,

    /// <summary>A read fault makes a writable entry of the second stage without asking whether the host's is.</summary>
    WritableUnasked = 1 << 11,

    /// <summary>Of two caches of frames that show one guest frame, the second is not listed for the notifier.</summary>
    CacheNotListed = 1 << 12,

    /// <summary>The second stage loses a translation or a right, and no vCPU is told to flush.</summary>
    SkipStageTwoFlush = 1 << 13,

    /// <summary>A vCPU enters the guest without a last look at its requests and its caches of frames.</summary>
    EnterWithoutRecheck = 1 << 14,

    /// <summary>Large entries are made beside a change of attributes that is going to make their frames differ.</summary>
    LargePagesBesideConversion = 1 << 15,

    /// <summary>
    /// 6.12 takes a reference of a frame that it found in a page table without asking whether there are any, as KVM did up to Linux 5.12.
    /// </summary>
    TakeForeignReference = 1 << 16,

    /// <summary>A page keeps the reference of an entry that is zapped.</summary>
    KeepReferenceOnZap = 1 << 20,

    /// <summary>get_user_pages without locks takes pages of mappings that it should refuse.</summary>
    FastIgnoresMapping = 1 << 21,

    /// <summary>A conversion to private does not mind references of others.</summary>
    ConvertHeld = 1 << 22,

    /// <summary>A fault that finds no frame for a table does not give the page back that it has made.</summary>
    KeepPageOnFailure = 1 << 23,

    /// <summary>Writeback marks a page clean and writes it out before it takes the right to write away.</summary>
    CleanBeforeProtect = 1 << 24,

    /// <summary>A page that the hardware has lost stays mapped.</summary>
    PoisonWithoutUnmapping = 1 << 25,

    /// <summary>Collapsing pages into a large one does not mind references and pins.</summary>
    CollapseHeld = 1 << 26,

    /// <summary>Splitting a large page does not mind references and pins.</summary>
    SplitHeld = 1 << 27,

    /// <summary>Reclaim does not mind references and pins.</summary>
    ReclaimHeld = 1 << 28,

    /// <summary>A large page's table is given back while walks without locks may be in it.</summary>
    FreeTableAtOnce = 1 << 29,
}
