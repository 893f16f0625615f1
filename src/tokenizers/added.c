/* SPDX-License-Identifier: Apache-2.0
 * Tokens that are found in the text before anything else happens to it. The patterns lie sorted by their bytes; from each place the
 * range of those that still fit is narrowed byte by byte, so the longest match costs a few comparisons a byte and no automaton.
 * Source: tokenizers, added_vocabulary.rs (leftmost-longest; a match that is no single word is skipped whole). */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"

static int by_pattern(const void *a, const void *b)
{
    fj_text x = (*(const fj_added_token *const *)a)->pattern, y = (*(const fj_added_token *const *)b)->pattern;
    int order = memcmp(x.data, y.data, FJ_MIN(x.len, y.len));
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

fj_status fj_added_set_init(fj_added_set *set, const fj_added_token *tokens, size_t n, bool is_normalized,
                            fj_arena *arena, fj_err *err)
{
    *set = (fj_added_set){ .sorted = fj_arena_array(arena, n, sizeof *set->sorted) };
    if (!set->sorted)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu added tokens", n);
    for (size_t i = 0; i < n; i++)
        if (tokens[i].is_normalized == is_normalized && tokens[i].pattern.len) {
            set->sorted[set->n++] = &tokens[i];
            set->begins[(unsigned char)tokens[i].pattern.data[0]] = true;
        }
    if (set->n)
        qsort(set->sorted, set->n, sizeof *set->sorted, by_pattern);
    return FJ_OK;
}

/* The first of sorted[lo … hi) whose byte at depth is at least `byte`; all have more than depth bytes. */
static size_t bound(const fj_added_set *set, size_t lo, size_t hi, size_t depth, int byte)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if ((unsigned char)set->sorted[mid]->pattern.data[depth] < byte)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Code points of the given text that bytes start … end came from may hold a special token. */
static bool is_trusted(const fj_trust *trust, const fj_passage *p, size_t start, size_t end)
{
    if (trust->blocks_all || !trust->n)
        return !trust->blocks_all;
    uint32_t from = p->from[start], to = p->to[end - 1];
    size_t lo = 0, hi = trust->n;
    while (lo < hi) { /* the first blocked range that ends behind from */
        size_t mid = lo + (hi - lo) / 2;
        if (trust->ends[mid] <= from)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo == trust->n || trust->starts[lo] >= to;
}

static const fj_added_token *longest(const fj_added_set *set, const fj_trust *trust, const fj_passage *p, size_t at,
                                     size_t end)
{
    const fj_added_token *best = NULL;
    size_t lo = 0, hi = set->n;
    for (size_t depth = 0; at + depth < end && lo < hi; depth++) {
        int byte = (unsigned char)p->text[at + depth];
        lo = bound(set, lo, hi, depth, byte);
        hi = bound(set, lo, hi, depth, byte + 1);
        for (; lo < hi && set->sorted[lo]->pattern.len == depth + 1; lo++)
            if (!set->sorted[lo]->is_special || is_trusted(trust, p, at, at + depth + 1))
                best = set->sorted[lo];
    }
    return best;
}

static bool is_word(uint32_t c)
{
    const char *k = fj_unicode_category(c);
    return k[0] == 'L' || k[0] == 'M' || !strcmp(k, "Nd") || !strcmp(k, "Nl") || !strcmp(k, "Pc") || c == 0x200c ||
           c == 0x200d;
}

/* The character before `at`, not before `start`; its first byte's place, or at when there is none. */
static size_t previous(const char *text, size_t start, size_t at, uint32_t *c)
{
    size_t p = at > start ? at - 1 : at;
    while (p > start && ((unsigned char)text[p] & 0xc0) == 0x80)
        p--;
    return p < at && fj_utf8_get(text + p, at - p, c) ? p : at;
}

static bool stands_alone(const fj_passage *p, fj_cut cut, size_t start, size_t end)
{
    uint32_t c;
    if (previous(p->text, cut.start, start, &c) < start && is_word(c))
        return false;
    return !(fj_utf8_get(p->text + end, cut.end - end, &c) && is_word(c));
}

static size_t strip_left(const fj_passage *p, size_t least, size_t start)
{
    uint32_t c;
    for (;;) {
        size_t at = previous(p->text, least, start, &c);
        if (at == start || !fj_unicode_is_space(c))
            return start;
        start = at;
    }
}

static size_t strip_right(const fj_passage *p, size_t most, size_t end)
{
    uint32_t c;
    for (;;) {
        size_t n = fj_utf8_get(p->text + end, most - end, &c);
        if (!n || !fj_unicode_is_space(c))
            return end;
        end += n;
    }
}

void fj_added_split(const fj_added_set *set, const fj_trust *trust, const fj_passage *p, fj_cut cut, fj_cuts *out)
{
    size_t done = cut.start, at = cut.start;
    while (set->n && at < cut.end) {
        const fj_added_token *found = NULL;
        if (set->begins[(unsigned char)p->text[at]])
            found = longest(set, trust, p, at, cut.end);
        if (!found) {
            at++;
            continue;
        }
        size_t start = at, end = at + found->pattern.len;
        at = end;
        if (found->is_single_word && !stands_alone(p, cut, start, end))
            continue;
        if (found->strips_left)
            start = strip_left(p, done, start);
        if (found->strips_right)
            at = end = strip_right(p, cut.end, end);
        fj_cuts_add(out, done, start, -1);
        fj_cuts_add(out, start, end, found->id);
        done = end;
    }
    fj_cuts_add(out, done, cut.end, -1);
}
