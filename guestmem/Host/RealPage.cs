namespace Quadwalk.GuestMemory;

/// <summary>What the processor says about one page that the model has an opinion of.</summary>
internal static class RealPage
{
    /// <summary>Compares a page with what it should be. What is there stays as it is.</summary>
    /// <param name="where">The page, for the answer.</param>
    /// <param name="real">Where it is; null: no such address was ever used.</param>
    /// <param name="readable">Whether reads should succeed.</param>
    /// <param name="writable">Whether writes should.</param>
    /// <param name="bytes">What should be read.</param>
    /// <returns>The difference in words; null: none.</returns>
    public static string? Differs(string where, Hva? real, bool readable, bool writable, ReadOnlySpan<byte> bytes)
    {
        if (real is not Hva address)
        {
            return readable ? $"{where}: the model maps it, and nothing is there" : null;
        }

        bool isReadable = NofaultCopy.TryRead64(address, out ulong word);
        if (isReadable != readable)
        {
            return $"{where}: {Can(readable)} be read by the model, and {Can(isReadable)} in fact";
        }

        if (!readable)
        {
            return null;
        }

        Span<byte> found = stackalloc byte[(int)PageSize.Size4K];
        if (!NofaultCopy.TryRead(address, found) || !found.SequenceEqual(bytes))
        {
            return $"{where}: other bytes than the model's";
        }

        bool isWritable = NofaultCopy.TryWrite64(address, word);
        return isWritable != writable ? $"{where}: {Can(writable)} be written by the model, and {Can(isWritable)} in fact" : null;
    }

    private static string Can(bool possible) => possible ? "can" : "cannot";
}
