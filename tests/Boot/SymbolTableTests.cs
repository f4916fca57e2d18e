using NUnit.Framework;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

[TestFixture]
public sealed class SymbolTableTests
{
    private const ulong Code = ElfBuilder.Code, Data = ElfBuilder.Data;

    private static readonly SymbolTable Symbols = ElfImage.Parse(
        new ElfBuilder
        {
            Symbols =
            [
                ("alias", Code, 0, 0x00), ("outer", Code, 7, 0x12), ("inner", Code + 2, 2, 0x02), ("label", Code + 5, 0, 0x00),
                ("table", Data, 0x10, 0x11), ("bss", Data + 0x100, 0, 0x10), ("section", Data + 0x20, 4, 0x03),
                ("elsewhere", 0x10, 4, 0x12), ("too long", Data + 0x17f0, 0x1000, 0x11), ("\u001b[2J", Data + 0x80, 4, 0x11),
            ],
        }.Build(),
        1 << 20).Symbols;

    [TestCase(Code, "outer")]
    [TestCase(Code + 1, "outer+0x1")]
    [TestCase(Code + 2, "inner")]
    [TestCase(Code + 3, "inner+0x1")]
    [TestCase(Code + 4, "outer+0x4")]
    [TestCase(Code + 5, "label")]
    [TestCase(Code + 7, "label+0x2")]
    [TestCase(Code + 8, null)]
    [TestCase(Data + 0xf, "table+0xf")]
    [TestCase(Data + 0x20, null)]
    [TestCase(Data + 0x80, "?[2J")]
    [TestCase(Data + 0x17ef, "bss+0x16ef")]
    [TestCase(Data + 0x17ff, "too long+0xf")]
    [TestCase(Data + 0x1800, null)]
    [TestCase(0x10UL, null)]
    [TestCase(ulong.MaxValue, null)]
    public void An_address_is_named_by_the_innermost_symbol_that_covers_it(ulong address, string? expected) =>
        Assert.That(Symbols.TryResolve(new Gva(address), out SymbolLocation location) ? location.ToString() : null, Is.EqualTo(expected));

    [TestCase("inner", Code + 2)]
    [TestCase("table", Data)]
    [TestCase("inne", null)]
    [TestCase("elsewhere", null)]
    public void A_name_is_found_whole(string name, ulong? address) =>
        Assert.That(Symbols.TryFind(name, out Symbol symbol) ? symbol.Address.Value : (ulong?)null, Is.EqualTo(address));

    [Test]
    public void The_empty_table_knows_nothing() =>
        Assert.That(SymbolTable.Empty.TryResolve(new Gva(0), out _), Is.False);
}
