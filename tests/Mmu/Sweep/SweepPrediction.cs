using System.Runtime.CompilerServices;
using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>What a walk must return, as in <see cref="WalkResult"/>, and the entries it must leave.</summary>
internal struct SweepPrediction
{
    public WalkFailure Failure;
    public int Level;
    public PageFaultCode Code;
    public ulong Reserved;
    public ulong EntryAddress;
    public ulong Entry;
    public ulong Gpa;
    public int PageShift;
    public PageRights Rights;
    public Entries After;

    public override readonly string ToString() =>
        $"{Failure} at level {Level}, code {Code}, reserved {Reserved:x}, entry {Entry:x} at {EntryAddress:x}, gpa {Gpa:x}, size 2^{PageShift}, rights {Rights}, "
        + $"leaving {After[5]:x} {After[4]:x} {After[3]:x} {After[2]:x} {After[1]:x}";

    /// <summary>Entries by level.</summary>
    [InlineArray(6)]
    internal struct Entries
    {
        private ulong first;
    }
}
