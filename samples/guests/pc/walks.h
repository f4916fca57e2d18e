/*
 * Page walks by the thousand: random entries, every access, and a hash of what came of each, so that two processors can be compared.
 * Included once by a guest, which has the tables; LEVELS, struct shape and the functions declared below say what differs.
 */
#ifndef WALKS_H
#define WALKS_H

#ifdef __x86_64__
#include "pages.h"
#else
#include "pc.h"
enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
enum { READ, WRITE, FETCH };
#define NX (1ull << 63)
#endif

enum { WP = 1, NXE = 2, SMEP = 4, SMAP = 8, CONTROLS = 16, STATES = 48, ACCESSES = 8 };
enum { FRAME0 = 0x2805000, LARGE_PAGE = 0x2800000, DATA = 8 };

/* How entries of one path are made: the level that maps the page, its frame, what each entry points to, bits that are not to be drawn. */
struct shape {
    const char *name;
    int top, leaf;
    u64 frame, below[6], never[6];
    int upper_leaf_is_marked; /* whether a fault may leave A in the leaf: then it is no part of the hash */
};

static u64 get_entry(int level);
static void set_entry(int level, u64 value);
static void flush_all(void);
static int access_target(word address, int kind, int user);

static u64 hash, not_drawn;
static u32 seed, accesses, faults, all_accesses;

static u32 draw(u32 below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (seed >> 8) % below;
}

static void mix(u64 value)
{
    for (int i = 0; i < 8; i++, value >>= 8)
        hash = (hash ^ (value & 0xff)) * 0x100000001b3ull;
}

static void begin_group(u32 number)
{
    seed = 0x9e3779b9u + number * 0x85ebca6bu;
    hash = 0xcbf29ce484222325ull;
    accesses = faults = 0;
}

static void end_group(void)
{
    print(": %u accesses, %u faults, %lx\n", accesses, faults, hash);
    all_accesses += accesses;
}

static void draw_entries(const struct shape *shape, u64 *entries)
{
    for (int level = shape->top; level >= shape->leaf; level--) {
        u64 entry = level == shape->leaf ? shape->frame : shape->below[level];
        entry |= (draw(16) ? P : 0) | (draw(4) ? W : 0) | (draw(3) ? U : 0) | (draw(2) ? A : 0) | (draw(2) ? D : 0) | (draw(2) ? G : 0);
        entry |= draw(6) ? 0 : NX;
        entry &= ~(shape->never[level] | not_drawn);
        entries[level] = entry | (level == shape->leaf && level > 1 ? PS : 0);
    }
}

/* One access; error_mask takes bits out of the error code. What a fault leaves in A above the leaf is the processor's own affair. */
static void one(const struct shape *shape, const u64 *entries, word address, int kind, int user, int ac, word error_mask)
{
    volatile u8 *data = (u8 *)FRAME0 + DATA;
    *data = 0;
    for (int level = shape->top; level >= shape->leaf; level--)
        set_entry(level, entries[level]);
    set_cr2(0);
    flush_all();
    if (ac)
        asm volatile("stac" : : : "cc");
    int vector = access_target(address + (kind == FETCH ? 0 : DATA), kind, user);
    if (ac)
        asm volatile("clac" : : : "cc");
    mix(vector);
    mix(vector < 0 ? *data : trap.error & error_mask);
    mix(vector < 0 ? 0 : get_cr2());
    for (int level = vector < 0 ? shape->top : shape->leaf; level >= shape->leaf; level--)
        if (vector < 0 || !shape->upper_leaf_is_marked)
            mix(get_entry(level) & (A | D));
    accesses++;
    faults += vector >= 0;
}

static void all(const struct shape *shape, const u64 *entries, word address, int smap, word error_mask)
{
    for (int kind = READ; kind <= FETCH; kind++)
        for (int user = 0; user < 2; user++)
            one(shape, entries, address, kind, user, 0, error_mask);
    for (int kind = READ; kind <= WRITE; kind++)
        one(shape, entries, address, kind, 0, smap, error_mask);
}

static void states(const struct shape *shape, word address, int smap, int number)
{
    u64 entries[6] = {0};
    for (int state = 0; state < number; state++) {
        draw_entries(shape, entries);
        all(shape, entries, address, smap, ~(word)0);
    }
}

static void set_controls(int controls)
{
    set_cr0((get_cr0() & ~(word)0x10000) | (controls & WP ? 0x10000 : 0));
    set_cr4((get_cr4() & ~(word)0x300000) | (controls & SMEP ? 0x100000 : 0) | (controls & SMAP ? 0x200000 : 0));
    wrmsr(EFER, (rdmsr(EFER) & ~0x800ull) | (controls & NXE ? 0x800 : 0));
}

static void every_control(const struct shape *shape, word address, int without)
{
    for (int controls = 0; controls < CONTROLS; controls++) {
        if (controls & without)
            continue;
        set_controls(controls);
        not_drawn = controls & NXE ? 0 : NX; /* reserved then, and TCG differs */
        begin_group(controls * 16 + shape->top * 4 + shape->leaf);
        states(shape, address, controls & SMAP, STATES);
        set_controls(WP);
        not_drawn = 0;
        print("%s WP=%d NXE=%d SMEP=%d SMAP=%d", shape->name, controls & 1, controls >> 1 & 1, controls >> 2 & 1, controls >> 3 & 1);
        end_group();
    }
}

/* Each reserved bit in turn, NX among them, twice: with the error code whole, and without its P, which is all that TCG does otherwise. */
static void reserved_bits(const struct shape *shape, word address, const u64 *masks)
{
    set_controls(WP);
    for (int whole = 1; whole >= 0; whole--) {
        begin_group(7);
        for (int level = shape->top; level >= shape->leaf; level--)
            for (int bit = 7; bit < 64; bit++) {
                u64 entries[6];
                if (!(masks[level] >> bit & 1))
                    continue;
                for (int at = shape->top; at >= shape->leaf; at--)
                    entries[at] = ((at == shape->leaf ? shape->frame : shape->below[at]) | P | W | U | (at == shape->leaf && at > 1 ? PS : 0))
                        & ~(shape->never[at] & 7);
                entries[level] |= 1ull << bit;
                all(shape, entries, address, 0, whole ? ~(word)0 : ~(word)1);
            }
        print("%s reserved bits%s", shape->name, whole ? "" : " but P of the error code");
        end_group();
    }
}

#endif
