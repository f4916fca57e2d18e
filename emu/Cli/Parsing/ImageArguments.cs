using System.CommandLine;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>The argument and options that every command on an image has.</summary>
internal sealed class ImageArguments
{
    private readonly Argument<string> image = new("IMAGE")
    {
        Description = "A static ELF64 x86-64 executable; with --load-at, a flat binary.",
    };

    private readonly Option<ulong?> memory = new("--memory", "-m")
    {
        Description = "RAM: a number with K, M, G or T (powers of 1024), at least 4M. [default: 128M]",
        HelpName = "SIZE",
        CustomParser = result => Parsers.RamSize(result),
    };

    private readonly Option<string?> memoryPath = new("--mem-path")
    {
        Description = "How the hypervisor reaches guest memory. [default: userspace]",
        HelpName = string.Join('|', MemoryPaths.Names),
        CustomParser = Parsers.MemoryPath,
    };

    private readonly Option<HostMemoryKind?> hostMemory = new("--host-memory")
    {
        Description = "What guest memory is made of. [default: auto]",
        HelpName = "auto|memfd|anonymous",
        CustomParser = result => Parsers.HostMemory(result),
    };

    private readonly Option<int?> ring = new("--ring")
    {
        Description = "The privilege level to start in, instead of the image's own.",
        HelpName = "0|3",
        CustomParser = result => Parsers.Ring(result),
    };

    private readonly Option<Gva?> loadAddress;

    /// <summary>Adds them to <paramref name="command"/>.</summary>
    /// <param name="command">The command.</param>
    /// <param name="loadAliases">Further names of <c>--load-at</c>.</param>
    public ImageArguments(Command command, params string[] loadAliases)
    {
        loadAddress = new Option<Gva?>("--load-at", loadAliases)
        {
            Description = "IMAGE is a flat binary: load it at ADDRESS and start at its first byte.",
            HelpName = "ADDRESS",
            CustomParser = result => Parsers.Address(result),
        };
        image.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: ['-', ..] option }])
            {
                result.AddError(UsageErrors.UnknownOption(option));
            }
        });
        command.Add(image);
        command.Add(memory);
        command.Add(memoryPath);
        command.Add(hostMemory);
        command.Add(ring);
        command.Add(loadAddress);
    }

    /// <summary>What was given.</summary>
    public ImageOptions Read(ParseResult result) => new()
    {
        Path = result.GetRequiredValue(image),
        RamBytes = result.GetValue(memory) ?? MachineOptions.DefaultRamBytes,
        MemoryPath = result.GetValue(memoryPath) ?? MemoryPaths.Userspace,
        HostMemory = result.GetValue(hostMemory) ?? HostMemoryKind.Auto,
        Ring = result.GetValue(ring),
        LoadAddress = result.GetValue(loadAddress),
    };
}
