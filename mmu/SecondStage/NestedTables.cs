using System.Runtime.CompilerServices;
using Quadwalk.GuestMemory;

namespace Quadwalk.Mmu;

/// <summary>
/// The guest's page tables as a walk of a guest under a second stage reads them: each address is guest-physical and translated first. An
/// exit of the second stage is kept, and the walk told that no memory is there, which ends it.
/// </summary>
internal struct NestedTables<TStage, TObserver>(TStage stage, TObserver observer) : ITableMemory
    where TStage : struct, ISecondStage
    where TObserver : struct, INestedWalkObserver
{
    private TStage stage = stage;
    private TObserver observer = observer;
    private SecondStageResult last;
    private Translations translations;
    private int next;

    /// <summary>The second stage left the guest.</summary>
    public bool Exited { get; private set; }

    /// <summary>The address and purpose of the exit.</summary>
    public Gpa ExitAddress { get; private set; }

    public SecondStageAccess ExitAccess { get; private set; }

    /// <summary>The last translation, or the exit.</summary>
    public readonly SecondStageResult Last => last;

    public bool TryRead(Gpa entry, out ulong value)
    {
        if (!Translate(entry, SecondStageAccess.GuestTable))
        {
            value = 0;
            return false;
        }

        next = next == Translations.Count - 1 ? 0 : next + 1;
        translations[next] = new Translation(entry, last.Hpa, (last.Rights & SecondStageRights.Write) != 0);
        ref TStage host = ref stage;
        return host.TryReadHost(last.Hpa, out value);
    }

    public bool TryCompareExchange(Gpa entry, ulong expected, ulong desired, out bool exchanged)
    {
        ref TStage host = ref stage;

        // A walk sets flags in entries it has just read, and a processor does not translate their addresses again.
        for (int i = 0; i < Translations.Count; i++)
        {
            if (translations[i].Gpa == entry && translations[i].Writable)
            {
                return host.TryCompareExchangeHost(translations[i].Hpa, expected, desired, out exchanged);
            }
        }

        exchanged = false;
        return Translate(entry, SecondStageAccess.GuestTableUpdate)
            && host.TryCompareExchangeHost(last.Hpa, expected, desired, out exchanged);
    }

    public bool Translate(Gpa gpa, in SecondStageAccess access)
    {
        if (TObserver.Enabled)
        {
            observer.OnTranslate(gpa, access.Purpose);
        }

        ref TStage second = ref stage;
        if (second.TryTranslate(gpa, access, ref observer, out last))
        {
            return true;
        }

        Exited = true;
        ExitAddress = gpa;
        ExitAccess = access;
        return false;
    }

    private readonly struct Translation(Gpa gpa, Hpa hpa, bool writable)
    {
        public Gpa Gpa { get; } = gpa;

        public Hpa Hpa { get; } = hpa;

        public bool Writable { get; } = writable;
    }

    /// <summary>As many as a walk has levels; older ones are those of a walk that was started again.</summary>
    [InlineArray(Count)]
    private struct Translations
    {
        public const int Count = 5;

        private Translation first;
    }
}
