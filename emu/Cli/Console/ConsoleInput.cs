using System.Threading.Channels;
using Quadwalk.Emulation;

namespace Quadwalk.Cli;

/// <summary>
/// Feeds a stream to the guest's UART. Nothing is read before the guest looks for input. A file is read on the spot, so that a
/// guest sees the same bytes at the same instruction in every run; anything else is read by a thread that the guest does not wait for.
/// </summary>
internal sealed class ConsoleInput
{
    private const int ChunkSize = 4096;
    private const int ChunksAhead = 16;

    private readonly Stream source;
    private readonly Uart16550 uart;
    private readonly Channel<byte[]> chunks = Channel.CreateBounded<byte[]>(ChunksAhead);
    private bool started;

    private ConsoleInput(Stream source, Uart16550 uart)
    {
        this.source = source;
        this.uart = uart;
    }

    public static void Connect(Stream source, Uart16550 uart)
    {
        ConsoleInput input = new(source, uart);
        uart.InputWanted = source.CanSeek ? input.ReadOnTheSpot : input.TakeWhatHasCome;
    }

    private void ReadOnTheSpot()
    {
        byte[] chunk = new byte[ChunkSize];
        int count = ReadSome(chunk);
        if (count == 0)
        {
            uart.InputWanted = null;
        }

        uart.EnqueueInput(chunk.AsSpan(0, count));
    }

    private void TakeWhatHasCome()
    {
        if (!started)
        {
            started = true;
            new Thread(ReadAhead) { IsBackground = true, Name = "console input" }.Start();
        }

        if (chunks.Reader.TryRead(out byte[]? chunk))
        {
            uart.EnqueueInput(chunk);
        }
    }

    private void ReadAhead()
    {
        byte[] buffer = new byte[ChunkSize];
        for (int count; (count = ReadSome(buffer)) != 0;)
        {
            chunks.Writer.WriteAsync(buffer[..count]).AsTask().Wait();
        }
    }

    // A terminal that has gone away and a directory as standard input are an end of input like any other.
    private int ReadSome(byte[] buffer)
    {
        try
        {
            return source.Read(buffer);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }
}
