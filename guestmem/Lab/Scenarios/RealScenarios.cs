namespace Quadwalk.GuestMemory;

/// <summary>The host's own kernel beside the modelled one, both asked the same: rows 4, 9, 28 and 39. Where a host has no such page, that is said.</summary>
internal static class RealScenarios
{
    private const VmFlags ReadWrite = VmFlags.Read | VmFlags.Write;

    public static IReadOnlyList<LabScenario> All { get; } =
    [
        new("real-pfnmap-refuses-gup", 4, "GUP refuses the model's VM_PFNMAP as the host's kernel refuses [vvar], which can be read all the same.", PfnMap),
        new("real-secretmem-refuses-gup", 9, "GUP refuses the model's secret memory as the host's kernel refuses that of memfd_secret.", Secret),
        new("real-poison-has-its-own-code", 28, "A lost page is EHWPOISON to who asks for it and EFAULT to others, modelled and by userfaultfd.", Poison),
        new("real-copy-from-user-without-direct-map", 39, "copy_from_user goes by the process's mapping, and works where the direct map shows nothing.", CopyFromUser),
    ];

    private static void PfnMap(LabBench bench)
    {
        bench.Map(1, new DriverMemory(bench.Kernel, DriverMemory.Allocate(bench.Kernel)), ReadWrite | VmFlags.PfnMap);
        bench.Run("vmm", bench.Vmm.Fault(LabBench.Page(0), write: true));
        ExpectGupRefuses(bench, HostPageKind.PfnMap);
    }

    private static void Secret(LabBench bench)
    {
        bench.Map(1, new SecretFile(bench.Kernel, 1), ReadWrite | VmFlags.Shared);
        bench.Touch(0);
        ExpectGupRefuses(bench, HostPageKind.Secret);
    }

    private static void Poison(LabBench bench)
    {
        bench.Map(1);
        Pfn lost = bench.Touch(0);
        bench.Run("vmm", bench.Vmm.Discard(LabBench.Page(0), 1));
        bench.Vmm.Tables.TrySet(LabBench.Page(0), 1, HostPte.Poison(lost));

        bench.Expect("modelled GUP", Gup(bench, FollFlags.Get), Errno.EFAULT);
        bench.Expect("modelled GUP with FOLL_HWPOISON", Gup(bench, FollFlags.Get | FollFlags.HwPoison), Errno.EHWPOISON);
        using HostPage? page = Find(bench, HostPageKind.Poisoned);
        if (page is not null)
        {
            bench.Expect("the host's GUP", KernelReach.GupSlow(page.Address), Errno.EFAULT);
            bench.Expect("the host's GUP with FOLL_HWPOISON", KernelReach.GupHwPoison(page.Address), Errno.EHWPOISON);
            bench.Expect("the host's copy_from_user", KernelReach.CopyFromUser(page.Address), Errno.EFAULT);
            bench.Expect("the processor reads it", NofaultCopy.TryRead64(page.Address, out _), false);
        }
    }

    private static void CopyFromUser(LabBench bench)
    {
        bench.Map(1, new SecretFile(bench.Kernel, 1), ReadWrite | VmFlags.Shared);
        Pfn frame = bench.Touch(0);

        bench.Expect("the model's direct map shows the frame", bench.Kernel.DirectMap.Shows(frame), false);
        bench.Expect("the model's process maps it", bench.Vmm.Tables.LookupPfn(LabBench.Page(0), out _, out _, out _), true);
        using HostPage? page = Find(bench, HostPageKind.Secret);
        if (page is not null)
        {
            bench.Expect("the host's GUP", KernelReach.GupFast(page.Address), Errno.EFAULT);
            bench.Expect("the host's copy_from_user", KernelReach.CopyFromUser(page.Address), Errno.None);
        }
    }

    private static void ExpectGupRefuses(LabBench bench, HostPageKind kind)
    {
        bench.Expect("modelled GUP", Gup(bench, FollFlags.Get), Errno.EFAULT);
        bench.Expect("modelled GUP, fast only, pages", bench.Run("gup", new GupOperation(bench.Vmm, LabBench.Page(0), 1, FollFlags.Get | FollFlags.FastOnly)).Pages, 0);
        using HostPage? page = Find(bench, kind);
        if (page is not null)
        {
            bench.Expect("the host's GUP", KernelReach.GupSlow(page.Address), Errno.EFAULT);
            bench.Expect("the host's GUP, fast first", KernelReach.GupFast(page.Address), Errno.EFAULT);
            bench.Expect("the processor reads it", NofaultCopy.TryRead64(page.Address, out _), true);
        }
    }

    private static Errno Gup(LabBench bench, FollFlags flags) => bench.Run("gup", new GupOperation(bench.Vmm, LabBench.Page(0), 1, flags)).Error;

    private static HostPage? Find(LabBench bench, HostPageKind kind)
    {
        HostPage? page = HostPage.TryMake(kind, out Errno error);
        if (page is null)
        {
            bench.Note($"this host has no page of kind {kind} to compare with: {error}");
        }

        return page;
    }
}
