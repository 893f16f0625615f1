/* SPDX-License-Identifier: Apache-2.0
 * Packing: best-fit decreasing. Rows are taken from the longest to the shortest; each goes into the pack whose room it fills best.
 * The rooms are counts in a tree over 0 … capacity, so a million rows take a second. */

#include <stdlib.h>
#include <string.h>

#include "data/data_internal.h"

typedef struct packing {
    int64_t *tree;         /* how many packs have a room in a node's interval; leaves are rooms 0 … size-1 */
    int64_t *first, *next; /* stack of the packs with a room; next links packs */
    int64_t size;          /* leaves: a power of two above the capacity */
} packing;

static void count_room(packing *p, int64_t room, int64_t change)
{
    for (int64_t node = room + p->size; node > 0; node /= 2)
        p->tree[node] += change;
}

/* The smallest room of at least `need` that some pack has, or -1. */
static int64_t best_room(const packing *p, int64_t need)
{
    int64_t node = need + p->size;
    if (p->tree[node])
        return need;
    for (; node > 1; node /= 2) /* up until a right neighbour has packs, then down to its left-most one */
        if (node % 2 == 0 && p->tree[node + 1]) {
            node++;
            while (node < p->size)
                node = p->tree[2 * node] ? 2 * node : 2 * node + 1;
            return node - p->size;
        }
    return -1;
}

static void push(packing *p, int64_t pack, int64_t room)
{
    p->next[pack] = p->first[room];
    p->first[room] = pack;
    count_room(p, room, 1);
}

static int64_t pop(packing *p, int64_t room)
{
    int64_t pack = p->first[room];
    p->first[room] = p->next[pack];
    count_room(p, room, -1);
    return pack;
}

typedef struct sized {
    int64_t length, row;
} sized;

static int longest_first(const void *a, const void *b)
{
    const sized *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static bool open_packing(packing *p, int64_t n, int64_t capacity)
{
    for (p->size = 1; p->size <= capacity; p->size *= 2)
        continue;
    p->tree = calloc((size_t)p->size * 2, sizeof *p->tree);
    p->first = calloc((size_t)p->size, sizeof *p->first);
    p->next = calloc((size_t)n + 1, sizeof *p->next);
    return p->tree && p->first && p->next;
}

static void close_packing(packing *p)
{
    free(p->tree);
    free(p->first);
    free(p->next);
}

/* Packs get the numbers in which their first rows come. */
static bool renumber(int64_t *pack, int64_t n, int64_t n_packs)
{
    int64_t *number = malloc((size_t)(n_packs + 1) * sizeof *number), next = 0;
    if (!number)
        return false;
    memset(number, -1, (size_t)(n_packs + 1) * sizeof *number);
    for (int64_t i = 0; i < n; i++) {
        if (number[pack[i]] < 0)
            number[pack[i]] = next++;
        pack[i] = number[pack[i]];
    }
    free(number);
    return true;
}

int64_t fj_pack_best_fit(const fj_row *rows, int64_t n, int64_t capacity, int64_t *pack)
{
    packing p = { 0 };
    int64_t n_packs = 0;
    sized *order = malloc((size_t)(n + 1) * sizeof *order);
    bool ok = order && open_packing(&p, n, capacity);
    for (int64_t i = 0; ok && i < n; i++)
        order[i] = (sized){ rows[i].n, i };
    if (ok)
        qsort(order, (size_t)n, sizeof *order, longest_first);
    for (int64_t i = 0; ok && i < n; i++) {
        int64_t room = best_room(&p, order[i].length), to = room < 0 ? n_packs++ : pop(&p, room);
        pack[order[i].row] = to;
        push(&p, to, (room < 0 ? capacity : room) - order[i].length);
    }
    ok = ok && renumber(pack, n, n_packs);
    close_packing(&p);
    free(order);
    return ok ? n_packs : -1;
}
