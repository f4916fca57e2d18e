namespace Quadwalk.Emulation;

/// <summary>What is known of a block that Unicorn translated.</summary>
/// <param name="Address">Its linear address.</param>
/// <param name="Size">Its bytes, as Unicorn has them.</param>
/// <param name="Count">Its instructions; bytes that are none, where it ends, are one more, which Unicorn may not execute.</param>
/// <param name="Allowed">How many of them, from the first, Unicorn may execute.</param>
/// <param name="Next">The address of the first that it may not.</param>
/// <param name="Last">The address of the last that can be decoded.</param>
/// <param name="StackChange">What that one does to RSP, should it have to be taken back.</param>
/// <param name="Accesses">The data accesses of all.</param>
/// <param name="Vectors">A bit for each XMM register that they write.</param>
/// <param name="Flags">What they do to the definedness of RFLAGS' status flags.</param>
internal readonly record struct UnicornBlock(
    ulong Address, uint Size, int Count, int Allowed, ulong Next, ulong Last, long StackChange, int Accesses, uint Vectors, FlagsEffect Flags);
