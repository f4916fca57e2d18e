using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using Unicorn.Net;
using UnicornTlbEntry = Unicorn.Net.TlbEntry;

namespace Quadwalk.Emulation;

/// <summary>
/// Lets Unicorn execute stretches of 64-bit code on the state of a <see cref="Vcpu"/>. Its translations come from Quadwalk's walker, in the hook that
/// fills its TLB; it runs up to the first instruction that faults, touches a device, belongs to the system or is not Unicorn's to do, and the
/// interpreter executes that one. So there is one delivery of exceptions, one MMIO emulator and one set of devices, and counts stay exact.
/// </summary>
/// <remarks>
/// Unicorn is always at its CPL 0: the hook knows the privilege, and what depends on it otherwise is not Unicorn's to do. Frames that hold code are never
/// writable for it, so that overwritten code is seen as the interpreter sees it.
/// </remarks>
internal sealed unsafe class UnicornProcessor : IDisposable
{
    /// <summary>The most instructions of one stretch: it bounds how long a request to stop waits.</summary>
    public const ulong MaxStretch = 1 << 16;

    /// <summary>Stretches shorter than this cost more than they are worth.</summary>
    private const ulong ShortStretch = 256;

    /// <summary>The most instructions that the interpreter executes at a time where Unicorn comes to nothing.</summary>
    private const ulong MaxPatience = 1 << 14;

    /// <summary>The most addresses to stop at, each of which Unicorn looks up at the end of a run; beyond them its code is dropped and they are gathered anew.</summary>
    private const int MaxExits = 512;

    private const uint TcgBufferBytes = 32 << 20;

    private readonly Vcpu vcpu;
    private readonly Memslots slots;
    private readonly UnicornEngine engine;
    private readonly UnicornContext clean;
    private readonly UnicornRegisters registers;
    private readonly UnicornBlocks blocks;
    private readonly TranslatedFrames frames = new();
    private readonly HashSet<ulong> exits = [];
    private GCHandle self;
    private Exception? thrown;
    private ulong mappedGeneration;
    private (ulong Epoch, TlbContext Context, uint Pkru, ulong Pkrs) translated;

    private UnicornBlock current;
    private UnicornBlock ahead;
    private Stop stop;
    private bool entered;
    private bool needsClean;
    private ulong patience = 1;
    private AccessKind? refused;
    private ulong refusedPage;
    private ulong budget;
    private ulong retired;
    private ulong accesses;
    private uint vectors;

    /// <param name="vcpu">The processor whose state it is.</param>
    /// <param name="slots">What memory there is.</param>
    /// <param name="tolerated">The errata that may show.</param>
    /// <exception cref="UnicornLibraryException">There is no library, or it is too old.</exception>
    public UnicornProcessor(Vcpu vcpu, Memslots slots, IReadOnlyCollection<EngineErratum> tolerated)
    {
        this.vcpu = vcpu;
        this.slots = slots;
        engine = new UnicornEngine(UnicornArchitecture.X86, UnicornMode.Bits64) { CpuModel = (int)X86CpuModel.IceLakeServer, TcgBufferSize = TcgBufferBytes };
        engine.SetTlbType(TlbType.Virtual);
        engine.UseExits(true);
        self = GCHandle.Alloc(this);
        delegate* unmanaged[Cdecl]<nint, ulong, MemoryAccessType, UnicornTlbEntry*, nint, byte> fill = &OnFill;
        delegate* unmanaged[Cdecl]<nint, ulong, uint, nint, void> block = &OnBlock;
        engine.AddHook(HookKinds.TlbFill, fill, GCHandle.ToIntPtr(self));
        engine.AddHook(HookKinds.Block, block, GCHandle.ToIntPtr(self));
        engine.WriteRegister(X86Register.Cr4, Cr4.PAE | Cr4.OSFXSR | Cr4.OSXMMEXCPT);
        clean = engine.CreateContext();
        registers = new UnicornRegisters(vcpu, engine);
        blocks = new UnicornBlocks(vcpu, new UnicornGate(vcpu.Features, tolerated), frames);
        vcpu.Code.Translated = frames;
    }

    private enum Stop
    {
        None,
        Budget,
        Forbidden,
        Branch,
    }

    /// <summary>Whether runs end after one block, or one instruction.</summary>
    public UnicornStep Step { get; set; }

    /// <summary>
    /// Whether Unicorn executes all that it can. Otherwise the interpreter goes on for a while, the longer the more often, where Unicorn
    /// would be started for a few instructions at a time.
    /// </summary>
    public bool IsEager { get; set; }

    /// <summary>How many instructions the interpreter is to execute before the next stretch: those that a stretch ended before.</summary>
    public ulong Owed { get; private set; }

    /// <summary>The status flags that the last stretch left undefined.</summary>
    public uint UndefinedFlags { get; private set; }

    /// <summary>Whether an instruction of the last stretch read a status flag that was undefined.</summary>
    public bool UsedUndefinedFlags { get; private set; }

    /// <summary>Whether the state is one in which Unicorn can run: 64-bit mode, with nothing that has to be looked at access by access.</summary>
    public bool CanRun
    {
        get
        {
            const BlockMode others = BlockMode.Code16 | BlockMode.Code32 | BlockMode.Checked;
            return (vcpu.State.Mode & others) == 0 && (vcpu.State.Cr0 & Cr0.PG) != 0 && vcpu.Tlb.Mode == TlbMode.Fast;
        }
    }

    /// <summary>The interpreter has executed instructions.</summary>
    public void Interpreted(ulong count) => Owed -= Math.Min(Owed, Math.Max(count, 1));

    /// <summary>
    /// Runs up to <paramref name="most"/> instructions from the processor's RIP and answers how many were retired. Where that is none,
    /// <see cref="Owed"/> is not 0.
    /// </summary>
    public ulong Run(ulong most)
    {
        TakeUp();
        registers.Send();
        budget = Math.Min(most, MaxStretch);
        retired = 0;
        accesses = 0;
        vectors = 0;
        entered = false;
        UndefinedFlags = 0;
        UsedUndefinedFlags = false;
        ulong rip = vcpu.State.Rip;
        while (Start(rip))
        {
            rip = engine.ReadRegister(X86Register.Rip);
        }

        registers.Receive(vectors);
        TakeBackBranch();
        vcpu.StatePointer->Current = null;
        vcpu.Counters.Instructions += retired;
        vcpu.Counters.UnicornInstructions += retired;
        vcpu.Counters.DataAccesses += accesses;
        Owed = retired == 0 ? Math.Max(Owed, 1) : Owed;
        if (!IsEager && Owed != 0)
        {
            patience = retired >= ShortStretch ? Math.Max(patience / 4, 1) : Math.Min(patience * 2, MaxPatience);
            Owed = Math.Max(Owed, patience);
        }

        return retired;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (self.IsAllocated)
        {
            vcpu.Code.Translated = null;
            clean.Dispose();
            engine.Dispose();
            self.Free();
        }
    }

    /// <summary>Starts Unicorn once; true where it is to be started again at its RIP.</summary>
    private bool Start(ulong rip)
    {
        stop = Stop.None;
        refused = null;
        current = default;
        UnicornError error = engine.TryStart(rip, until: 0, count: Step == UnicornStep.Instruction ? 1 : 0u);
        if (thrown is { } exception)
        {
            thrown = null;
            ExceptionDispatchInfo.Throw(exception);
        }

        switch (stop)
        {
            case Stop.Budget:
                Owed = retired == 0 ? budget : 0;
                return false;
            case Stop.Forbidden:
                return EndBefore(ahead);
            default:
                ulong stoppedAt = engine.ReadRegister(X86Register.Rip);
                if (refused == AccessKind.Execute && !IsFetchOf(stoppedAt))
                {
                    refused = null;
                }

                Account(stoppedAt, error);
                needsClean |= refused is null && !(error == UnicornError.Ok && (exits.Contains(stoppedAt) || Step == UnicornStep.Instruction));
                if (refused is not null && frames.MustWithhold)
                {
                    Revoke();
                    return retired < budget && Step != UnicornStep.Instruction;
                }

                Owed = error == UnicornError.Ok && Step == UnicornStep.Instruction ? 0 : 1UL;
                return false;
        }
    }

    /// <summary>Whether the page whose fetch was refused is where Unicorn stopped, or the one after it, into which the block there goes on.</summary>
    private bool IsFetchOf(ulong stoppedAt)
    {
        ulong page = stoppedAt >> PageSize.Shift4K;
        bool inside = current.Count != 0 && stoppedAt - current.Address < current.Size;
        return refusedPage == page || (refusedPage == page + 1 && !inside);
    }

    /// <summary>
    /// Counts what was retired of the current block when Unicorn stopped of itself: at an address where it is to stop, or since an instruction failed,
    /// or since the next block could not be fetched.
    /// </summary>
    private void Account(ulong stoppedAt, UnicornError error)
    {
        if (current.Count == 0)
        {
            return;
        }

        bool goesBack = refused == AccessKind.Execute && !vcpu.IsCanonical(stoppedAt) && stoppedAt != current.Address + current.Size;
        if (goesBack)
        {
            ahead = current;
            stop = Stop.Branch;
        }

        if (Step == UnicornStep.Instruction)
        {
            bool cameBack = error == UnicornError.Ok && refused is null && !exits.Contains(stoppedAt);
            bool done = stoppedAt != current.Address || refused == AccessKind.Execute || cameBack;
            if (done && !goesBack)
            {
                (_, _, FlagsEffect one) = blocks.Before(current, current.Address + 1);
                Retire(1, 0, one);
            }

            return;
        }

        bool inside = refused != AccessKind.Execute && stoppedAt - current.Address < current.Size;
        (int count, int made, FlagsEffect flags) = goesBack ? blocks.Before(current, current.Last)
            : inside ? blocks.Before(current, stoppedAt)
            : (current.Count, current.Accesses, current.Flags);
        Retire(count, made, flags);
    }

    /// <summary>
    /// A branch to an address that is not canonical raises #GP itself, where Unicorn arrives there: its effects on RIP and RSP are taken back, for the
    /// interpreter to find. What a CALL wrote below the stack pointer stands.
    /// </summary>
    private void TakeBackBranch()
    {
        if (stop == Stop.Branch)
        {
            ref CpuState cpu = ref vcpu.State;
            cpu.Rip = ahead.Last;
            cpu.Gpr[GeneralRegister.Rsp] -= (ulong)ahead.StackChange;
        }
    }

    /// <summary>Unicorn met a block with an instruction that it must not execute: makes it end before that.</summary>
    private bool EndBefore(in UnicornBlock block)
    {
        if (block.Allowed == 0)
        {
            Owed = 1;
            return false;
        }

        if (!exits.Add(block.Next))
        {
            Owed = (ulong)block.Allowed + 1;
            return false;
        }

        if (exits.Count > MaxExits)
        {
            exits.Clear();
            exits.Add(block.Next);
            engine.FlushBlocks();
        }

        engine.SetExits([.. exits]);
        engine.RemoveBlocks(block.Address, block.Address + block.Size);
        return true;
    }

    /// <summary>Brings Unicorn's memory, translations and code up to date.</summary>
    private void TakeUp()
    {
        if (needsClean)
        {
            engine.Restore(clean);
            registers.Forget();
            needsClean = false;
        }

        if (mappedGeneration != slots.Generation)
        {
            MapSlots();
        }

        if (frames.Overwritten)
        {
            DropCode();
        }

        ref CpuState cpu = ref vcpu.State;
        (ulong, TlbContext, uint, ulong) now = (vcpu.Tlb.Epoch, vcpu.CurrentContext, cpu.Pkru, cpu.Msr.Pkrs);
        if (now != translated || frames.MustWithhold)
        {
            translated = now;
            Revoke();
        }

        blocks.TakeUp(UnicornGate.ConditionsOf(ref cpu));
    }

    private void MapSlots()
    {
        foreach (MemoryRegion region in engine.Regions)
        {
            engine.Unmap(region.Begin, (nuint)(region.End - region.Begin + 1));
        }

        mappedGeneration = slots.Generation;
        foreach (Memslot slot in slots.All)
        {
            engine.MapPointer(slot.Base.Value, (nuint)slot.Size, MemoryPermissions.All, (nint)slot.Host.Value);
        }

        DropCode();
    }

    private void DropCode()
    {
        engine.FlushBlocks();
        frames.Clear();
        blocks.Clear();
        Revoke();
    }

    private void Revoke()
    {
        engine.FlushTlb();
        frames.Revoked();
        blocks.Remapped();
    }

    private void Retire(int count, int made, FlagsEffect flags)
    {
        retired += (ulong)count;
        accesses += (ulong)made;
        UsedUndefinedFlags |= flags.UsesUndefined || (flags.Read & UndefinedFlags) != 0;
        UndefinedFlags = flags.After(UndefinedFlags);
    }

    private void Enter(ulong address, uint size)
    {
        if (Step == UnicornStep.Instruction && entered)
        {
            return;
        }

        Retire(current.Count, current.Accesses, current.Flags);
        current = default;
        refused = null;
        bool found = blocks.TryFind(address, size, out UnicornBlock block);
        bool allowed = found && block.Count != 0 && (block.Allowed == block.Count || (Step == UnicornStep.Instruction && block.Allowed != 0));
        if (allowed && Step != UnicornStep.Instruction && (retired + (ulong)block.Count > budget || (Step == UnicornStep.Block && entered)))
        {
            stop = Stop.Budget;
        }
        else if (!allowed)
        {
            ahead = block;
            stop = Stop.Forbidden;
        }
        else
        {
            current = block;
            vectors |= block.Vectors;
            entered = true;
            return;
        }

        engine.Stop();
    }

    private bool Fill(ulong address, MemoryAccessType type, out UnicornTlbEntry entry)
    {
        AccessKind kind = type switch
        {
            MemoryAccessType.Read => AccessKind.Read,
            MemoryAccessType.Write => AccessKind.Write,
            _ => AccessKind.Execute,
        };
        entry = default;
        if (!vcpu.Memory.TryResolve(address, kind, out ResolvedPage page) || !page.Keeps)
        {
            return Refuse(address, kind);
        }

        bool code = kind == AccessKind.Execute;
        if (code && frames.Enlist(page.Frame))
        {
            vcpu.Frames.WithholdWrites(new Hva(page.Frame));
            if (frames.MustWithhold)
            {
                return Refuse(address, kind);
            }
        }

        bool writable = page.Writable && !code;
        if (kind == AccessKind.Write && !writable)
        {
            return Refuse(address, kind);
        }

        if (writable)
        {
            frames.Granted(page.Frame);
        }

        MemoryPermissions permissions = (page.Readable ? MemoryPermissions.Read : 0) | (writable ? MemoryPermissions.Write : 0) | (code ? MemoryPermissions.Execute : 0);
        entry = new UnicornTlbEntry(page.Gpa.Value & ~PageSize.Mask4K, permissions);
        return true;
    }

    /// <summary>The first refusal is the one that stops Unicorn: when a run ends, it looks its exits up, which may be refused too.</summary>
    private bool Refuse(ulong address, AccessKind kind)
    {
        if (refused is null)
        {
            (refused, refusedPage) = (kind, address >> PageSize.Shift4K);
        }

        return false;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte OnFill(nint uc, ulong address, MemoryAccessType type, UnicornTlbEntry* entry, nint data)
    {
        UnicornProcessor processor = (UnicornProcessor)GCHandle.FromIntPtr(data).Target!;
        try
        {
            return processor.Fill(address, type, out *entry) ? (byte)1 : (byte)0;
        }
        catch (Exception e)
        {
            processor.thrown ??= e;
            return 0;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnBlock(nint uc, ulong address, uint size, nint data)
    {
        UnicornProcessor processor = (UnicornProcessor)GCHandle.FromIntPtr(data).Target!;
        try
        {
            processor.Enter(address, size);
        }
        catch (Exception e)
        {
            processor.thrown ??= e;
            processor.engine.Stop();
        }
    }
}
