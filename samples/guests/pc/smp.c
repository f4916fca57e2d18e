/* Several processors: INIT and start-up IPIs, IPIs both ways, a lock, atomic adds, TLB shootdown, NMIs, each one's ID. */
#include "interrupts.h"

enum { CALL = 0x60, ROUNDS = 2000, MOST = 8 };
#define TARGET 0x510000000000ull

static volatile int lock, guarded, atomic, done, ids, started[MOST + 1], called[MOST + 1], nmis, wrong;
static void (*volatile work)(int);

static int me(void) { return cpuid(1, 0).b >> 24; }

static void acquire(void)
{
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        relax();
}

static void release(void) { __atomic_store_n(&lock, 0, __ATOMIC_RELEASE); }

static void call(struct frame *frame)
{
    (void)frame;
    work(me());
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    eoi();
}

static void nmi(struct frame *frame)
{
    (void)frame;
    __atomic_add_fetch(&nmis, 1, __ATOMIC_SEQ_CST);
}

void ap_main(int number)
{
    (void)number;
    int id = me();
    __atomic_or_fetch(&ids, 1 << id, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&started[id], 1, __ATOMIC_SEQ_CST);
    wrmsr(GS_BASE, 0x1000 * id);
}

static void count(int id)
{
    for (int i = 0; i < ROUNDS; i++) {
        acquire();
        int value = guarded;
        relax();
        guarded = value + 1;
        release();
        __atomic_add_fetch(&atomic, 1, __ATOMIC_RELAXED);
    }
    called[id]++;
}

static volatile u64 *const shared = (volatile u64 *)TARGET;

static void look(int id) { wrong += *shared != 1 || rdmsr(GS_BASE) != 0x1000 * id; }

static void shoot(int id)
{
    (void)id;
    invlpg(TARGET);
    wrong += *shared != 2;
}

static int on_others(void (*what)(int), int others)
{
    done = 0;
    work = what;
    apic_command(CALL | TO_OTHERS | ASSERT, 0);
    for (u64 i = 0; done < others && i < 50000000; i++)
        relax();
    return done;
}

static int starts(void)
{
    int sum = 0;
    for (int i = 1; i <= MOST; i++)
        sum += started[i];
    return sum;
}

int main(void)
{
    pic_init(0x20, 0x28);
    apic_enable();
    outw(0x510, 5);
    int processors = inb(0x511);
    processors |= inb(0x511) << 8;
    int others = processors - 1;
    print("%d processors\n", processors);
    handle(CALL, call);
    handle(NMI, nmi);
    expect("all others start", start_processors(others), others);
    for (u64 i = 0; ids != (2 << others) - 2 && i < 50000000; i++)
        relax();
    expect("each with its own ID", ids, (2 << others) - 2);
    int once = 1;
    for (int i = 1; i <= others; i++)
        once &= started[i] == 1;
    check(once, "once, though there were two start-up IPIs");

    expect("IPIs to all others", on_others(count, others), others);
    expect("a lock", guarded, others * ROUNDS);
    expect("atomic adds", atomic, others * ROUNDS);
    done = 0;
    for (int i = 1; i <= others; i++) {
        apic_command(CALL | ASSERT, i);
        for (u64 n = 0; done < i && n < 50000000; n++)
            relax();
    }
    expect("IPIs to one after another", done, others);

    u64 *one = new_page(), *two = new_page();
    *one = 1;
    *two = 2;
    map(TARGET, (word)one, P | W, 1);
    on_others(look, others);
    expect("all see the page", wrong, 0);
    *entry_of(TARGET, 1) = (word)two | P | W;
    invlpg(TARGET);
    on_others(shoot, others);
    expect("and its successor after INVLPG", wrong, 0);

    apic_command(NMI_MODE | ASSERT | TO_OTHERS, 0);
    for (u64 n = 0; nmis < others && n < 50000000; n++)
        relax();
    expect("NMIs to the others", nmis, others);
    if (others == 0)
        return 0;
    expect("the last worked twice", called[others], 2);
    apic_command(INIT | ASSERT, 1);
    for (int n = 0; n < 10000; n++)
        relax();
    expect("after INIT", on_others(look, others - 1), others - 1);
    apic_command(STARTUP | ASSERT | 8, 1);
    for (u64 n = 0; started[1] < 2 && n < 50000000; n++)
        relax();
    expect("a processor starts again", started[1], 2);
    apic_command(INIT | ASSERT | TO_OTHERS, 0);
    apic_command(STARTUP | TO_OTHERS | 8, 0);
    for (u64 n = 0; starts() < 2 * others + 1 && n < 50000000; n++)
        relax();
    expect("all start by INIT and one start-up IPI with nothing between", starts(), 2 * others + 1);
    expect("and answer", on_others(look, others), others);
    return 0;
}
