using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using Quadwalk.Mmu;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>
/// Accesses at every offset round the border of two pages of every kind: all or nothing, with the fault of the page concerned, or with
/// exactly the pieces that belong to each page, in ascending order.
/// </summary>
[TestFixture]
public sealed class EmulatedPageSplitTests
{
    private const ulong Low = 0x60_0000, High = Low + Page;
    private const ulong LowFrame = 0x11_0000, HighFrame = 0x10_0000;
    private const ulong Page = 0x1000;
    private const ulong RomGpa = 0xF000_0000, RomFrame = 0x14_0000;
    private const int Reach = 0x40;

    public enum PageKind
    {
        Ram,
        ReadOnly,
        NotPresent,
        Device,
        Nowhere,
        Rom,
    }

    private enum Way
    {
        Read,
        Write,
        Modify,
    }

    private sealed record Access(string Name, Way Way, int Width, Action<Assembler> Code);

    private static readonly Access[] Accesses =
    [
        new("mov ax, m", Way.Read, 2, c => c.mov(ax, __[rbx])), new("mov eax, m", Way.Read, 4, c => c.mov(eax, __[rbx])),
        new("mov rax, m", Way.Read, 8, c => c.mov(rax, __[rbx])), new("movups xmm0, m", Way.Read, 16, c => c.movups(xmm0, __[rbx])),
        new("mov m, ax", Way.Write, 2, c => c.mov(__[rbx], ax)), new("mov m, eax", Way.Write, 4, c => c.mov(__[rbx], eax)),
        new("mov m, rax", Way.Write, 8, c => c.mov(__[rbx], rax)), new("movups m, xmm1", Way.Write, 16, c => c.movups(__[rbx], xmm1)),
        new("not word", Way.Modify, 2, c => c.not(__word_ptr[rbx])), new("lock not dword", Way.Modify, 4, c => c.@lock.not(__dword_ptr[rbx])),
        new("not qword", Way.Modify, 8, c => c.not(__qword_ptr[rbx])), new("xchg", Way.Modify, 8, c => c.xchg(__[rbx], rax)),
        new("vmovups ymm0, m", Way.Read, 32, c => c.vmovups(ymm0, __[rbx])), new("vmovups m, ymm1", Way.Write, 32, c => c.vmovups(__[rbx], ymm1)),
        new("cmpxchg8b that fails", Way.Modify, 8, c => c.cmpxchg8b(__[rbx])),
    ];

    [Test]
    public void AnAccessIsWholeOrNothing([Values] PageKind low, [Values] PageKind high)
    {
        using EmulatedGuest guest = new();
        guest.Paged.EnableAvx();
        List<string> seen = [];
        guest.Bus.Observer = (in MmioAccess access) => seen.Add($"{(access.IsWrite ? 'w' : 'r')}{access.Width}@{access.Gpa.Value:x}={Convert.ToHexStringLower(access.Bytes)}");
        AddRom(guest);
        Map(guest, Low, low);
        Map(guest, High, high);
        int faults = 0, done = 0;
        foreach (Access access in Accesses)
        {
            guest.Place(access.Code);
            for (int offset = -15; offset <= 15; offset++)
            {
                byte[] before = Prepare(guest, low, high, out HostState state, High + (ulong)offset);
                seen.Clear();
                BlockExit exit = guest.Emulate();
                string name = $"{access.Name} at {offset}";
                HostState after = state;
                GuestRegisters.Get(guest.Cpu, ref after);
                Expectation expected = Expect(access, low, high, offset, before);
                if (expected.Fault is string fault)
                {
                    faults++;
                    Assert.That((exit, guest.Fault, guest.State.Rip), Is.EqualTo((BlockExit.Fault, fault, EmulatedGuest.Code)), name);
                    Assert.That(GuestRegisters.Same(after, state), name);
                }
                else
                {
                    done++;
                    Assert.That(exit, Is.EqualTo(BlockExit.Branch), name + guest.Fault);
                }

                Assert.That(string.Join(' ', seen), Is.EqualTo(expected.Log), name);
                Assert.That(Contents(guest, low, high), Is.EqualTo(expected.Memory), name);
            }
        }

        bool spoilt = low is PageKind.NotPresent or PageKind.ReadOnly || high is PageKind.NotPresent or PageKind.ReadOnly;
        bool never = low is PageKind.NotPresent && high is PageKind.NotPresent;
        Assert.That((faults > 0, done > 0), Is.EqualTo((spoilt, !never)));
    }

    private readonly record struct Expectation(string? Fault, string Log, byte[] Memory);

    /// <summary>The outcome by the rules: <paramref name="before"/> is what reads give in the bytes round the border.</summary>
    private static Expectation Expect(Access access, PageKind low, PageKind high, int offset, byte[] before)
    {
        int inLow = Math.Clamp(-offset, 0, access.Width);
        (PageKind Kind, ulong Gva, int From, int Length)[] pieces =
        [
            (low, Low, Reach + offset, inLow), (high, High, Reach + offset + inLow, access.Width - inLow),
        ];
        foreach ((PageKind kind, _, int from, int length) in pieces.Where(piece => piece.Length != 0))
        {
            bool writes = access.Way != Way.Read;
            if (kind == PageKind.NotPresent || (kind == PageKind.ReadOnly && writes))
            {
                int code = (kind == PageKind.ReadOnly ? 1 : 0) | (writes ? 2 : 0);
                return new($"#PF({code:x}) {High + (ulong)(from - Reach):x}", "", before);
            }
        }

        byte[] memory = [.. before];
        List<string> log = [];
        byte[] value = access.Name == "cmpxchg8b that fails" ? before[(Reach + offset)..(Reach + offset + 8)]
            : access.Way == Way.Modify && access.Name != "xchg" ? [.. before.Skip(Reach + offset).Take(access.Width).Select(b => (byte)~b)]
            : [.. Enumerable.Range(0, access.Width).Select(i => (byte)(0x51 + i))];
        foreach (char way in access.Way switch { Way.Read => "r", Way.Write => "w", _ => "rw" })
        {
            int at = 0;
            foreach ((PageKind kind, ulong gva, int from, int length) in pieces.Where(piece => piece.Length != 0))
            {
                byte[] bytes = way == 'r' ? before[from..(from + length)] : value[at..(at + length)];
                at += length;
                if (kind is PageKind.Device or PageKind.Nowhere || (kind == PageKind.Rom && way == 'w'))
                {
                    log.Add($"{way}{length}@{Gpa(kind, gva) + (ulong)((from - Reach) & 0xFFF):x}={Convert.ToHexStringLower(bytes)}");
                }

                if (way == 'w' && kind is (PageKind.Ram or PageKind.Device))
                {
                    bytes.CopyTo(memory, from);
                }
            }
        }

        return new(null, string.Join(' ', log), memory);
    }

    private static ulong Gpa(PageKind kind, ulong gva) => kind switch
    {
        PageKind.Device => EmulatedGuest.DeviceGpa + (gva == Low ? 0x4000ul : 0),
        PageKind.Nowhere => EmulatedGuest.Nowhere + (gva == Low ? 0x4000ul : 0),
        PageKind.Rom => RomGpa + (gva == Low ? 0x1000ul : 0),
        _ => gva == Low ? LowFrame : HighFrame,
    };

    private static void AddRom(EmulatedGuest guest)
    {
        Assert.That(guest.Paged.Machine.Slots.TryTranslate(new Gpa(RomFrame), out Hva frames, out _));
        guest.Paged.Machine.Slots.Add(new Gpa(RomGpa), 2 * Page, frames, MemslotFlags.ReadOnly);
    }

    private static void Map(EmulatedGuest guest, ulong gva, PageKind kind)
    {
        if (kind != PageKind.NotPresent)
        {
            guest.Paged.Map(gva, Gpa(kind, gva), kind == PageKind.ReadOnly ? PageRights.None : PageRights.Write);
        }
    }

    private static Span<byte> Bytes(EmulatedGuest guest, PageKind kind, ulong gva)
    {
        int start = gva == Low ? (int)Page - Reach : 0;
        return kind switch
        {
            PageKind.Device => guest.Device.Bytes.AsSpan((int)(Gpa(kind, gva) - EmulatedGuest.DeviceGpa) + start, Reach),
            PageKind.Nowhere or PageKind.NotPresent => default,
            PageKind.Rom => guest.Paged.Ram(RomFrame + (Gpa(kind, gva) - RomGpa) + (ulong)start, Reach),
            _ => guest.Paged.Ram(Gpa(kind, gva) + (ulong)start, Reach),
        };
    }

    private static byte[] Prepare(EmulatedGuest guest, PageKind low, PageKind high, out HostState state, ulong address)
    {
        foreach ((PageKind kind, ulong gva, int first) in ((PageKind, ulong, int)[])[(low, Low, 0), (high, High, Reach)])
        {
            Span<byte> bytes = Bytes(guest, kind, gva);
            for (int i = 0; i < bytes.Length; i++)
            {
                bytes[i] = (byte)(0x80 + first + i);
            }
        }

        state = new HostState { Rflags = Rflags.Fixed | Rflags.CF };
        state[Register.RAX] = 0x5857_5655_5453_5251;
        state[Register.RBX] = address;
        state.Xmm[1] = new UInt128(0x605F_5E5D_5C5B_5A59, 0x5857_5655_5453_5251);
        state.YmmHigh[1] = new UInt128(0x706F_6E6D_6C6B_6A69, 0x6867_6665_6463_6261);
        GuestRegisters.Set(guest.Cpu, state);
        return Contents(guest, low, high);
    }

    /// <summary>The bytes round the border as a read would give them.</summary>
    private static byte[] Contents(EmulatedGuest guest, PageKind low, PageKind high)
    {
        byte[] contents = new byte[2 * Reach];
        contents.AsSpan().Fill(0xFF);
        Bytes(guest, low, Low).CopyTo(contents);
        Bytes(guest, high, High).CopyTo(contents.AsSpan(Reach));
        return contents;
    }
}
