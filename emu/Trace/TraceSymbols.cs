using Iced.Intel;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Puts symbols for branch targets and RIP-relative operands into disassembly.</summary>
internal sealed class TraceSymbols(SymbolTable symbols) : ISymbolResolver
{
    /// <inheritdoc/>
    public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
    {
        bool found = NamesAnAddress(instruction, instructionOperand) & symbols.TryResolve(new Gva(address), out SymbolLocation location);
        symbol = found ? new SymbolResult(location.Symbol.Address.Value, location.Symbol.Name) : default;
        return found;
    }

    private static bool NamesAnAddress(in Instruction instruction, int operand) => operand >= 0 && instruction.GetOpKind(operand) switch
    {
        OpKind.NearBranch16 or OpKind.NearBranch32 or OpKind.NearBranch64 => true,
        OpKind.Memory => instruction.IsIPRelativeMemoryOperand,
        _ => false,
    };
}
