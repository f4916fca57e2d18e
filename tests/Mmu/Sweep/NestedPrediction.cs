using Quadwalk.Mmu;

namespace Quadwalk.Tests;

/// <summary>What a nested walk must return: a translation, a fault of the guest as in <see cref="Guest"/>, or an exit.</summary>
internal struct NestedPrediction
{
    /// <summary>The guest's walk as if no exit came, but for the entries it leaves.</summary>
    public SweepPrediction Guest;

    public SecondStageExitReason Exit;
    public SecondStageFailure Failure;
    public SecondStagePurpose Purpose;
    public int Level;
    public ulong Qualification;
    public ulong Reserved;
    public ulong EntryAddress;
    public ulong Entry;

    /// <summary>The guest-physical address that was translated last.</summary>
    public ulong Gpa;

    /// <summary>On an exit on the way, the guest's entry that was to be reached; otherwise 0.</summary>
    public int GuestLevel;

    public ulong Hpa;
    public int PageShift;
    public PageRights Rights;

    public override readonly string ToString() =>
        Exit != SecondStageExitReason.None
            ? $"{Exit}, {Failure} at level {Level}, {Qualification:x}, reserved {Reserved:x}, entry {Entry:x} at {EntryAddress:x} for {Purpose} at {Gpa:x}, guest level {GuestLevel}"
            : Guest.Failure != WalkFailure.None ? $"fault {Guest}"
            : $"{Hpa:x}, size 2^{PageShift}, {Rights}, entry {Entry:x} at {EntryAddress:x} of level {Level} for {Gpa:x}";
}
