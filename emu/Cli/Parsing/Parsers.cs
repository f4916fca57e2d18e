using System.CommandLine.Parsing;
using System.Globalization;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>The values of options. Each parser either returns a value or adds one line that says what would have been one.</summary>
internal static class Parsers
{
    /// <summary>The least RAM: page tables, a stack of 1 MiB and a small program.</summary>
    public const ulong LeastRam = 4UL << 20;

    /// <summary>The parser of a number of bytes for RAM.</summary>
    public static ulong RamSize(ArgumentResult result)
    {
        string text = Text(result);
        if (!Number.TryParseScaled(text, Number.Kibi, out ulong bytes))
        {
            result.AddError($"{Name(result)} '{text}' is no size: give bytes or a number with K, M, G or T, like 64M, 2G or 0x8000000");
        }
        else if (bytes < LeastRam)
        {
            string hint = bytes != 0 && Number.TryParse(text, out _) && bytes <= 1 << 20 ? $"did you mean {text}M?" : "give 4M or more";
            result.AddError(string.Create(CultureInfo.InvariantCulture, $"{Name(result)} {text} is {bytes} bytes, less than the 4 MiB a machine needs: {hint}"));
        }
        else if (bytes % PageSize.Size4K != 0)
        {
            result.AddError($"{Name(result)} {text} is no whole number of 4096-byte pages: round it to one");
        }

        return bytes;
    }

    /// <summary>The parser of a number of instructions.</summary>
    public static ulong Count(ArgumentResult result)
    {
        string text = Text(result);
        if (!Number.TryParseScaled(text, Number.Thousand, out ulong count))
        {
            result.AddError($"{Name(result)} '{text}' is no number of instructions: give one like 5000, 0x1000, 1_000_000, 10k, 2.5M or 1G");
        }

        return count;
    }

    /// <summary>The parser of a number of lines.</summary>
    public static ulong Lines(ArgumentResult result)
    {
        string text = Text(result);
        if (!Number.TryParseScaled(text, Number.Thousand, out ulong count))
        {
            result.AddError($"{Name(result)} '{text}' is no number of lines: give one like 100, 10k or 1M");
        }
        else if (count == 0)
        {
            result.AddError($"{Name(result)} 0 would list nothing: give 1 or more");
        }

        return count;
    }

    /// <summary>The parser of a seed.</summary>
    public static ulong Seed(ArgumentResult result)
    {
        string text = Text(result);
        if (!Number.TryParse(text, out ulong seed))
        {
            result.AddError($"{Name(result)} '{text}' is no seed: give a number up to 64 bits");
        }

        return seed;
    }

    /// <summary>The parser of a numeric address.</summary>
    public static Gva Address(ArgumentResult result)
    {
        string text = Text(result);
        if (!Number.TryParse(text, out ulong address))
        {
            result.AddError($"{Name(result)} '{text}' is no address: give a number up to 64 bits, like 0x100000");
        }

        return new Gva(address);
    }

    /// <summary>The parser of a kind of machine.</summary>
    public static MachineKind Machine(ArgumentResult result) => Choice(result, [("bare", MachineKind.Bare), ("pc", MachineKind.Pc)]);

    /// <summary>The parser of a number of processors.</summary>
    public static int Processors(ArgumentResult result)
    {
        string text = Text(result);
        if (!Number.TryParse(text, out ulong count) || count is 0 or > MachineOptions.MostProcessors)
        {
            result.AddError($"{Name(result)} '{text}' is no number of processors: give 1 to {MachineOptions.MostProcessors}");
        }

        return (int)count;
    }

    /// <summary>The parser of a privilege level.</summary>
    public static int Ring(ArgumentResult result) => Choice(result, [("0", 0), ("3", 3)]);

    /// <summary>The parser of an access path's name.</summary>
    public static string MemoryPath(ArgumentResult result) => Choice(result, [.. MemoryPaths.Names.Select(name => (name, name))]);

    /// <summary>The parser of a kind of host memory.</summary>
    public static HostMemoryKind HostMemory(ArgumentResult result) => Choice(
        result, [("auto", HostMemoryKind.Auto), ("memfd", HostMemoryKind.Memfd), ("anonymous", HostMemoryKind.Anonymous)]);

    /// <summary>The parser of a processor model.</summary>
    public static CpuFeatures? Cpu(ArgumentResult result)
    {
        if (!CpuFeatures.TryParse(Text(result), out CpuFeatures? features, out string? error))
        {
            result.AddError($"{Name(result)}: {error}");
        }

        return features;
    }

    /// <summary>The parser of a row of the host-memory table.</summary>
    public static int LabRow(ArgumentResult result)
    {
        string text = Text(result);
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int row) || row < 1 || row > GuestMemory.LabRow.All.Count)
        {
            result.AddError($"{Name(result)} '{text}' is no row: give 1 to {GuestMemory.LabRow.All.Count}");
        }

        return row;
    }

    /// <summary>The parser of an order of steps.</summary>
    public static LabReplay? LabReplay(ArgumentResult result)
    {
        string text = Text(result);
        if (!GuestMemory.LabReplay.TryParse(text, out LabReplay? replay))
        {
            result.AddError($"{Name(result)} '{text}' is no order of steps: give it as a failing run prints it, like 1:0010");
        }

        return replay;
    }

    /// <summary>The parser of a word that stands for a value.</summary>
    public static T Choice<T>(ArgumentResult result, ReadOnlySpan<(string Word, T Value)> choices)
    {
        string text = Text(result);
        List<string> words = [];
        foreach ((string word, T value) in choices)
        {
            if (word == text)
            {
                return value;
            }

            words.Add(word);
        }

        result.AddError($"{Name(result)} '{text}' is not one of its values: give {string.Join(" or ", words)}");
        return default!;
    }

    private static string Text(ArgumentResult result) => result.Tokens.Count == 0 ? "" : result.Tokens[^1].Value;

    private static string Name(ArgumentResult result) =>
        result.Parent is OptionResult option ? option.IdentifierToken?.Value ?? option.Option.Name : result.Argument.Name;
}
