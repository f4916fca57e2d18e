using Quadwalk.GuestMemory;

namespace Quadwalk.Emulation;

/// <summary>
/// What the processors of one machine have decoded, seen together: a write by any party drops the code that any of them decoded from those
/// bytes, and no processor's TLB lets a write pass unseen to a frame that holds code of another.
/// </summary>
internal sealed class DecodedFrames
{
    private Vcpu[] processors = [];

    /// <summary>Takes a processor into account.</summary>
    public void Add(Vcpu processor) => processors = [.. processors, processor];

    /// <summary>Whether any processor decoded code from the frame of a host address.</summary>
    public bool HoldCode(ulong host)
    {
        foreach (Vcpu processor in processors)
        {
            if (processor.Code.HoldsCode(host))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>To be told of each write to guest memory, which lies in one page: drops the blocks that it overwrote.</summary>
    public void Written(ulong host, int length)
    {
        foreach (Vcpu processor in processors)
        {
            processor.Code.Written(host, length);
        }
    }

    /// <summary>To be told of the first code in a frame.</summary>
    public void WithholdWrites(Hva frame)
    {
        foreach (Vcpu processor in processors)
        {
            processor.Tlb.WithholdWrites(frame);
            processor.Code.Translated?.Withhold(frame.Value);
        }
    }
}
