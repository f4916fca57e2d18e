using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>Guest RAM in frames of 4 KiB, each with a count of its users. What it keeps grows with the frames in use.</summary>
internal sealed class LinuxFrames(ulong ramBytes)
{
    private readonly int total = (int)Math.Min(ramBytes / PageSize.Size4K, int.MaxValue);
    private readonly Stack<int> free = [];
    private readonly List<int> users = [1];

    /// <summary>The frames there are.</summary>
    public ulong Total => (ulong)total;

    /// <summary>The frames that nobody uses.</summary>
    public ulong Free => (ulong)(total - users.Count + free.Count);

    /// <summary>Takes a frame, with whatever it holds; false when there is none.</summary>
    public bool TryTake(out Gpa frame)
    {
        frame = default;
        if (free.TryPop(out int index))
        {
            users[index] = 1;
        }
        else if (users.Count < total)
        {
            index = users.Count;
            users.Add(1);
        }
        else
        {
            return false;
        }

        frame = BootFrames.GpaOf((ulong)index << PageSize.Shift4K);
        return true;
    }

    /// <summary>Adds a user.</summary>
    public void Share(Gpa frame) => users[IndexOf(frame)]++;

    /// <summary>Whether there is more than one user.</summary>
    public bool IsShared(Gpa frame) => users[IndexOf(frame)] > 1;

    /// <summary>Takes a user away; the last one frees the frame.</summary>
    public void Release(Gpa frame)
    {
        int index = IndexOf(frame);
        if (--users[index] == 0)
        {
            free.Push(index);
        }
    }

    private static int IndexOf(Gpa frame)
    {
        ulong offset = frame.Value < PhysicalLayout.DeviceHole ? frame.Value : frame.Value - PhysicalLayout.HoleBytes;
        return (int)(offset >> PageSize.Shift4K);
    }
}
