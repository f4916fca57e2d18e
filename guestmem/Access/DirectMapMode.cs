namespace Quadwalk.GuestMemory;

/// <summary>What <see cref="DirectMapPath"/> does with a frame that the direct map does not show.</summary>
public enum DirectMapMode
{
    /// <summary>Fail with <see cref="Errno.EFAULT"/>.</summary>
    Refuse,

    /// <summary>Show it for the access, take it out again and flush all processors.</summary>
    Restore,

    /// <summary>Show it for the access and take it out again, without a flush: processors may see it until somebody flushes.</summary>
    RestoreWithoutFlush,

    /// <summary>Show it until the end of a batch, then take all of the batch out and flush once.</summary>
    RestoreInBatches,
}
