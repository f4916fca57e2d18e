using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>A second stage of translation over the host memory that holds its tables. Implemented by small structs, which may be copied.</summary>
public interface ISecondStage
{
    /// <summary>Translates one address for one access.</summary>
    /// <typeparam name="TObserver">What sees the entries.</typeparam>
    /// <param name="gpa">The address to translate.</param>
    /// <param name="access">What it is translated for.</param>
    /// <param name="observer">Sees the entries as they are read and changed.</param>
    /// <param name="result">The translation, or the exit.</param>
    /// <returns>Whether there is a translation.</returns>
    bool TryTranslate<TObserver>(Gpa gpa, in SecondStageAccess access, ref TObserver observer, out SecondStageResult result)
        where TObserver : struct, ISecondStageObserver;

    /// <summary>Reads a word of host memory; false means no memory is there.</summary>
    bool TryReadHost(Hpa address, out ulong value);

    /// <summary>As <see cref="IHostTableMemory.TryCompareExchange"/>.</summary>
    bool TryCompareExchangeHost(Hpa address, ulong expected, ulong desired, out bool exchanged);
}
