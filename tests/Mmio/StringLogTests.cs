using Iced.Intel;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Repeated string instructions between RAM and a device: each element is one access of full width, in order, in both directions.</summary>
[TestFixture]
public sealed class StringLogTests
{
    private const ulong DevicePage = 0x60_0000;
    private const ulong RamPage = 0x61_0000;
    private const ulong RamFrame = 0x11_0000;
    private const ulong Source = 0x100;
    private const ulong Destination = 0x112;
    private const ulong Rax = 0xA7A6_A5A4_A3A2_A1A0;
    private const int Count = 7;

    private static readonly string[] Names = ["movs", "stos", "lods", "scas", "cmps"];

    private static byte Opcode(string name) => name switch { "movs" => 0xA4, "stos" => 0xAA, "lods" => 0xAC, "scas" => 0xAE, _ => 0xA6 };

    [Test]
    public void EachElementIsOneAccess(
        [ValueSource(nameof(Names))] string name, [Values(1, 2, 4, 8)] int size, [Values] bool sourceOnDevice, [Values] bool destinationOnDevice, [Values] bool down)
    {
        using EmulatedGuest guest = new();
        guest.Place(Encode(0xF2, name, size));
        Prepare(guest, sourceOnDevice, destinationOnDevice, down);
        byte[] ram = guest.Paged.Ram(RamFrame, 0x1000).ToArray(), device = [.. guest.Device.Bytes];
        string expected = Model(name, size, sourceOnDevice ? device : ram, destinationOnDevice ? device : ram, down, device);
        for (int run = 0; run < 2; run++)
        {
            Prepare(guest, sourceOnDevice, destinationOnDevice, down);
            bool finished = run == 0 ? guest.Emulate() == BlockExit.Branch : guest.Paged.Machine.Run(1).Reason == StopReason.Limit;
            ulong moved = (ulong)((down ? -1 : 1) * size * Count);
            using (Assert.EnterMultipleScope())
            {
                Assert.That(finished);
                Assert.That(guest.Device.Log, Is.EqualTo(expected));
                Assert.That(guest.Device.Bytes, Is.EqualTo(device));
                Assert.That(guest.Paged.Ram(RamFrame, 0x1000).SequenceEqual(ram));
                Assert.That(guest.State.Gpr[GeneralRegister.Rcx], Is.Zero);
                Assert.That(guest.State.Gpr[GeneralRegister.Rsi] & 0xFFFF, Is.EqualTo(Source + (name is "stos" or "scas" ? 0 : moved)));
                Assert.That(guest.State.Gpr[GeneralRegister.Rdi] & 0xFFFF, Is.EqualTo(Destination + (name is "lods" ? 0 : moved)));
            }
        }
    }

    [TestCase("cmps", 4, 1ul, "r4@100=00010203 r4@112=12131415")]
    [TestCase("scas", 2, 1ul, "r2@112=1213")]
    public void AComparisonThatFailsEndsTheRepetition(string name, int size, ulong elements, string log)
    {
        using EmulatedGuest guest = new();
        guest.Place(Encode(0xF3, name, size));
        Prepare(guest, sourceOnDevice: true, destinationOnDevice: true, down: false);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.Emulate(), Is.EqualTo(BlockExit.Branch));
            Assert.That(guest.Device.Log, Is.EqualTo(log));
            Assert.That(guest.State.Gpr[GeneralRegister.Rcx], Is.EqualTo(Count - elements));
        }
    }

    [TestCase("movs")]
    [TestCase("scas")]
    public void ACountOfZeroTouchesNothing(string name)
    {
        using EmulatedGuest guest = new();
        guest.Place(Encode(0xF3, name, 8));
        Prepare(guest, sourceOnDevice: true, destinationOnDevice: true, down: false);
        guest.State.Gpr[GeneralRegister.Rcx] = 0;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.Emulate(), Is.EqualTo(BlockExit.Branch));
            Assert.That(guest.Device.Log, Is.Empty);
        }
    }

    /// <summary>A run that faults on the way goes on after the page is mapped as if nothing had been.</summary>
    [Test]
    public void AFaultHalfWayIsRestartedWhereItWas([Values(1, 2, 4, 8)] int size, [Values] bool sourceFaults, [Values] bool down, [Range(1, Count - 1)] int done)
    {
        byte[] code = Encode(0xF3, "movs", size);
        using EmulatedGuest whole = new();
        using EmulatedGuest guest = new();
        foreach (EmulatedGuest each in (EmulatedGuest[])[whole, guest])
        {
            each.Place(code);
            Prepare(each, sourceOnDevice: !sourceFaults, destinationOnDevice: sourceFaults, down);
            each.Paged.Map(RamPage - 0x1000, RamFrame - 0x1000);
            ulong start = RamPage + (ulong)((down ? size * (done - 1) : -size * done));
            each.State.Gpr[sourceFaults ? GeneralRegister.Rsi : GeneralRegister.Rdi] = start;
        }

        ulong missing = down ? RamPage - 0x1000 : RamPage;
        ulong rsi = guest.State.Gpr[GeneralRegister.Rsi], rdi = guest.State.Gpr[GeneralRegister.Rdi];
        guest.Paged.Unmap(missing);
        BlockExit wholeExit = whole.Emulate(), first = guest.Emulate();
        ulong moved = (ulong)((down ? -size : size) * done);
        ulong faulting = down ? RamPage - (ulong)size : RamPage;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(wholeExit, Is.EqualTo(BlockExit.Branch));
            Assert.That(first, Is.EqualTo(BlockExit.Fault));
            Assert.That(guest.Fault, Is.EqualTo($"#PF({(sourceFaults ? 0 : 2)}) {faulting:x}"));
            Assert.That(guest.State.Gpr[GeneralRegister.Rcx], Is.EqualTo((ulong)(Count - done)));
            Assert.That(guest.State.Gpr[GeneralRegister.Rsi], Is.EqualTo(rsi + moved));
            Assert.That(guest.State.Gpr[GeneralRegister.Rdi], Is.EqualTo(rdi + moved));
            Assert.That(guest.State.Rip, Is.EqualTo(EmulatedGuest.Code));
        }

        guest.Paged.Map(missing, down ? RamFrame - 0x1000 : RamFrame);
        BlockExit second = guest.Emulate();
        string[] log = guest.Device.Log.Split(' ');
        string[] expected = whole.Device.Log.Split(' ');
        int lost = sourceFaults ? 0 : 1;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(second, Is.EqualTo(BlockExit.Branch));
            Assert.That(log.Where((_, i) => lost == 0 || i != done), Is.EqualTo(expected), "but for the device read whose element faulted");
            Assert.That(GuestSnapshot.Of(guest.Paged), Is.EqualTo(GuestSnapshot.Of(whole.Paged)));
            Assert.That(guest.Device.Bytes, Is.EqualTo(whole.Device.Bytes));
            Assert.That(guest.Paged.Ram(RamFrame - 0x1000, 0x2000).SequenceEqual(whole.Paged.Ram(RamFrame - 0x1000, 0x2000)));
        }
    }

    /// <summary>The processor does the part in RAM and the emulator the rest; neither does an element twice.</summary>
    [TestCase("movs", 4, 0x1000 - 8, "w4@0=00010203 w4@4=04050607 w4@8=08090a0b w4@c=0c0d0e0f w4@10=10111213")]
    [TestCase("stos", 2, 0x1000 - 9, "w1@0=a1 w2@1=a0a1 w2@3=a0a1")]
    [TestCase("scas", 8, 0x1000 - 44, "r4@0=00010203 r8@4=0405060708090a0b")]
    public void ARunFromRamOntoADeviceIsSharedByProcessorAndEmulator(string name, int size, int start, string log)
    {
        const ulong Joined = 0x62_0000;
        string[] after = new string[2];
        for (int run = 0; run < 2; run++)
        {
            using EmulatedGuest guest = new();
            guest.Place(Encode(0xF2, name, size));
            Prepare(guest, sourceOnDevice: false, destinationOnDevice: false, down: false);
            guest.Paged.Map(Joined, RamFrame + 0x4000);
            guest.Paged.Map(Joined + 0x1000, EmulatedGuest.DeviceGpa);
            guest.State.Gpr[GeneralRegister.Rdi] = Joined + (ulong)start;
            guest.State.Gpr[GeneralRegister.Rsi] = RamPage + 0x80 - (ulong)(0x1000 - start);
            bool finished = run == 0 ? guest.Emulate() == BlockExit.Branch : guest.Paged.Machine.Run(1).Reason == StopReason.Limit;
            after[run] = GuestSnapshot.Of(guest.Paged) + Convert.ToHexString(guest.Paged.Ram(RamFrame + 0x4F00, 0x100));
            Assert.That((finished, guest.Device.Log), Is.EqualTo((true, log)));
        }

        Assert.That(after[1], Is.EqualTo(after[0]));
    }

    [TestCase(0x1FF0ul, "w4@1ff0=80818283 w4@1ff4=84858687", 5ul)]
    [TestCase(0x1FF2ul, "w4@1ff2=80818283 w2@1ff6=8485", 7ul, Description = "one element in two pieces at the end, one at a page")]
    public void ARunGoesOnBeyondTheEndOfADevice(ulong start, string log, ulong unclaimed)
    {
        using EmulatedGuest guest = new(0x1FF8);
        guest.Place(Encode(0xF3, "movs", 4));
        Prepare(guest, sourceOnDevice: false, destinationOnDevice: true, down: false);
        guest.Paged.Map(DevicePage, EmulatedGuest.DeviceGpa, length: 0x3000);
        guest.State.Gpr[GeneralRegister.Rdi] = DevicePage + start;
        using (Assert.EnterMultipleScope())
        {
            Assert.That(guest.Emulate(), Is.EqualTo(BlockExit.Branch));
            Assert.That(guest.Device.Log, Is.EqualTo(log));
            Assert.That((guest.Bus.UnclaimedReads, guest.Bus.UnclaimedWrites), Is.EqualTo((0ul, unclaimed)));
            Assert.That(guest.State.Gpr[GeneralRegister.Rcx], Is.Zero);
        }
    }

    private static byte[] Encode(byte repeat, string name, int size) => size switch
    {
        1 => [repeat, Opcode(name)],
        2 => [0x66, repeat, (byte)(Opcode(name) + 1)],
        4 => [repeat, (byte)(Opcode(name) + 1)],
        _ => [repeat, 0x48, (byte)(Opcode(name) + 1)],
    };

    /// <summary>Does to the arrays what the instruction does to memory, and says which accesses the device sees.</summary>
    private static string Model(string name, int size, byte[] source, byte[] destination, bool down, byte[] device)
    {
        List<string> log = [];
        byte[] rax = BitConverter.GetBytes(Rax);
        for (int i = 0; i < Count; i++)
        {
            int step = (down ? -i : i) * size;
            Range from = ((int)Source + step)..((int)Source + step + size), to = ((int)Destination + step)..((int)Destination + step + size);
            if (name is "movs" or "lods" or "cmps")
            {
                Note('r', source, from);
            }

            if (name is "scas" or "cmps")
            {
                Note('r', destination, to);
            }

            if (name is "movs" or "stos")
            {
                (name == "movs" ? source[from] : rax[..size]).CopyTo(destination.AsSpan(to));
                Note('w', destination, to);
            }
        }

        return string.Join(' ', log);

        void Note(char kind, byte[] memory, Range range)
        {
            if (memory == device)
            {
                log.Add($"{kind}{size}@{range.Start.Value:x}={Convert.ToHexStringLower(memory[range])}");
            }
        }
    }

    private static void Prepare(EmulatedGuest guest, bool sourceOnDevice, bool destinationOnDevice, bool down)
    {
        guest.Paged.Map(DevicePage, EmulatedGuest.DeviceGpa);
        guest.Paged.Map(RamPage, RamFrame);
        guest.Device.Reset();
        Span<byte> ram = guest.Paged.Ram(RamFrame, 0x1000);
        for (int i = 0; i < ram.Length; i++)
        {
            ram[i] = (byte)(0x80 + i);
        }

        HostState state = new() { Rflags = Rflags.Fixed | (down ? Rflags.DF : 0) };
        state[Register.RAX] = Rax;
        state[Register.RCX] = Count;
        state[Register.RSI] = (sourceOnDevice ? DevicePage : RamPage) + Source;
        state[Register.RDI] = (destinationOnDevice ? DevicePage : RamPage) + Destination;
        GuestRegisters.Set(guest.Cpu, state);
        guest.State.Rip = EmulatedGuest.Code;
    }
}
