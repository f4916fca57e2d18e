namespace Quadwalk.Emulation;

/// <summary>One thing in which two engines differ.</summary>
/// <param name="Name">A register, <c>memory</c> with an address, <c>console</c>, <c>stop</c> and the like.</param>
/// <param name="Reference">What the reference has, as a person reads it.</param>
/// <param name="Subject">What the other engine has.</param>
public sealed record ComparedValue(string Name, string Reference, string Subject);
