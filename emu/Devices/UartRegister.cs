namespace Quadwalk.Emulation;

/// <summary>The register offsets of a 16550, named as in the PC16550D data sheet, table II.</summary>
public static class UartRegister
{
    /// <summary>Receiver buffer (read), transmitter holding (write); divisor latch, low byte, while DLAB is set.</summary>
    public const int RbrThr = 0;

    /// <summary>Interrupt enable; divisor latch, high byte, while DLAB is set.</summary>
    public const int Ier = 1;

    /// <summary>Interrupt identification (read), FIFO control (write).</summary>
    public const int IirFcr = 2;

    /// <summary>Line control; bit 7 is DLAB.</summary>
    public const int Lcr = 3;

    /// <summary>Modem control; bit 4 is loopback.</summary>
    public const int Mcr = 4;

    /// <summary>Line status.</summary>
    public const int Lsr = 5;

    /// <summary>Modem status.</summary>
    public const int Msr = 6;

    /// <summary>Scratch.</summary>
    public const int Scr = 7;
}
