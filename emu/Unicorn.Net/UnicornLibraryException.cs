namespace Unicorn.Net;

/// <summary>There is no libunicorn that this binding can use; the message says in one line what was found, what is needed and where to get it.</summary>
/// <param name="found">What was found.</param>
public sealed class UnicornLibraryException(string found) : Exception(
    $"libunicorn {UnicornLibrary.OldestVersion} or later is needed, and {found}: "
    + "on Debian 13 or later 'apt-get install libunicorn2t64' brings it, see https://www.unicorn-engine.org/docs/ for other systems");
