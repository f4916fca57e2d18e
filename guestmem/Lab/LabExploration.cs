namespace Quadwalk.GuestMemory;

/// <summary>What came of running parties together.</summary>
/// <param name="Number">Its place among the explorations of the run, from 1 on.</param>
/// <param name="Orders">How many orders of steps were begun.</param>
/// <param name="Problem">What went wrong in the last of them; null: nothing in any.</param>
/// <param name="Taken">The steps of the order in which it went wrong, or of the one order that was asked for; empty where all went well.</param>
/// <param name="Replay">What takes these steps again; null where there are none.</param>
public sealed record LabExploration(
    int Number, long Orders, string? Problem, IReadOnlyList<(string Actor, string Step)> Taken, LabReplay? Replay);
