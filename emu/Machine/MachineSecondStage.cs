using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>
/// The machine's own second stage: extended page tables in host frames, which take guest-physical addresses to the host-physical addresses of
/// the memslots' memory. Pages are installed when a processor's access leaves the guest with an EPT violation, as large as the slot and the
/// alignment on both sides allow, and zapped when their slot goes or changes. A violation that no memslot answers is the hypervisor's to emulate.
/// </summary>
/// <remarks>
/// All processors share the tables, and each has a cache of its own (<see cref="GuestPhysicalCache"/>). Accessed and dirty flags are off. Pages of
/// read-only slots are installed without W. Who changes memslots stops the processors first; translations themselves take no lock.
/// </remarks>
public sealed class MachineSecondStage : IDisposable
{
    /// <summary>How many frames tables may take: with pages of 4 KiB enough for some 8 GiB. When they are used up, everything is zapped.</summary>
    private const int TableFrameLimit = 1 << 12;

    private const int MostResolutions = 64;

    private readonly Lock change = new();
    private readonly List<GuestPhysicalCache> caches = [];
    private readonly SlotFrames slotFrames;
    private readonly EptBuilder builder;
    private readonly EptState state;
    private IReadOnlyList<Memslot> known;

    /// <summary>Makes empty tables for the memslots.</summary>
    /// <param name="slots">The memslots.</param>
    /// <param name="guestAddressBits">The guest's MAXPHYADDR: above 48 the tables have 5 levels, else 4.</param>
    /// <param name="memory">The guest's RAM; null where slots alone tell.</param>
    /// <param name="tableFrames">How many frames tables may take: 6 at least, so that one translation always fits.</param>
    internal MachineSecondStage(Memslots slots, byte guestAddressBits, HostMemory? memory = null, int tableFrames = TableFrameLimit)
    {
        Slots = slots;
        Frames = new HostFrames(tableFrames);
        slotFrames = new SlotFrames(Frames);
        if (memory is not null)
        {
            slotFrames.AddMachineMemory(memory);
        }

        int levels = guestAddressBits > 48 ? 5 : 4;
        builder = new EptBuilder(new HostFrameTables(Frames), levels);
        state = new EptState(EptPointer.To(builder.Root, levels), HostFrames.AddressBits, EptCapabilities.All);
        known = slots.All;
        foreach (Memslot slot in known)
        {
            _ = slotFrames.AddressOf(slot);
        }

        slots.Changed += OnSlotsChanged;
    }

    /// <summary>The EPT pointer that the processors would be entered with.</summary>
    public EptPointer Eptp => state.Eptp;

    /// <summary>Pointer, limits and controls of translation.</summary>
    public EptState State => state;

    /// <summary>The host-physical address space that holds the guest's memory and the tables.</summary>
    public HostFrames Frames { get; }

    /// <summary>How often an access left the guest, those included that were MMIO.</summary>
    public ulong Violations { get; private set; }

    /// <summary>How many pages were installed.</summary>
    public ulong Installs { get; private set; }

    /// <summary>How many installed pages were taken away.</summary>
    public ulong Zaps { get; private set; }

    /// <summary>How many frames hold tables.</summary>
    public int TableFrames => builder.TableFrames;

    internal Memslots Slots { get; }

    /// <summary>
    /// Walks both stages for one access, with every entry recorded. Violations that a memslot answers are resolved first, as for a processor, and
    /// leave no steps. Nothing that a guest could see is changed: the flags that the walk would set in its tables are recorded only.
    /// </summary>
    /// <param name="guest">The guest's control registers and limits.</param>
    /// <param name="gva">The address.</param>
    /// <param name="access">What is done at the address.</param>
    /// <param name="trace">Takes the entries; what it held is dropped.</param>
    public NestedWalkResult Walk(in PagingState guest, Gva gva, WalkAccess access, NestedWalkTrace trace)
    {
        ArgumentNullException.ThrowIfNull(trace);
        UnmarkedStage<EptStage<HostFrameTables>> stage = new(new EptStage<HostFrameTables>(new HostFrameTables(Frames), state));
        NestedWalkTrace.Recorder recorder = trace.Observer;
        for (int attempt = 0; ; attempt++)
        {
            trace.Clear();
            NestedWalker.Walk(ref stage, guest, gva, access, ref recorder, out NestedWalkResult result);
            if (result.Exit == SecondStageExitReason.None || attempt == MostResolutions)
            {
                return result;
            }

            Violations++;
            if (!TryInstall(result.Gpa, result.Access))
            {
                return result;
            }
        }
    }

    /// <summary>Translates an address, and resolves the violations that memslots answer; false: none does, and the access is MMIO.</summary>
    internal bool TryResolve(Gpa gpa, in SecondStageAccess access, out GuestPhysicalMapping mapping)
    {
        // No entry maps what no memslot holds, so that a walk could only end in the violation; devices are reached sooner without it.
        if (!Slots.TryFind(gpa, out _))
        {
            Violations++;
            mapping = default;
            return false;
        }

        HostFrameTables host = new(Frames);
        NoNestedWalkObserver none = default;
        for (int attempt = 0; attempt < MostResolutions; attempt++)
        {
            if (EptWalker.TryTranslate(ref host, state, gpa, access, ref none, out SecondStageResult result) && Frames.TryTranslate(result.Hpa, out Hva hva))
            {
                mapping = new GuestPhysicalMapping(gpa, hva, result.PageShift, (result.Rights & SecondStageRights.Write) != 0);
                return true;
            }

            if (result.Exit != SecondStageExitReason.EptViolation)
            {
                throw new InvalidOperationException(
                    $"The machine's own second-stage tables are wrong: {SecondStageDescription.Describe(result, gpa, access, HostFrames.AddressBits)}");
            }

            Violations++;
            if (!TryInstall(gpa, access))
            {
                mapping = default;
                return false;
            }
        }

        throw new InvalidOperationException($"The memslots at {gpa} change faster than they can be installed.");
    }

    /// <summary>Tells a cache of zaps from now on.</summary>
    internal void Attach(GuestPhysicalCache cache)
    {
        lock (change)
        {
            caches.Add(cache);
        }
    }

    /// <summary>Forgets a cache.</summary>
    internal void Detach(GuestPhysicalCache cache)
    {
        lock (change)
        {
            caches.Remove(cache);
        }
    }

    /// <summary>Frees the tables. The machine's memory is still mapped, and must be.</summary>
    public void Dispose()
    {
        Slots.Changed -= OnSlotsChanged;
        Frames.Dispose();
    }

    /// <summary>Answers a violation; false: no memslot allows the access. True: it can be tried again.</summary>
    private bool TryInstall(Gpa gpa, in SecondStageAccess access)
    {
        bool write = access.Access.Kind == AccessKind.Write;
        if (!Slots.TryFind(gpa, out Memslot? slot) || (write && !slot.IsWritable) || !IsTranslated(gpa))
        {
            return false;
        }

        lock (change)
        {
            // Another processor may have been here first, or the slot gone.
            HostFrameTables host = new(Frames);
            NoNestedWalkObserver none = default;
            if (EptWalker.TryTranslate(ref host, state, gpa, access, ref none, out _))
            {
                return true;
            }

            if (!Slots.TryFind(gpa, out slot) || (write && !slot.IsWritable))
            {
                return false;
            }

            Hpa hpa = slotFrames.AddressOf(slot) + (gpa.Value - slot.Base.Value);
            int shift = PageShift(slot, gpa, hpa);
            ulong offset = (1UL << shift) - 1;
            (Gpa page, Hpa frame) = (new(gpa.Value & ~offset), new(hpa.Value & ~offset));
            SecondStageRights rights = SecondStageRights.Read | SecondStageRights.Execute | (slot.IsWritable ? SecondStageRights.Write : 0);
            if (!builder.TryMapPage(page, frame, shift, rights))
            {
                ZapAll();
                if (!builder.TryMapPage(page, frame, shift, rights))
                {
                    throw new InvalidOperationException($"No host frames are left for the tables of one translation; {builder.TableFrames} are in use.");
                }
            }

            Installs++;
            return true;
        }
    }

    /// <summary>log2 of the largest page round an address that lies in its slot and is aligned on both sides.</summary>
    private static int PageShift(Memslot slot, Gpa gpa, Hpa hpa)
    {
        int shift = PageSize.Shift1G;
        while (shift > PageSize.Shift4K && !Fits(slot, gpa, hpa, (1UL << shift) - 1))
        {
            shift -= PageSize.Shift1G - PageSize.Shift2M;
        }

        return shift;
    }

    private static bool Fits(Memslot slot, Gpa gpa, Hpa hpa, ulong offset)
    {
        ulong first = gpa.Value & ~offset;
        return ((gpa.Value ^ hpa.Value) & offset) == 0 && first >= slot.Base.Value && first - slot.Base.Value + offset < slot.Size;
    }

    private bool IsTranslated(Gpa gpa) => gpa.Value < 1UL << AddressBits;

    /// <summary>How many bits of a guest-physical address the tables translate.</summary>
    private int AddressBits => state.Levels == 5 ? 52 : 48;

    private void OnSlotsChanged()
    {
        lock (change)
        {
            IReadOnlyList<Memslot> current = Slots.All;
            HashSet<Memslot> kept = new(current, ReferenceEqualityComparer.Instance);
            foreach (Memslot slot in known)
            {
                if (!kept.Contains(slot))
                {
                    Zap(slot);
                }
            }

            known = current;
            DropCaches();
            slotFrames.Trim(current);
            foreach (Memslot slot in current)
            {
                _ = slotFrames.AddressOf(slot);
            }
        }
    }

    private void Zap(Memslot slot)
    {
        if (IsTranslated(slot.Base))
        {
            ulong length = Math.Min(slot.Size, (1UL << AddressBits) - slot.Base.Value);
            Zaps += (ulong)builder.Unmap(slot.Base, length);
        }
    }

    /// <summary>Makes room for tables. What the processors' TLBs hold stays right, since memslots have not changed.</summary>
    private void ZapAll()
    {
        builder.Clear();
        Zaps = Installs;
        DropCaches();
    }

    private void DropCaches()
    {
        foreach (GuestPhysicalCache cache in caches)
        {
            cache.Drop();
        }
    }
}
