using System.Numerics;

namespace Quadwalk.Emulation;

/// <summary>One 8259A (data sheet 231468) in 8086 mode, at two ports.</summary>
internal sealed class Pic8259Chip(Pic8259 pair, byte cascadeInputs, byte edgeOnly) : IPortDevice
{
    private const byte Icw1 = 0x10, Icw1NeedsIcw4 = 1, Icw1Single = 2;
    private const byte Icw4AutoEoi = 2, Icw4FullyNested = 0x10;
    private const byte Ocw3 = 8;

    private byte irr;
    private byte isr;
    private byte imr;
    private byte lines;
    private byte triggers;
    private byte vectorBase;
    private int lowest;
    private int expected;
    private bool needsIcw4;
    private bool single;
    private bool initialized;
    private bool autoEoi;
    private bool rotateOnAutoEoi;
    private bool fullyNested;
    private bool specialMask;
    private bool readIsr;
    private bool poll;

    public int PortCount => 2;

    /// <summary>The edge/level control register of the chipset: a 1 makes an input level triggered.</summary>
    public byte Triggers
    {
        get => triggers;
        set
        {
            triggers = (byte)(value & ~edgeOnly);
            irr = (byte)((irr & ~triggers) | (lines & triggers));
            pair.Update();
        }
    }

    /// <summary>The inputs whose requests follow their lines: the level-triggered ones, and the second chip's.</summary>
    private byte Levels => (byte)(triggers | cascadeInputs);

    /// <summary>The INT output.</summary>
    public bool Output => initialized && Next() >= 0;

    public void Reset()
    {
        initialized = false;
        expected = 0;
        triggers = 0;
        imr = 0;
        irr = 0;
        Initialize();
    }

    /// <summary>Sets an input. An edge stays requested until it is acknowledged, also if the line falls again.</summary>
    public void SetLine(int input, bool level)
    {
        byte bit = (byte)(1 << input);
        bool isLevel = (Levels & bit) != 0;
        if (level && (isLevel || (lines & bit) == 0))
        {
            irr |= bit;
        }
        else if (!level && isLevel)
        {
            irr &= (byte)~bit;
        }

        lines = level ? (byte)(lines | bit) : (byte)(lines & ~bit);
    }

    /// <summary>INTA: the input that is served, or -1 when the request has gone, which makes the vector that of input 7.</summary>
    public int Acknowledge(out byte vector)
    {
        int input = Next();
        vector = (byte)(vectorBase | (input < 0 ? 7 : input));
        if (input < 0)
        {
            return -1;
        }

        byte bit = (byte)(1 << input);
        if ((Levels & bit) == 0)
        {
            irr &= (byte)~bit;
        }

        if (!autoEoi)
        {
            isr |= bit;
        }
        else if (rotateOnAutoEoi)
        {
            lowest = input;
        }

        return input;
    }

    public uint ReadPort(int offset, int width)
    {
        if (poll)
        {
            poll = false;
            int input = initialized ? Acknowledge(out _) : -1;
            pair.Update();
            return input < 0 ? 0u : 0x80u | (uint)input;
        }

        return offset == 1 ? imr : readIsr ? isr : irr;
    }

    public void WritePort(int offset, int width, uint value)
    {
        byte word = (byte)value;
        if (offset == 1)
        {
            WriteData(word);
        }
        else if ((word & Icw1) != 0)
        {
            WriteIcw1(word);
        }
        else if ((word & Ocw3) != 0)
        {
            WriteOcw3(word);
        }
        else
        {
            WriteOcw2(word);
        }

        pair.Update();
    }

    /// <summary>The input whose request is served next; -1 when there is none above what is in service.</summary>
    private int Next()
    {
        byte requests = (byte)(irr & ~imr);
        if (requests == 0)
        {
            return -1;
        }

        byte serving = specialMask ? (byte)(isr & ~imr) : isr;
        if (fullyNested)
        {
            serving &= (byte)~(cascadeInputs & requests);
        }

        int request = Priority(requests);
        return request < Priority(serving) ? InputAt(request) : -1;
    }

    /// <summary>The place of the most important of some inputs, 0 being the first; 8 when there are none.</summary>
    private int Priority(byte inputs)
    {
        if (inputs == 0)
        {
            return 8;
        }

        int first = (lowest + 1) & 7;
        uint turned = ((uint)inputs | (uint)inputs << 8) >> first;
        return BitOperations.TrailingZeroCount(turned);
    }

    private int InputAt(int priority) => (lowest + 1 + priority) & 7;

    private void Initialize()
    {
        isr = 0;
        imr = 0;
        irr = (byte)(lines & Levels);
        lowest = 7;
        autoEoi = false;
        rotateOnAutoEoi = false;
        fullyNested = false;
        specialMask = false;
        readIsr = false;
        poll = false;
    }

    private void WriteIcw1(byte word)
    {
        initialized = false;
        Initialize();
        needsIcw4 = (word & Icw1NeedsIcw4) != 0;
        single = (word & Icw1Single) != 0;
        expected = 2;
    }

    private void WriteData(byte word)
    {
        switch (expected)
        {
            case 0:
                imr = word;
                return;
            case 2:
                vectorBase = (byte)(word & 0xf8);
                expected = !single ? 3 : needsIcw4 ? 4 : 0;
                break;
            case 3:
                expected = needsIcw4 ? 4 : 0;
                break;
            default:
                autoEoi = (word & Icw4AutoEoi) != 0;
                fullyNested = (word & Icw4FullyNested) != 0;
                expected = 0;
                break;
        }

        initialized = expected == 0;
    }

    private void WriteOcw3(byte word)
    {
        if ((word & 0x40) != 0)
        {
            specialMask = (word & 0x20) != 0;
        }

        poll = (word & 4) != 0;
        if (!poll && (word & 2) != 0)
        {
            readIsr = (word & 1) != 0;
        }
    }

    private void WriteOcw2(byte word)
    {
        int level = word & 7;
        switch (word >> 5)
        {
            case 0 or 4:
                rotateOnAutoEoi = word >> 5 == 4;
                break;
            case 1 or 5:
                int served = Priority(specialMask ? (byte)(isr & ~imr) : isr);
                if (served < 8)
                {
                    int input = InputAt(served);
                    isr &= (byte)~(1 << input);
                    lowest = word >> 5 == 5 ? input : lowest;
                }

                break;
            case 3:
                isr &= (byte)~(1 << level);
                break;
            case 6:
                lowest = level;
                break;
            case 7:
                isr &= (byte)~(1 << level);
                lowest = level;
                break;
        }
    }
}
