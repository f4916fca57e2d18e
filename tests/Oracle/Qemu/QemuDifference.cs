namespace Quadwalk.Tests;

/// <summary>Lines of a guest's expected output that QEMU 7.2 (TCG) prints otherwise or not at all; what is expected is what the SDM demands.</summary>
/// <param name="Guest">The image of samples/guests/pc.</param>
/// <param name="Why">What QEMU does, and where the SDM says otherwise.</param>
/// <param name="Checks">The lines, without PASS and without what follows a colon and a number; one that stands there n times is given n times.</param>
/// <param name="AndAllAfter">QEMU's run goes another way from the first of the lines on, and nothing after it is compared.</param>
internal sealed record QemuDifference(string Guest, string Why, string[] Checks, bool AndAllAfter = false);
