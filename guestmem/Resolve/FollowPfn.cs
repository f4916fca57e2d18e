namespace Quadwalk.GuestMemory;

/// <summary>A request for the frame behind an address of the VMM's (<c>struct kvm_follow_pfn</c>).</summary>
/// <param name="Flags">Any of <see cref="FollFlags.Write"/>, <see cref="FollFlags.NoWait"/>, <see cref="FollFlags.Interruptible"/>.</param>
/// <param name="Pin">The frame is going to be used without a notifier: pin it (<c>FOLL_PIN</c>).</param>
/// <param name="MapWritable">A read wants to know whether a writable mapping can be had at once.</param>
/// <param name="AllowUnsafe">A frame that cannot be pinned may be had all the same (allow_unsafe_mappings).</param>
public readonly record struct FollowPfn(FollFlags Flags, bool Pin = false, bool MapWritable = false, bool AllowUnsafe = false)
{
    /// <summary>A write is wanted.</summary>
    public bool Write => (Flags & FollFlags.Write) != 0;
}
