namespace Quadwalk.GuestMemory;

/// <summary>memfd_secret: pages that the direct map does not show, and that GUP refuses (<c>mm/secretmem.c</c>).</summary>
public sealed class SecretFile : MemoryFile
{
    /// <summary>Makes a file of holes.</summary>
    /// <param name="kernel">The host.</param>
    /// <param name="size">How many pages it has.</param>
    public SecretFile(HostKernel kernel, ulong size)
        : base(kernel, size)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        kernel.MarkWithoutDirectMap(Id);
    }

    /// <inheritdoc/>
    public override string Name => "memfd_secret";

    /// <inheritdoc/>
    public override bool NoDirectMap => true;

    /// <inheritdoc/>
    internal override Errno MigrationRefusal => Errno.EBUSY;

    /// <inheritdoc/>
    internal override bool CanReclaim => false;

    /// <inheritdoc/>
    protected override void Added(Pfn head) => Kernel.DirectMap.Remove(head, 1, flush: !Kernel.Injects(InjectedFaults.SkipFlush));
}
