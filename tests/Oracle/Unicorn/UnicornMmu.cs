using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using Unicorn.Net;

namespace Quadwalk.Tests;

/// <summary>
/// An engine whose own MMU walks tables in memory that Quadwalk's walker can be given too. Memory above the tables holds, every 16 bytes,
/// an instruction that loads its own physical address, then INT3: so a fetch, and a load of its operand, tell the address they reached.
/// </summary>
internal sealed unsafe class UnicornMmu : IDisposable
{
    public const byte PhysicalAddressBits = 40;

    /// <summary>Of protection keys 1 to 3: no access, no writes, neither; key 0 allows all.</summary>
    public const uint Pkru = 0b_11_10_01_00;

    public const ulong PageFrames = 0x40_0000, LargeFrame = 0x80_0000;
    public const int PageFrameCount = 64;

    private const ulong RamBytes = 0x200_0000, FirstSlot = 0x30_0000, SlotBytes = 16;
    private const ulong Gdt = 0x1000, SupervisorCode = 0x2000, UserCode = 0x3000, Stack = 0x4000;
    private const ulong Root = 0x1_0000, CodeTables = 0x1_1000, PathTables = 0x2_0000, PathStep = 0x1000;
    private const ulong P = 1, W = 2, U = 4, A = 0x20, D = 0x40;
    private const int Load = 0x100, Store = 0x110, Begin = 0x200, Gone = 0x300;
    private const int None = -2, NoVector = 1000;
    private const ulong Stored = 0x5a5a_5a5a_5a5a_5a5a;
    private const uint EferMsr = 0xc000_0080;


    private readonly PagingMode mode;
    private readonly int levels;
    private readonly UnicornEngine engine;
    private readonly byte* ram;
    private readonly UnicornContext[] contexts;
    private readonly Stops stops = new();
    private readonly ulong codeAddress;
    private readonly X86Register accumulator, pointer, stackPointer;
    private readonly X86Register[] inputs, outputs;
    private readonly ulong[] values = new ulong[7], results = new ulong[2];

    public UnicornMmu(PagingMode mode)
    {
        this.mode = mode;
        levels = LevelsOf(mode);
        (accumulator, pointer, stackPointer) =
            IsLong ? (X86Register.Rax, X86Register.Rbx, X86Register.Rsp) : (X86Register.Eax, X86Register.Ebx, X86Register.Esp);
        inputs = [X86Register.Cr0, X86Register.Cr4, X86Register.Cr2, accumulator, pointer, X86Register.Eflags, X86Register.Cr3];
        outputs = [accumulator, X86Register.Cr2];
        codeAddress = 100UL << Shift(levels) & (IsLong ? ulong.MaxValue : uint.MaxValue);
        ram = (byte*)NativeMemory.AlignedAlloc((nuint)RamBytes, 0x1000);
        NativeMemory.Clear(ram, (nuint)RamBytes);
        WriteCode();
        for (ulong at = FirstSlot; at < RamBytes; at += SlotBytes)
        {
            WriteSlot(at);
        }

        engine = new UnicornEngine(UnicornArchitecture.X86, IsLong ? UnicornMode.Bits64 : UnicornMode.Bits32) { CpuModel = (int)X86CpuModel.IceLakeServer };
        engine.MapPointer(0, (nuint)RamBytes, MemoryPermissions.All, (nint)ram);
        engine.AddHook(HookKinds.Interrupt, stops);
        engine.UseExits(true);
        using UnicornContext start = engine.CreateContext();
        contexts = [Enter(start, false, 0), Enter(start, true, 0), Enter(start, false, Pkru), Enter(start, true, Pkru)];
    }

    private bool IsLong => mode == PagingMode.FourLevel;

    public static int LevelsOf(PagingMode mode) => mode switch { PagingMode.FourLevel => 4, PagingMode.Pae => 3, _ => 2 };

    /// <summary>log2 of what an entry of a level covers.</summary>
    public static int Shift(PagingMode mode, int level) => 12 + ((mode == PagingMode.Bits32 ? 10 : 9) * (level - 1));

    /// <summary>The address of the table that an entry of a level references.</summary>
    public static ulong TableBelow(int level) => PathTables + (PathStep * (ulong)level);

    /// <summary>What the engine's MMU does with a case.</summary>
    public WalkOutcome Run(WalkCase walk)
    {
        SetEntries(walk);
        engine.Restore(contexts[(walk.User ? 1 : 0) | (walk.Has(WalkControls.Keys) ? 2 : 0)]);
        if (walk.Has(WalkControls.NXE))
        {
            engine.WriteMsr(EferMsr, walk.Efer);
        }

        values[0] = walk.Cr0Value;
        values[1] = walk.Cr4Value;
        values[2] = 0;
        values[3] = Stored;
        values[4] = DataAddress(walk.Address);
        values[5] = walk.Has(WalkControls.AC) ? 0x4_0002UL : 2;
        values[6] = Root;
        engine.WriteRegisters(inputs, values);
        stops.Vector = None;
        ulong code = CodeOf(walk.User);
        UnicornError error = engine.TryStart(walk.Kind switch { AccessKind.Execute => walk.Address, AccessKind.Write => code + Store, _ => code + Load }, until: 0);
        engine.ReadRegisters(outputs, results);
        int vector = stops.Vector == 3 ? -1 : stops.Vector == None ? NoVector + (int)error : stops.Vector;
        ulong address = vector == 14 ? results[1] : vector >= 0 ? 0 : walk.Kind == AccessKind.Write ? FindStore(walk) : results[0] & Mask;
        return new WalkOutcome(vector, address, Entries(walk));
    }

    /// <summary>What Quadwalk's walker does with it, over the same memory.</summary>
    public (WalkOutcome Outcome, WalkResult Result) Walk(WalkCase walk)
    {
        SetEntries(walk);
        Tables tables = new((nint)ram, RamBytes);
        NoWalkObserver none = default;
        ulong gva = walk.Kind == AccessKind.Execute ? walk.Address : DataAddress(walk.Address);
        PdpteRegisters pdptes = mode == PagingMode.Pae ? new(Word(Root), Word(Root + 8), Word(Root + 16), Word(Root + 24)) : default;
        WalkResult result = PageWalker.Walk(ref tables, walk.State(Root, walk.Has(WalkControls.Keys) ? Pkru : 0, pdptes), new Gva(gva), walk.Access, ref none);
        ulong operand = IsLong ? 2UL : 1;
        WalkOutcome outcome = result.Failure switch
        {
            WalkFailure.None => new(-1, result.Gpa.Value - (walk.Kind == AccessKind.Execute ? 0 : operand), Entries(walk)),
            WalkFailure.NonCanonical => new(13, 0, Entries(walk)),
            _ => new(14, gva, Entries(walk)),
        };
        return (outcome, result);
    }

    public void Dispose()
    {
        Array.ForEach(contexts, context => context.Dispose());
        engine.Dispose();
        NativeMemory.AlignedFree(ram);
    }

    private ulong Mask => IsLong ? ulong.MaxValue : uint.MaxValue;

    private int Shift(int level) => Shift(mode, level);

    private ulong DataAddress(ulong address) => address + (IsLong ? 2UL : 1);

    private ulong CodeOf(bool user) => codeAddress + (user ? 0x1000UL : 0);

    private ulong EntryAt(WalkCase walk, int level)
    {
        ulong table = level == levels ? Root : TableBelow(level + 1);
        int bits = mode == PagingMode.Bits32 ? 10 : 9;
        return table + ((walk.Address >> Shift(level) & ((1UL << bits) - 1)) << (mode == PagingMode.Bits32 ? 2 : 3));
    }

    private void SetEntries(WalkCase walk)
    {
        for (int level = 1; level <= levels; level++)
        {
            SetEntry(EntryAt(walk, level), walk.Entries[level]);
        }
    }

    /// <summary>The entries as they are now, which are then taken out of the tables.</summary>
    private ulong[] Entries(WalkCase walk)
    {
        ulong[] entries = new ulong[levels + 1];
        for (int level = 1; level <= levels; level++)
        {
            ulong at = EntryAt(walk, level);
            entries[level] = mode == PagingMode.Bits32 ? (uint)Word(at) : Word(at);
            SetEntry(at, 0);
        }

        return entries;
    }

    private void SetEntry(ulong at, ulong value)
    {
        if (mode == PagingMode.Bits32)
        {
            Unsafe.WriteUnaligned(ram + at, (uint)value);
        }
        else
        {
            Unsafe.WriteUnaligned(ram + at, value);
        }
    }

    /// <summary>Which of the slots that the walk can lead to was written; it gets its contents back.</summary>
    private ulong FindStore(WalkCase walk)
    {
        for (int level = 1; level <= 3; level++)
        {
            int shift = Shift(level);
            ulong inPage = walk.Address & ((1UL << shift) - 1);
            ulong slot = ((walk.Entries[Math.Min(level, levels)] & (0xff_ffff_f000UL >> shift << shift)) | inPage) & ~(SlotBytes - 1);
            for (ulong from = level == 1 ? 0 : slot; from <= (level == 1 ? PageFrameCount - 1UL : slot); from++)
            {
                ulong at = level == 1 ? PageFrames + (from << 12) + (inPage & ~(SlotBytes - 1)) : slot;
                if (at >= FirstSlot && at < RamBytes && (Word(at + (IsLong ? 2UL : 1)) & Mask) == (Stored & Mask))
                {
                    WriteSlot(at);
                    return at;
                }
            }
        }

        return ulong.MaxValue;
    }

    private ulong Word(ulong at) => Unsafe.ReadUnaligned<ulong>(ram + at);

    private void Put(ulong at, params ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>(ram + at, bytes.Length));

    private void WriteSlot(ulong at)
    {
        if (IsLong)
        {
            Put(at, 0x48, 0xb8);
            Unsafe.WriteUnaligned(ram + at + 2, at);
            Put(at + 10, 0xcc);
        }
        else
        {
            Put(at, 0xb8);
            Unsafe.WriteUnaligned(ram + at + 1, (uint)at);
            Put(at + 5, 0xcc);
        }
    }

    /// <summary>The descriptors, the pages with the accesses, and the tables that map these.</summary>
    private void WriteCode()
    {
        ReadOnlySpan<ulong> descriptors = IsLong
            ? [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff]
            : [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0, 0x00cf_f300_0000_ffff, 0x00cf_fb00_0000_ffff];
        for (int i = 0; i < descriptors.Length; i++)
        {
            Unsafe.WriteUnaligned(ram + Gdt + (8 * (ulong)i), descriptors[i]);
        }

        foreach (ulong page in (ulong[])[SupervisorCode, UserCode])
        {
            if (IsLong)
            {
                Put(page + Load, 0x48, 0x8b, 0x03, 0xcc);  // mov rax, [rbx]; int3
                Put(page + Store, 0x48, 0x89, 0x03, 0xcc); // mov [rbx], rax; int3
                Put(page + Begin, 0x66, 0xb8, 0x10, 0, 0x8e, 0xd0, 0x31, 0xc9, 0x31, 0xd2, 0x89, 0xd8, 0x0f, 0x01, 0xef, 0x48, 0xcf); // ss = 10h; pkru = ebx; iretq
            }
            else
            {
                Put(page + Load, 0x8b, 0x03, 0xcc);
                Put(page + Store, 0x89, 0x03, 0xcc);
                Put(page + Begin, 0x66, 0xb8, 0x10, 0, 0x8e, 0xd0, 0xcf); // ss = 10h; iretd
            }

            Put(page + Gone, 0xcc);
        }

        const ulong all = P | W | A;
        ulong pte = mode == PagingMode.Bits32 ? 4UL : 8;
        SetEntry(Root + (100 * pte & (mode == PagingMode.Pae ? 24UL : 0xfff)), (CodeTables + 0x1000) | (mode == PagingMode.Pae ? P : all | U));
        for (int level = levels - 1; level >= 1; level--)
        {
            ulong table = CodeTables + (0x1000 * (ulong)(levels - level));
            SetEntry(table, level > 1 ? (table + 0x1000) | all | U : SupervisorCode | all | D);
            if (level == 1)
            {
                SetEntry(table + pte, UserCode | all | D | U);
                SetEntry(table + (2 * pte), Stack | all | D);
                SetEntry(table + (3 * pte), Gdt | all | D);
            }
        }
    }

    /// <summary>The state at a privilege level, with PKRU; reached by IRET, since writing selectors from outside changes no CPL.</summary>
    private UnicornContext Enter(UnicornContext start, bool user, uint pkru)
    {
        engine.Restore(start);
        engine.WriteRegister(X86Register.Cr4, mode == PagingMode.Bits32 ? 0 : PagingState.Cr4PAE | (IsLong ? PagingState.Cr4PKE : 0));
        engine.WriteRegister(X86Register.Cr3, Root);
        engine.WriteRegister(X86Register.Cr0, WalkCase.Cr0);
        engine.WriteValue(X86Register.Gdtr, new X86TableRegister(0, codeAddress + 0x3000, 0x37, 0));
        ReadOnlySpan<ulong> frame = [CodeOf(user) + Gone, user ? 0x33UL : 8, 2, codeAddress + 0x2800, user ? 0x2bUL : 0x10];
        ulong top = 0x800;
        for (int i = 0; i < frame.Length; i++)
        {
            if (IsLong)
            {
                Unsafe.WriteUnaligned(ram + Stack + top + (8 * (ulong)i), frame[i]);
            }
            else
            {
                Unsafe.WriteUnaligned(ram + Stack + top + (4 * (ulong)i), (uint)frame[i]);
            }
        }

        engine.WriteRegister(stackPointer, codeAddress + 0x2000 + top);
        engine.WriteRegister(pointer, pkru);
        stops.Vector = None;
        UnicornError error = engine.TryStart(codeAddress + Begin, until: 0);
        if (stops.Vector != 3)
        {
            throw new InvalidOperationException($"The engine did not come to CPL {(user ? 3 : 0)}: vector {stops.Vector}, {new UnicornException(error).Message}, at {engine.ReadRegister(X86Register.Eip):x}, CR2 {engine.ReadRegister(X86Register.Cr2):x}.");
        }

        return engine.CreateContext();
    }

    private sealed class Stops : HookHandler
    {
        public int Vector { get; set; }

        public override void OnInterrupt(UnicornEngine engine, uint vector)
        {
            Vector = (int)vector;
            engine.Stop();
        }
    }

    /// <summary>The memory, for Quadwalk's walker.</summary>
    private readonly struct Tables(nint ram, ulong bytes) : ITableMemory
    {
        public bool TryRead(Gpa entry, out ulong value)
        {
            value = entry.Value < bytes ? Unsafe.ReadUnaligned<ulong>((byte*)ram + entry.Value) : 0;
            return entry.Value < bytes;
        }

        public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
        {
            bool there = TryRead(entry, out ulong value);
            exchanged = there && value == expected;
            if (exchanged)
            {
                Unsafe.WriteUnaligned((byte*)ram + entry.Value, desired);
            }

            return there;
        }
    }
}
