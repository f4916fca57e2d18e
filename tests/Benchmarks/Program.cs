using BenchmarkDotNet.Running;
using Quadwalk.Benchmarks;

if (args is ["guests", ..])
{
    return GuestTable.Print(args[1..], Console.Out);
}

if (args is ["translations"])
{
    return TranslationTable.Print(Console.Out);
}

if (args is ["host-memory"])
{
    return HostMemoryTable.Print(Console.Out);
}

BenchmarkSwitcher.FromAssembly(typeof(GuestTable).Assembly).Run(args);
return 0;
