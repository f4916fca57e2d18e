using NUnit.Framework;
using Quadwalk.GuestMemory;

namespace Quadwalk.Tests;

/// <summary>Sleepable RCU: a writer waits for those who may have seen the old, and for nobody else.</summary>
[TestFixture]
public sealed class SleepableRcuTests
{
    [Test]
    public void A_writer_waits_for_readers_of_before_and_not_for_later_ones()
    {
        SleepableRcu srcu = new(new StepScope());
        int before = srcu.ReadLock();
        int old = srcu.Flip();
        int after = srcu.ReadLock();
        bool early = srcu.IsQuiet(old);
        srcu.ReadUnlock(before);

        using (Assert.EnterMultipleScope())
        {
            Assert.That(early, Is.False);
            Assert.That(srcu.IsQuiet(old));
            Assert.That(srcu.Readers, Is.EqualTo(1));
            Assert.That(srcu.IsQuiet(srcu.Flip()), Is.False, "the later reader is one of before for the next writer");
        }

        srcu.ReadUnlock(after);
        Assert.That(() => srcu.ReadUnlock(after), Throws.InvalidOperationException);
    }
}
