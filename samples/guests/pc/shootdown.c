/*
 * Page tables that the first processor edits while all others use them. Translations are withdrawn by IPI, and from then on none may be
 * seen any more; entries are changed under walks, and no change may be lost. What it prints is the same for any number of processors.
 */
#include "interrupts.h"

enum { SHOOT = 0x61, ROUNDS = 24, MOST = 64, LIMIT = 50000000 };
enum { REST, READ_NEWEST, COUNT, WALK, PHASES };
#define TARGET 0x520000000000ull
#define POISON 0xdeaddeaddeaddeadull
#define WP (1ul << 16)

static volatile u64 *const target = (volatile u64 *)TARGET;
static volatile int others, acks, phase, by_cr3, stale, poisoned, torn, faults_wrong, late;
static volatile int at[MOST];
static volatile u64 committed, newest, units[MOST], faults[MOST], counted[MOST], expected_error;

static void shoot_here(void)
{
    if (by_cr3)
        flush();
    else
        invlpg(TARGET);
}

static void shot(struct frame *frame)
{
    (void)frame;
    shoot_here();
    __atomic_add_fetch(&acks, 1, __ATOMIC_SEQ_CST);
    eoi();
}

/* After this no processor has an old translation. */
static void shoot_down(void)
{
    acks = 0;
    shoot_here();
    apic_command(SHOOT | TO_OTHERS | ASSERT, 0);
    for (u64 i = 0; acks < others; i++) {
        if (i == LIMIT) {
            late++;
            return;
        }
        relax();
    }
}

/* Waits until every other processor has gone on in a count of its own. */
static void await_each(volatile u64 *counts)
{
    u64 before[MOST];
    for (int id = 1; id <= others; id++)
        before[id] = counts[id];
    for (int id = 1; id <= others; id++)
        for (u64 i = 0; counts[id] == before[id]; i++) {
            if (i == LIMIT) {
                late++;
                return;
            }
            relax();
        }
}

static int id_here(void) { return cpuid(1, 0).b >> 24; }

static void page_fault(struct frame *frame)
{
    faults_wrong += get_cr2() < TARGET || get_cr2() >= TARGET + 4096 || frame->error != expected_error;
    faults[id_here()]++;
}

/* What was committed before a read is seen by it, and nothing that was freed. */
static void read_newest(int id)
{
    (void)id;
    u64 least = committed;
    u64 value = *target;
    stale += value < least;
    poisoned += value > newest;
}

/* Each has a word of its own in the page. */
static void count(int id) { target[id] = ++counted[id]; }

/* Every read walks. */
static void walk(int id)
{
    (void)id;
    invlpg(TARGET);
    u64 value = *target;
    torn += value != 1 && value != 2;
}

static void (*const work[PHASES])(int) = { [READ_NEWEST] = read_newest, [COUNT] = count, [WALK] = walk };

void ap_main(int number)
{
    (void)number;
    int id = id_here();
    set_cr0(get_cr0() | WP);
    sti();
    for (;;) {
        int now = phase;
        at[id] = now;
        if (work[now])
            work[now](id);
        units[id]++;
        relax();
    }
}

static void begin(int next)
{
    phase = next;
    for (int id = 1; id <= others; id++)
        for (u64 i = 0; at[id] != next; i++) {
            if (i == LIMIT) {
                late++;
                return;
            }
            relax();
        }
}

static u64 exchange(volatile u64 *entry, u64 value) { return __atomic_exchange_n(entry, value, __ATOMIC_SEQ_CST); }

/* Frames take turns behind one entry; the one that is out of use is overwritten. Level 2: two page tables do. */
static void remap(int level, const char *none_stale, const char *none_freed)
{
    volatile u64 *entry = entry_of(TARGET, level);
    u64 *frame[2], put[2];
    for (int i = 0; i < 2; i++) {
        frame[i] = new_page();
        put[i] = (word)frame[i] | P | W;
        if (level == 2) {
            u64 *table = new_page();
            table[TARGET >> 12 & 511] = put[i];
            put[i] = (word)table | P | W | U;
        }
    }
    stale = poisoned = 0;
    by_cr3 = level == 2;
    committed = newest = 0;
    exchange(entry, put[0]);
    shoot_down();
    begin(READ_NEWEST);
    for (u64 round = 1; round <= ROUNDS; round++) {
        *(volatile u64 *)frame[round & 1] = round;
        newest = round;
        exchange(entry, put[round & 1]);
        if (round % 3 == 0)
            await_each(units);
        shoot_down();
        committed = round;
        await_each(units);
        *(volatile u64 *)frame[~round & 1] = POISON;
        await_each(units);
    }
    begin(REST);
    expect(none_stale, stale, 0);
    expect(none_freed, poisoned, 0);
    by_cr3 = 0;
}

static u64 sum(volatile u64 *words)
{
    u64 all = 0;
    for (int id = 1; id <= others; id++)
        all += words[id];
    return all;
}

static void withdraw(void)
{
    volatile u64 *page = new_page();
    volatile u64 *entry = entry_of(TARGET, 1);
    int written = 0, marked = 0, unmarked = 0;
    exchange(entry, (word)page | P | W);
    shoot_down();
    expected_error = 3;
    begin(COUNT);
    for (int round = 0; round < ROUNDS; round++) {
        __atomic_and_fetch(entry, ~(u64)W, __ATOMIC_SEQ_CST);
        shoot_down();
        u64 before = sum(page);
        await_each(faults);
        written += sum(page) != before;
        __atomic_or_fetch(entry, W, __ATOMIC_SEQ_CST);
        await_each(units);
    }
    begin(REST);
    expect("no write to a page that is read-only for all", written, 0);
    expect("its faults are protection violations by writes", faults_wrong, 0);

    expected_error = 2;
    begin(COUNT);
    for (int round = 0; round < ROUNDS; round++) {
        u64 gone = exchange(entry, 0);
        shoot_down();
        gone |= exchange(entry, gone & ~(u64)(P | A | D));
        u64 before = sum(page);
        await_each(faults);
        written += sum(page) != before;
        marked += *entry != (gone & ~(u64)(P | A | D));
        exchange(entry, (word)page | P | W);
        await_each(units);
        await_each(units);
        unmarked += others > 0 && (*entry & (A | D)) != (A | D);
    }
    begin(REST);
    expect("no write to a page that is gone for all", written, 0);
    expect("an entry that is not present stays as it is", marked, 0);
    expect("its faults are of pages not present, by writes", faults_wrong, 0);
    expect("the page is accessed and dirty once it is back", unmarked, 0);

    unmarked = 0;
    begin(COUNT);
    for (int round = 0; round < ROUNDS; round++) {
        __atomic_and_fetch(entry, ~(u64)(A | D), __ATOMIC_SEQ_CST);
        shoot_down();
        await_each(units);
        await_each(units);
        unmarked += others > 0 && (*entry & (A | D)) != (A | D);
    }
    begin(REST);
    expect("and again after each time that A and D are cleared", unmarked, 0);
    int lost = 0;
    for (int id = 1; id <= others; id++)
        lost += page[id] != counted[id];
    expect("no write is lost", lost, 0);
}

/* No invalidation here: others walk all the time, and must leave what this processor writes as it is but for A and D. */
static void change_under_walks(void)
{
    volatile u64 *entry = entry_of(TARGET, 1);
    u64 *frame[2] = { new_page(), new_page() };
    int lost = 0;
    *frame[0] = 1;
    *frame[1] = 2;
    u64 put = (word)frame[0] | P;
    exchange(entry, put);
    shoot_down();
    begin(WALK);
    for (int round = 0; round < ROUNDS * 50; round++) {
        u64 next = (word)frame[round & 1] | P | (round & 2 ? W : 0) | (round & 4 ? G : 0);
        lost += (exchange(entry, next) & ~(u64)(A | D)) != put;
        put = next;
        if (round % 50 == 0)
            await_each(units);
    }
    begin(REST);
    expect("walks see one entry or the other", torn, 0);
    expect("and undo no change of it", lost, 0);
}

int main(void)
{
    pic_init(0x20, 0x28);
    apic_enable();
    outw(0x510, 5);
    others = inb(0x511);
    others |= inb(0x511) << 8;
    others--;
    handle(SHOOT, shot);
    handle(PF, page_fault);
    set_cr0(get_cr0() | WP);
    check(start_processors(others) == others, "all processors start");
    remap(1, "no stale page after INVLPG everywhere", "no freed page either");
    remap(2, "no stale page table after MOV CR3 everywhere", "no freed one either");
    withdraw();
    change_under_walks();
    remap(1, "no stale page once more", "no freed page once more");
    expect("nobody was waited for in vain", late, 0);
    return 0;
}
