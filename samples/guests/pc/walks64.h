/* What walks and walks57 share: the tables of one path below a root, and the groups of 64-bit mode. */
#ifndef WALKS64_H
#define WALKS64_H

#include "walks.h"

enum { PKE = 1 << 22 };

static u64 *slots[6]; /* by level, the entry of the path */
static int levels;

static u64 get_entry(int level) { return *(volatile u64 *)slots[level]; }
static void set_entry(int level, u64 value) { *(volatile u64 *)slots[level] = value; }
static void flush_all(void) { flush(); }
static int access_target(word address, int kind, int user) { return access(address, kind, user); }

static void make_path(u64 *root, u64 address)
{
    u64 *table = root;
    for (int level = levels; level >= 1; level--) {
        slots[level] = &table[address >> (12 + 9 * (level - 1)) & 511];
        table = level > 1 ? new_page() : 0;
    }
}

static struct shape shape_of(const char *name, int leaf, u64 frame)
{
    struct shape shape = {.name = name, .top = levels, .leaf = leaf, .frame = frame, .upper_leaf_is_marked = leaf == 3};
    for (int level = levels; level > leaf; level--)
        shape.below[level] = (word)slots[level - 1] & FRAME;
    return shape;
}

static void write_pkru(u32 value) { asm volatile("wrpkru" : : "a"(value), "c"(0), "d"(0) : "memory"); }

/* Every key is drawn for the leaf; the rights of the keys change with each state. */
static void keys(const struct shape *shape, word address, int wp)
{
    u64 entries[6] = {0};
    set_controls(NXE | (wp ? WP : 0));
    set_cr4(get_cr4() | PKE);
    begin_group(100 + wp);
    for (int state = 0; state < 2 * STATES; state++) {
        draw_entries(shape, entries);
        entries[shape->leaf] |= (u64)draw(16) << 59;
        write_pkru(draw(1 << 16) << 16 | draw(1 << 16));
        all(shape, entries, address, 0, ~(word)0);
    }
    write_pkru(0);
    set_cr4(get_cr4() & ~(word)PKE);
    set_controls(WP);
    print("%s PKE=1 WP=%d", shape->name, wp);
    end_group();
}

static void not_canonical(const struct shape *shape, word address, int width)
{
    u64 entries[6];
    begin_group(200);
    for (int level = shape->top; level >= shape->leaf; level--)
        entries[level] = (level == shape->leaf ? shape->frame : shape->below[level]) | P | W | U;
    for (int bit = width; bit < 64; bit++)
        for (int kind = READ; kind <= WRITE; kind++)
            for (int user = 0; user < 2; user++)
                one(shape, entries, address ^ 1ull << bit, kind, user, 0, ~(word)0);
    print("addresses that are not canonical");
    end_group();
}

#endif
