using System.Text;

namespace Quadwalk.Emulation;

/// <summary>A file that is loaded beside a multiboot image.</summary>
/// <param name="CommandLine">What the image is told: the file's name and, after a space, arguments.</param>
/// <param name="Contents">The file, which must not change until it is loaded.</param>
public sealed record MultibootModule(string CommandLine, ReadOnlyMemory<byte> Contents)
{
    /// <summary>
    /// Reads modules from a list as QEMU's <c>-initrd</c> takes it: <c>FILE arguments,FILE arguments</c>, where two commas stand
    /// for one that does not separate.
    /// </summary>
    /// <param name="list">The list.</param>
    /// <param name="read">Gives the contents of a file; what it throws passes through.</param>
    public static IReadOnlyList<MultibootModule> ParseList(string list, Func<string, ReadOnlyMemory<byte>> read)
    {
        ArgumentNullException.ThrowIfNull(list);
        ArgumentNullException.ThrowIfNull(read);
        List<MultibootModule> modules = [];
        var current = new StringBuilder();
        for (int i = 0; i <= list.Length; i++)
        {
            bool separates = i == list.Length || (list[i] == ',' && (i + 1 == list.Length || list[i + 1] != ','));
            if (!separates)
            {
                current.Append(list[i]);
                i += list[i] == ',' ? 1 : 0;
                continue;
            }

            string line = current.ToString();
            modules.Add(new MultibootModule(line, read(line.Split(' ')[0])));
            current.Clear();
        }

        return modules;
    }
}
