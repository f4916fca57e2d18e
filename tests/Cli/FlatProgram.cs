using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Quadwalk.Tests;

/// <summary>Small ring-0 programs as files that a flat image is loaded from, gone when disposed.</summary>
internal sealed class FlatProgram : IDisposable
{
    public const ulong Address = 0x100000;

    private FlatProgram(byte[] bytes)
    {
        Path = System.IO.Path.GetTempFileName();
        File.WriteAllBytes(Path, bytes);
    }

    public string Path { get; }

    public static FlatProgram Of(params byte[] bytes) => new(bytes);

    public static FlatProgram Of(Action<Assembler> body)
    {
        Assembler assembler = new(64);
        body(assembler);
        using MemoryStream code = new();
        assembler.Assemble(new StreamCodeWriter(code), Address);
        return new FlatProgram(code.ToArray());
    }

    /// <summary>Writes to the exit port.</summary>
    public static FlatProgram Exiting(uint value) => Of(assembler =>
    {
        assembler.mov(eax, value);
        assembler.@out(0xf4, eax);
    });

    /// <summary>Never ends.</summary>
    public static FlatProgram Endless() => Of(0xeb, 0xfe);

    public string[] Run(params string[] more) => ["run", Path, "--load-at", "0x100000", .. more];

    public string[] Page(params string[] more) => ["page", Path, "--load-at", "0x100000", .. more];

    public string[] Tlb(params string[] more) => ["tlb", Path, "--load-at", "0x100000", .. more];

    public void Dispose() => File.Delete(Path);
}
