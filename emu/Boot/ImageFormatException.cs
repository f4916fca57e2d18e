namespace Quadwalk.Emulation;

/// <summary>A guest image is not one that can be booted. The message is one line: what is wrong, where, and what to do.</summary>
public sealed class ImageFormatException(string message) : Exception(message);
