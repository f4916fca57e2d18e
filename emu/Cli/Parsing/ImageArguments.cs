using System.CommandLine;
using System.CommandLine.Parsing;
using Quadwalk.Emulation;
using Quadwalk.GuestMemory;

namespace Quadwalk.Cli;

/// <summary>The argument and options that every command on an image has.</summary>
internal sealed class ImageArguments
{
    private readonly Argument<string> image = new("IMAGE")
    {
        Description = "A static ELF64 x86-64 executable; with --load-at, a flat binary; with --machine pc, a multiboot image.",
    };

    private readonly Option<MachineKind?> machine = new("--machine")
    {
        Description = "Which devices there are: bare for ELF64 and flat images, pc for multiboot images. [default: bare]",
        HelpName = "bare|pc",
        CustomParser = result => Parsers.Machine(result),
    };

    private readonly Option<int?> processors = new("--smp", "-smp")
    {
        Description = "With --machine pc, how many processors. [default: 1]",
        HelpName = "N",
        CustomParser = result => Parsers.Processors(result),
    };

    private readonly Option<string?> commandLine = new("--append", "-append")
    {
        Description = "With --machine pc, the image's command line, behind its name.",
        HelpName = "TEXT",
    };

    private readonly Option<string?> modules = new("--initrd", "-initrd")
    {
        Description = "With --machine pc, modules: FILE and arguments, separated by commas; two commas stand for one.",
        HelpName = "LIST",
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

    private readonly Option<CpuFeatures?> cpu = CpuArgument.Create();

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
        command.Add(machine);
        command.Add(processors);
        command.Add(commandLine);
        command.Add(modules);
        command.Validators.Add(RequirePc);
        command.Add(memory);
        command.Add(memoryPath);
        command.Add(hostMemory);
        command.Add(cpu);
        command.Add(ring);
        command.Add(loadAddress);
    }

    /// <summary>What was given.</summary>
    public ImageOptions Read(ParseResult result) => new()
    {
        Kind = result.GetValue(machine) ?? MachineKind.Bare,
        Processors = result.GetValue(processors) ?? 1,
        CommandLine = result.GetValue(commandLine) ?? "",
        Modules = result.GetValue(modules),
        Path = result.GetRequiredValue(image),
        RamBytes = result.GetValue(memory) ?? MachineOptions.DefaultRamBytes,
        MemoryPath = result.GetValue(memoryPath) ?? MemoryPaths.Userspace,
        HostMemory = result.GetValue(hostMemory) ?? HostMemoryKind.Auto,
        Cpu = result.GetValue(cpu) ?? new CpuFeatures(),
        Ring = result.GetValue(ring),
        LoadAddress = result.GetValue(loadAddress),
    };

    private void RequirePc(CommandResult result)
    {
        foreach (Option option in (Option[])[processors, commandLine, modules])
        {
            if (result.GetResult(option) is { Implicit: false } && result.GetValue(machine) != MachineKind.Pc)
            {
                result.AddError($"{option.Name} is for --machine pc: add that");
            }
        }
    }
}
