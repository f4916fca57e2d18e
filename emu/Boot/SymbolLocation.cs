namespace Quadwalk.Emulation;

/// <summary>An address told by a symbol and the distance from it in bytes: <c>memcpy+0x1c</c>.</summary>
public readonly record struct SymbolLocation(Symbol Symbol, ulong Offset)
{
    /// <inheritdoc/>
    public override string ToString() => Offset == 0 ? Symbol.Name : $"{Symbol.Name}+0x{Offset:x}";
}
