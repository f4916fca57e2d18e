namespace Unicorn.Net;

/// <summary>The operations of the translator that can be hooked.</summary>
public enum TcgOpcode
{
    /// <summary>Subtractions, of 32 and 64 bits.</summary>
    Subtract = 0,
}
