using Quadwalk.GuestMemory;
using Quadwalk.Mmu;

namespace Quadwalk.Emulation;

/// <summary>Writes page walks, a line for the access, one for each level and one for the outcome.</summary>
/// <param name="tracer">Told of each walk before it is written; knows whose it is.</param>
/// <param name="vcpu">The processor.</param>
/// <param name="writer">Where the lines go.</param>
internal sealed class WalkLines(Tracer tracer, Vcpu vcpu, TraceWriter writer) : IWalkListener
{
    private WalkTrace walk;

    /// <inheritdoc/>
    public void OnWalkBegin(Gva gva, WalkAccess access)
    {
        tracer.WalkBegins(vcpu, access);
        walk = default;
        writer.Write("  walk "u8);
        writer.Write(tracer.InHypervisor ? "hypervisor"u8 : "processor"u8);
        writer.Write((byte)' ');
        writer.Write(WalkDescription.AccessName(access));
        writer.Write((byte)' ');
        writer.Address(gva.Value);
        writer.Write((byte)'\n');
    }

    /// <inheritdoc/>
    public void OnEntry(int level, Gpa entry, PageTableEntry value) => walk.OnEntry(level, entry, value);

    /// <inheritdoc/>
    public void OnUpdate(int level, Gpa entry, PageTableEntry before, PageTableEntry after) => walk.OnUpdate(level, entry, before, after);

    /// <inheritdoc/>
    public void OnWalkEnd(Gva gva, WalkAccess access, in WalkResult result)
    {
        if (walk.Restarts != 0)
        {
            writer.Write("    started again "u8);
            writer.Decimal((ulong)walk.Restarts);
            writer.Write(" times\n"u8);
        }

        foreach (ref readonly WalkStep step in walk.Steps)
        {
            WriteStep(step);
        }

        if (!result.Succeeded)
        {
            writer.Write("    fails: "u8);
            writer.Write(WalkDescription.Describe(result, gva, access, vcpu.Paging));
            writer.Write((byte)'\n');
            return;
        }

        writer.Write("    gives "u8);
        writer.Address(result.Gpa.Value);
        writer.Write(result.PageShift switch
        {
            _ when result.Level == 0 => " without paging\n"u8,
            PageSize.Shift4K => " in a 4K page\n"u8,
            PageSize.Shift2M => " in a 2M page\n"u8,
            22 => " in a 4M page\n"u8,
            _ => " in a 1G page\n"u8,
        });
    }

    private void WriteStep(in WalkStep step)
    {
        writer.Write("    "u8);
        writer.Write(WalkDescription.LevelName(step.Level));
        writer.Write((byte)' ');
        writer.Address(step.Address.Value);
        writer.Write((byte)'=');
        writer.Hex(step.Before.Raw, 16);
        WriteBits(step.Before, step.Level);
        if (step.Before != step.After)
        {
            writer.Write(", sets"u8);
            ulong set = step.After.Raw & ~step.Before.Raw;
            writer.Write((set & PageTableEntry.ABit) != 0 ? " A"u8 : default);
            writer.Write((set & PageTableEntry.DBit) != 0 ? " D"u8 : default);
        }

        writer.Write((byte)'\n');
    }

    private void WriteBits(PageTableEntry entry, int level)
    {
        bool maps = level == 1 || entry.PS;
        writer.Write(entry.P ? " P"u8 : default);
        writer.Write(entry.RW ? " RW"u8 : default);
        writer.Write(entry.US ? " US"u8 : default);
        writer.Write(entry.A ? " A"u8 : default);
        writer.Write(maps && entry.D ? " D"u8 : default);
        writer.Write(level != 1 && entry.PS ? " PS"u8 : default);
        writer.Write(maps && entry.G ? " G"u8 : default);
        writer.Write(entry.NX ? " NX"u8 : default);
    }
}
