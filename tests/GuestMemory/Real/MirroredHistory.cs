using System.Buffers.Binary;
using System.Globalization;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Random operations that change mappings of a small host, one at a time.</summary>
internal sealed class MirroredHistory
{
    private const int Pages = 24;
    private const int MostProcesses = 4;
    private static readonly VmFlags[] Rights = [VmFlags.None, VmFlags.Read, VmFlags.Read | VmFlags.Write];

    private readonly HostKernel kernel;
    private readonly Random random;
    private readonly MemoryFile file;
    private readonly SecretFile secret;
    private readonly Pfn driver;
    private readonly List<Pfn> shown = [];

    public MirroredHistory(HostKernel kernel, int seed)
    {
        this.kernel = kernel;
        random = new Random(seed);
        file = new MemoryFile(kernel, Pages);
        secret = new SecretFile(kernel, Pages);
        driver = DriverMemory.Allocate(kernel, order: 3, refcountOfFirst: 1);
        _ = new AddressSpace(kernel);
    }

    public static IEnumerable<string> AllKinds { get; } =
        new[] { "begin a use", "discard", "end a use", "exit", "fork", "large page", "map", "migrate", "protect", "punch", "touch", "unmap", "write" };

    public SortedSet<string> Kinds { get; } = new(StringComparer.Ordinal);

    /// <summary>Does one thing and says what.</summary>
    public string Step()
    {
        AddressSpace process = kernel.Processes[random.Next(kernel.Processes.Count)];
        int page = random.Next(Pages);
        int count = random.Next(1, Pages - page + 1);
        Hva hva = HostCase.Page(page);
        string kind = random.Next(100) switch
        {
            < 12 => Map(process, page, (ulong)count),
            < 40 => Touch(process, hva),
            < 50 => Write(process, hva),
            < 57 => Run("discard", process.Discard(hva, (ulong)count)),
            < 63 => Run("unmap", process.Unmap(hva, (ulong)count)),
            < 72 => Run("protect", process.Protect(hva, (ulong)count, Rights[random.Next(Rights.Length)])),
            < 76 => Fork(process),
            < 79 => Exit(process),
            < 85 => Migrate(process, hva),
            < 88 => Run("punch", (random.Next(2) == 0 ? file : secret).Punch((ulong)page, (ulong)count)),
            < 92 => LargePage(process),
            < 96 => BeginUse(process, hva),
            _ => EndUse(),
        };
        Kinds.Add(kind);
        return string.Create(CultureInfo.InvariantCulture, $"{kind} in {process}, page {page}, {count} pages");
    }

    private static string Run(string kind, HostOperation operation)
    {
        operation.Run();
        return kind;
    }

    private string Map(AddressSpace process, int page, ulong count)
    {
        VmFlags flags = Rights[random.Next(1, Rights.Length)];
        (VmBacking? backing, VmFlags more) = random.Next(6) switch
        {
            0 => (file, VmFlags.Shared),
            1 => (file, VmFlags.None),
            2 => (secret, VmFlags.Shared),
            3 => ((VmBacking)new DriverMemory(kernel, [.. Enumerable.Range(0, 8).Select(i => new Pfn(driver.Value + (ulong)i)), new Pfn(1UL << 30)]), VmFlags.Shared | VmFlags.PfnMap),
            _ => (null, VmFlags.None),
        };
        process.Map(HostCase.Page(page), count, flags | more, backing, 0, out _);
        return "map";
    }

    private string Touch(AddressSpace process, Hva hva) => Run("touch", process.Fault(hva, write: random.Next(2) == 0));

    private string Write(AddressSpace process, Hva hva)
    {
        if (process.Tables.LookupPfn(hva, out Pfn frame, out _, out _) && kernel.Frames.IsValid(frame))
        {
            BinaryPrimitives.WriteInt64LittleEndian(kernel.Frames.Bytes(frame)[(8 * random.Next(512))..], random.NextInt64());
        }

        return "write";
    }

    private string Fork(AddressSpace process)
    {
        if (kernel.Processes.Count == MostProcesses)
        {
            return Exit(kernel.Processes[0]);
        }

        return Run("fork", process.Fork("child"));
    }

    private string Exit(AddressSpace process)
    {
        process.Exit().Run();
        if (kernel.Processes.Count == 0)
        {
            _ = new AddressSpace(kernel);
        }

        return "exit";
    }

    private string Migrate(AddressSpace process, Hva hva)
    {
        if (process.Tables.LookupPfn(hva, out Pfn frame, out _, out _) && kernel.Folios.IsRefCounted(frame))
        {
            new MigrateOperation(kernel, frame).Run();
        }

        return "migrate";
    }

    // 2 MiB, split by whatever changes a part of it.
    private string LargePage(AddressSpace process)
    {
        Hva start = new(HostCase.Base + PageSize.Size2M);
        process.Map(start, 512, VmFlags.Read | VmFlags.Write | VmFlags.HugePage, null, 0, out _);
        Hva page = start + ((ulong)random.Next(512) << PageSize.Shift4K);
        process.Fault(page, write: true).Run();
        switch (random.Next(4))
        {
            case 0:
                process.Discard(page, 1).Run();
                break;
            case 1:
                process.Protect(page, 1, VmFlags.Read).Run();
                break;
            case 2:
                process.Unmap(start, 512).Run();
                break;
        }

        return "large page";
    }

    private string BeginUse(AddressSpace process, Hva hva)
    {
        if (process.Tables.LookupPfn(hva, out Pfn frame, out _, out _) && kernel.Frames.IsValid(frame) && kernel.DirectMap.IsAbsent(frame))
        {
            kernel.DirectMap.BeginUse(frame);
            shown.Add(frame);
        }

        return "begin a use";
    }

    private string EndUse()
    {
        if (shown.Count > 0)
        {
            int index = random.Next(shown.Count);
            if (kernel.DirectMap.UseDepth(shown[index]) > 0)
            {
                kernel.DirectMap.EndUse(shown[index]);
            }

            shown.RemoveAt(index);
        }

        return "end a use";
    }
}
