using System.Buffers.Binary;
using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>The page with GDT, TSS and, for the system call shim, an IDT (SDM Vol. 3A, 3.4.5, 6.14.1 and 8.7).</summary>
/// <remarks>
/// <code>
/// 0x000 GDT   0x080 TSS   0x100 IDT of the shim   0x200 IDTR of the shim   0x210 IDTR with limit 0   0x220 RSP of the caller
/// </code>
/// </remarks>
internal static class BootDescriptors
{
    public const ushort KernelCode = 0x08;
    public const ushort KernelData = 0x10;
    public const ushort UserCode32 = 0x18;
    public const ushort UserData = 0x20;
    public const ushort UserCode = 0x28;
    public const ushort Task = 0x30;
    public const ushort GdtLimit = 0x3f;
    public const ushort TaskLimit = 0x67;

    private const int TaskAt = 0x80, IdtAt = 0x100, ShimIdtrAt = 0x200, EmptyIdtrAt = 0x210, CallerStackAt = 0x220;
    private const uint Segment = DescriptorBits.Present | DescriptorBits.CodeOrData | DescriptorBits.Accessed | DescriptorBits.WritableOrReadable;
    private const uint Flat = DescriptorBits.Granularity | 0xf << 16;
    private const uint BusyTask = DescriptorBits.Present | 11 << 8;
    private const uint InterruptGate = DescriptorBits.Present | 14 << 8;

    public static Gva TaskState => BootAddresses.Descriptors + TaskAt;

    public static Gva ShimIdtr => BootAddresses.Descriptors + ShimIdtrAt;

    public static Gva EmptyIdtr => BootAddresses.Descriptors + EmptyIdtrAt;

    public static Gva CallerStack => BootAddresses.Descriptors + CallerStackAt;

    /// <summary>The segment register that a load of <paramref name="selector"/> from this GDT leaves.</summary>
    public static SegmentRegister Load(ushort selector)
    {
        uint upper = Upper(selector);
        bool isTask = selector == Task;
        return new SegmentRegister
        {
            Selector = selector,
            Attributes = upper & DescriptorBits.Kept & ~(0xfU << 16),
            Limit = isTask ? TaskLimit : uint.MaxValue,
            Base = isTask ? TaskState.Value : 0,
        };
    }

    /// <summary>The contents of the page.</summary>
    /// <param name="pageFaultHandler">Where the shim's IDT sends page faults; null without one.</param>
    public static byte[] Build(Gva? pageFaultHandler)
    {
        byte[] page = new byte[PageSize.Size4K];
        for (ushort selector = KernelCode; selector < Task; selector += 8)
        {
            Put64(page, selector, (ulong)Upper(selector) << 32 | 0xffff);
        }

        ulong task = TaskState.Value;
        Put64(page, Task, (task >> 24 & 0xff) << 56 | (ulong)BusyTask << 32 | (task & 0xff_ffff) << 16 | TaskLimit);
        Put64(page, Task + 8, task >> 32);
        Put64(page, TaskAt + 4, BootAddresses.SystemStackTop.Value);
        Put64(page, TaskAt + 0x24, BootAddresses.InterruptStackTop.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(page.AsSpan(TaskAt + 0x66), TaskLimit + 1);
        if (pageFaultHandler is { } handler)
        {
            int gate = (int)ExceptionVector.PageFault * 16;
            ulong low = handler.Value & 0xffff | (ulong)KernelCode << 16 | (ulong)InterruptGate << 32 | (handler.Value >> 16 & 0xffff) << 48;
            Put64(page, IdtAt + gate, low);
            Put64(page, IdtAt + gate + 8, handler.Value >> 32);
            BinaryPrimitives.WriteUInt16LittleEndian(page.AsSpan(ShimIdtrAt), (ushort)(gate + 15));
            Put64(page, ShimIdtrAt + 2, BootAddresses.Descriptors.Value + IdtAt);
        }

        return page;
    }

    private static uint Upper(ushort selector) => (selector & ~7) switch
    {
        KernelCode => Segment | Flat | DescriptorBits.Code | DescriptorBits.Code64,
        KernelData => Segment | Flat | DescriptorBits.Default32,
        UserCode32 => Segment | Flat | DescriptorBits.Code | DescriptorBits.Default32 | 3 << DescriptorBits.DplShift,
        UserData => Segment | Flat | DescriptorBits.Default32 | 3 << DescriptorBits.DplShift,
        UserCode => Segment | Flat | DescriptorBits.Code | DescriptorBits.Code64 | 3 << DescriptorBits.DplShift,
        Task => BusyTask,
        _ => 0,
    };

    private static void Put64(byte[] page, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(at), value);
}
