// A device of one's own: a dice at guest-physical 0xE0000000. The guest reaches it through the direct map with whatever
// instruction it likes; the device sees the address, the width and the value.
using System.Buffers.Binary;
using Iced.Intel;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;
using static Iced.Intel.AssemblerRegisters;

const ulong DirectMap = 0xffff_8880_0000_0000;
Gpa place = new(0xE000_0000);

Assembler code = new(64);
code.mov(rbx, DirectMap + place.Value);
code.mov(__dword_ptr[rbx], 6);
code.mov(eax, __dword_ptr[rbx]);
code.add(al, __byte_ptr[rbx]);
code.add(__word_ptr[rbx + 4], 100);
code.hlt();
using MemoryStream bytes = new();
code.Assemble(new StreamCodeWriter(bytes), 0x10_0000);

using Machine machine = new(new MachineOptions());
machine.Mmio.Attach(place, new Dice(Console.Out));
ImageLoader.Load(machine, FlatImage.Create(bytes.ToArray(), new Gva(0x10_0000), machine.Options.RamBytes));
machine.Run();
Console.WriteLine($"eax = {(uint)machine.Cpu.State.Gpr[GeneralRegister.Rax]}, {machine.Cpu.Counters.MmioExits} MMIO exits");

/// <summary>Register 0: write the number of faces, read a throw. Register 4: a total that counts what is written to it.</summary>
internal sealed class Dice(TextWriter log) : IMmioDevice
{
    private uint faces = 6;
    private uint state = 12345;

    public ulong Size => 8;

    public void Read(ulong offset, Span<byte> destination)
    {
        state = (state * 1664525) + 1013904223;
        uint value = offset == 0 ? (state >> 16) % faces + 1 : 7;
        Span<byte> word = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(word, value);
        destination.Clear();
        word[..Math.Min(word.Length, destination.Length)].CopyTo(destination);
        log.WriteLine($"read  +{offset} width {destination.Length}: {value}");
    }

    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        Span<byte> word = stackalloc byte[sizeof(uint)];
        word.Clear();
        source[..Math.Min(word.Length, source.Length)].CopyTo(word);
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(word);
        faces = offset == 0 ? Math.Max(value, 1) : faces;
        log.WriteLine($"write +{offset} width {source.Length}: {value}");
    }
}
