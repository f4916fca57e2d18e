namespace Quadwalk.GuestMemory;

/// <summary>A change to the memslots that KVM would refuse, with the error number it would give.</summary>
public sealed class MemslotException : Exception
{
    /// <summary>A refusal for the reason <paramref name="message"/>.</summary>
    public MemslotException(Errno error, string message)
        : base(message) => Error = error;

    /// <summary><see cref="Errno.EINVAL"/>, <see cref="Errno.EEXIST"/> or <see cref="Errno.ENOENT"/>.</summary>
    public Errno Error { get; }
}
