namespace Quadwalk.GuestMemory;

/// <summary>The modelled host has no frame left for something that cannot be done without.</summary>
public sealed class HostOutOfFramesException : Exception
{
    /// <summary>Says what the frame was for.</summary>
    /// <param name="what">What it was for.</param>
    public HostOutOfFramesException(string what)
        : base($"the modelled host has no frame left for {what}: give it more")
    {
    }
}
