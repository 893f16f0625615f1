/* SPDX-License-Identifier: Apache-2.0
 * See pickle.h. A pickle is a program for a machine with a stack, a memo and marks; ours knows the instructions that make values. */
#include "formats/pickle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { MAX_VALUES = 1 << 22, MAX_LINE = 256 }; /* a large model's file has some 10 values a tensor */

typedef struct list {
    fj_pickle **items; /* of the stack: NULL is a mark */
    size_t n, cap;
} list;

typedef struct machine {
    fj_cursor *c;
    const char *name;
    bool (*is_allowed)(const char *global);
    fj_arena *arena;
    fj_err *err;
    list stack, memo, ids;
    size_t n_values;
    bool is_done;
} machine;

typedef fj_status (*instruction)(machine *m);

static fj_status no_memory(const machine *m)
{
    return fj_fail(m->err, FJ_ERR_MEMORY, "no memory to read %s", m->name);
}

static fj_status broken(const machine *m, const char *what)
{
    return fj_fail(m->err, FJ_ERR_FORMAT, "%s: a broken pickle at byte %zu: %s", m->name, m->c->at, what);
}

/* ---- values ---------------------------------------------------------------------------------------------------------------------- */

static bool append(list *l, fj_pickle *v)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        fj_pickle **more = realloc(l->items, cap * sizeof(*more));
        if (!more)
            return false;
        l->items = more;
        l->cap = cap;
    }
    l->items[l->n++] = v;
    return true;
}

static fj_status push(machine *m, fj_pickle *v)
{
    if (m->stack.n >= MAX_VALUES)
        return broken(m, "too many values");
    return append(&m->stack, v) ? FJ_OK : no_memory(m);
}

/* Pushes a new value; *out (may be NULL) is for filling in. */
static fj_status push_new(machine *m, fj_pickle v, fj_pickle **out)
{
    if (m->n_values++ >= MAX_VALUES)
        return broken(m, "too many values");
    fj_pickle *p = fj_arena_take(m->arena, sizeof *p);
    if (!p)
        return no_memory(m);
    *p = v;
    if (out)
        *out = p;
    return push(m, p);
}

/* The topmost value, taken off; NULL when there is none above the last mark. */
static fj_pickle *pop(machine *m)
{
    fj_pickle *v = m->stack.n ? m->stack.items[m->stack.n - 1] : NULL;
    m->stack.n -= v != NULL;
    return v;
}

static fj_pickle *top(const machine *m)
{
    return m->stack.n ? m->stack.items[m->stack.n - 1] : NULL;
}

/* The values above the last mark, which leave the stack with it (but stay readable until the next push). */
static fj_status pop_mark(machine *m, fj_pickle ***items, size_t *n)
{
    size_t at = m->stack.n;
    while (at && m->stack.items[at - 1])
        at--;
    if (!at)
        return broken(m, "no mark");
    *items = m->stack.items + at;
    *n = m->stack.n - at;
    m->stack.n = at - 1;
    return FJ_OK;
}

static fj_status add_items(machine *m, fj_pickle *v, fj_pickle *const *items, size_t n)
{
    if (v->n + n > v->cap) {
        size_t cap = FJ_MAX(2 * v->cap, v->n + n);
        fj_pickle **more = fj_arena_array(m->arena, cap, sizeof(*more));
        if (!more)
            return no_memory(m);
        if (v->n)
            memcpy(more, v->items, v->n * sizeof(*more));
        v->items = more;
        v->cap = cap;
    }
    if (n)
        memcpy(v->items + v->n, items, n * sizeof(*items));
    v->n += n;
    return FJ_OK;
}

static fj_status push_with(machine *m, fj_pickle_kind kind, fj_pickle *const *items, size_t n)
{
    fj_pickle *v = fj_arena_take(m->arena, sizeof *v);
    if (!v)
        return no_memory(m);
    if (m->n_values++ >= MAX_VALUES)
        return broken(m, "too many values");
    v->kind = kind;
    fj_status st = add_items(m, v, items, n);
    return st ? st : push(m, v);
}

/* ---- numbers and texts ----------------------------------------------------------------------------------------------------------- */

static fj_status push_int(machine *m, int64_t number)
{
    return push_new(m, (fj_pickle){ .kind = FJ_PICKLE_INT, .number = number }, NULL);
}

static fj_status op_none(machine *m)
{
    return push_new(m, (fj_pickle){ .kind = FJ_PICKLE_NONE }, NULL);
}

static fj_status op_true(machine *m)
{
    return push_new(m, (fj_pickle){ .kind = FJ_PICKLE_BOOL, .number = 1 }, NULL);
}

static fj_status op_false(machine *m)
{
    return push_new(m, (fj_pickle){ .kind = FJ_PICKLE_BOOL }, NULL);
}

static fj_status op_binint(machine *m)
{
    return push_int(m, (int32_t)fj_cursor_u32(m->c));
}

static fj_status op_binint1(machine *m)
{
    return push_int(m, fj_cursor_u8(m->c));
}

static fj_status op_binint2(machine *m)
{
    return push_int(m, fj_cursor_u16(m->c));
}

static fj_status push_long(machine *m, uint64_t n)
{
    fj_text bytes = fj_cursor_take(m->c, n);
    uint64_t number = bytes.len && bytes.data[bytes.len - 1] & 0x80 ? UINT64_MAX : 0; /* the sign goes on */
    if (bytes.len > sizeof number)
        return push_new(m, (fj_pickle){ .kind = FJ_PICKLE_BIG, .text = bytes }, NULL);
    if (bytes.len)
        memcpy(&number, bytes.data, bytes.len);
    return push_int(m, (int64_t)number);
}

static fj_status op_long1(machine *m)
{
    return push_long(m, fj_cursor_u8(m->c));
}

static fj_status op_long4(machine *m)
{
    return push_long(m, fj_cursor_u32(m->c));
}

/* The one big-endian number of the format. */
static fj_status op_binfloat(machine *m)
{
    uint64_t bits = __builtin_bswap64(fj_cursor_u64(m->c));
    fj_pickle v = { .kind = FJ_PICKLE_REAL };
    memcpy(&v.real, &bits, sizeof v.real);
    return push_new(m, v, NULL);
}

static fj_status push_text(machine *m, fj_pickle_kind kind, uint64_t n)
{
    fj_text text = fj_cursor_take(m->c, n);
    if (m->c->bad)
        return broken(m, "it ends early");
    if (kind == FJ_PICKLE_TEXT && !fj_utf8_valid(text.data, text.len))
        return broken(m, "a text that is not UTF-8");
    return push_new(m, (fj_pickle){ .kind = kind, .text = text }, NULL);
}

static fj_status op_text1(machine *m)
{
    return push_text(m, FJ_PICKLE_TEXT, fj_cursor_u8(m->c));
}

static fj_status op_text4(machine *m)
{
    return push_text(m, FJ_PICKLE_TEXT, fj_cursor_u32(m->c));
}

static fj_status op_text8(machine *m)
{
    return push_text(m, FJ_PICKLE_TEXT, fj_cursor_u64(m->c));
}

static fj_status op_bytes1(machine *m)
{
    return push_text(m, FJ_PICKLE_BYTES, fj_cursor_u8(m->c));
}

static fj_status op_bytes4(machine *m)
{
    return push_text(m, FJ_PICKLE_BYTES, fj_cursor_u32(m->c));
}

static fj_status op_bytes8(machine *m)
{
    return push_text(m, FJ_PICKLE_BYTES, fj_cursor_u64(m->c));
}

/* ---- tuples, lists, dicts -------------------------------------------------------------------------------------------------------- */

static fj_status op_mark(machine *m)
{
    return push(m, NULL);
}

static fj_status op_empty_tuple(machine *m)
{
    return push_with(m, FJ_PICKLE_TUPLE, NULL, 0);
}

static fj_status op_empty_list(machine *m)
{
    return push_with(m, FJ_PICKLE_LIST, NULL, 0);
}

static fj_status op_empty_dict(machine *m)
{
    return push_with(m, FJ_PICKLE_DICT, NULL, 0);
}

static fj_status op_tuple(machine *m)
{
    fj_pickle **items;
    size_t n;
    fj_status st = pop_mark(m, &items, &n);
    return st ? st : push_with(m, FJ_PICKLE_TUPLE, items, n);
}

static fj_status tuple_of(machine *m, size_t n)
{
    fj_pickle *items[3];
    for (size_t i = n; i-- > 0;) {
        items[i] = pop(m);
        if (!items[i])
            return broken(m, "an empty stack");
    }
    return push_with(m, FJ_PICKLE_TUPLE, items, n);
}

static fj_status op_tuple1(machine *m)
{
    return tuple_of(m, 1);
}

static fj_status op_tuple2(machine *m)
{
    return tuple_of(m, 2);
}

static fj_status op_tuple3(machine *m)
{
    return tuple_of(m, 3);
}

static fj_status fill(machine *m, fj_pickle_kind kind, fj_pickle *const *items, size_t n)
{
    fj_pickle *v = top(m);
    if (!v || v->kind != kind || (kind == FJ_PICKLE_DICT && n % 2))
        return broken(m, kind == FJ_PICKLE_DICT ? "no dict to fill" : "no list to fill");
    return add_items(m, v, items, n);
}

static fj_status op_append(machine *m)
{
    fj_pickle *v = pop(m);
    return v ? fill(m, FJ_PICKLE_LIST, &v, 1) : broken(m, "an empty stack");
}

static fj_status op_setitem(machine *m)
{
    fj_pickle *pair[2] = { 0 };
    pair[1] = pop(m);
    pair[0] = pop(m);
    return pair[0] && pair[1] ? fill(m, FJ_PICKLE_DICT, pair, 2) : broken(m, "an empty stack");
}

static fj_status op_appends(machine *m)
{
    fj_pickle **items;
    size_t n;
    fj_status st = pop_mark(m, &items, &n);
    return st ? st : fill(m, FJ_PICKLE_LIST, items, n);
}

static fj_status op_setitems(machine *m)
{
    fj_pickle **items;
    size_t n;
    fj_status st = pop_mark(m, &items, &n);
    return st ? st : fill(m, FJ_PICKLE_DICT, items, n);
}

/* ---- the stack and the memo ------------------------------------------------------------------------------------------------------ */

static fj_status op_pop(machine *m)
{
    if (!m->stack.n)
        return broken(m, "an empty stack");
    m->stack.n--; /* a mark, too */
    return FJ_OK;
}

static fj_status op_pop_mark(machine *m)
{
    fj_pickle **items;
    size_t n;
    return pop_mark(m, &items, &n);
}

static fj_status op_dup(machine *m)
{
    return top(m) ? push(m, top(m)) : broken(m, "an empty stack");
}

static fj_status put(machine *m, uint64_t at)
{
    if (!top(m))
        return broken(m, "an empty stack");
    if (at >= MAX_VALUES)
        return broken(m, "too many values");
    while (m->memo.n <= at)
        if (!append(&m->memo, NULL))
            return no_memory(m);
    m->memo.items[at] = top(m);
    return FJ_OK;
}

static fj_status get(machine *m, uint64_t at)
{
    fj_pickle *v = at < m->memo.n ? m->memo.items[at] : NULL;
    return v ? push(m, v) : broken(m, "a value that was never kept");
}

static fj_status op_binput(machine *m)
{
    return put(m, fj_cursor_u8(m->c));
}

static fj_status op_long_binput(machine *m)
{
    return put(m, fj_cursor_u32(m->c));
}

static fj_status op_memoize(machine *m)
{
    return put(m, m->memo.n);
}

static fj_status op_binget(machine *m)
{
    return get(m, fj_cursor_u8(m->c));
}

static fj_status op_long_binget(machine *m)
{
    return get(m, fj_cursor_u32(m->c));
}

/* ---- globals, and what would be called ------------------------------------------------------------------------------------------- */

static fj_status push_global(machine *m, fj_text module, fj_text name)
{
    char *text = fj_arena_printf(m->arena, "%.*s.%.*s", (int)FJ_MIN(module.len, (size_t)MAX_LINE), module.data,
                                 (int)FJ_MIN(name.len, (size_t)MAX_LINE), name.data);
    if (!text)
        return no_memory(m);
    if (m->is_allowed(text))
        return push_new(m, (fj_pickle){ .kind = FJ_PICKLE_GLOBAL, .text = fj_text_of(text) }, NULL);
    (void)fj_fail(m->err, FJ_ERR_FORMAT, "%s: refused: the pickle asks for '%.200s', which no weights need", m->name,
                  text);
    return fj_hint(
        m->err,
        "nothing in a pickle is run here; if you trust the file, save its state dict alone, best as safetensors");
}

static fj_status take_line(machine *m, fj_text *out)
{
    fj_text rest = { (const char *)m->c->data + m->c->at, fj_cursor_left(m->c) };
    const char *end = rest.len ? memchr(rest.data, '\n', FJ_MIN(rest.len, (size_t)MAX_LINE)) : NULL;
    if (!end)
        return broken(m, "a name without an end");
    *out = fj_cursor_take(m->c, (uint64_t)(end - rest.data));
    (void)fj_cursor_u8(m->c);
    return fj_utf8_valid(out->data, out->len) ? FJ_OK : broken(m, "a name that is not UTF-8");
}

static fj_status op_global(machine *m)
{
    fj_text module, name;
    fj_status st = take_line(m, &module);
    if (!st)
        st = take_line(m, &name);
    return st ? st : push_global(m, module, name);
}

static fj_status op_stack_global(machine *m)
{
    const fj_pickle *name = pop(m), *module = pop(m);
    if (!name || !module || name->kind != FJ_PICKLE_TEXT || module->kind != FJ_PICKLE_TEXT)
        return broken(m, "a name that is no text");
    return push_global(m, module->text, name->text);
}

/* An OrderedDict of a list of pairs, as Python 2 wrote it, or an empty one that instructions fill. */
static fj_status push_dict(machine *m, const fj_pickle *args)
{
    const fj_pickle *pairs = fj_pickle_at(args, 0);
    fj_status st = push_with(m, FJ_PICKLE_DICT, NULL, 0);
    for (size_t i = 0; !st && pairs && i < pairs->n; i++) {
        const fj_pickle *pair = fj_pickle_at(pairs, i);
        bool is_pair = pair && (pair->kind == FJ_PICKLE_LIST || pair->kind == FJ_PICKLE_TUPLE) && pair->n == 2;
        st = is_pair ? add_items(m, top(m), pair->items, 2) : broken(m, "an OrderedDict of other things than pairs");
    }
    return st;
}

static fj_status op_reduce(machine *m)
{
    fj_pickle *pair[2] = { 0 };
    pair[1] = pop(m);
    pair[0] = pop(m);
    if (!pair[0] || !pair[1] || pair[0]->kind != FJ_PICKLE_GLOBAL || pair[1]->kind != FJ_PICKLE_TUPLE)
        return broken(m, "a call of what is no name, or without a tuple of arguments");
    if (fj_text_is(pair[0]->text, "collections.OrderedDict"))
        return push_dict(m, pair[1]);
    return push_with(m, FJ_PICKLE_CALL, pair, 2);
}

/* State: attributes of a dict are of no interest, those of a CALL are kept as its third item. */
static fj_status op_build(machine *m)
{
    fj_pickle *state = pop(m), *v = top(m);
    if (!state || !v || (v->kind != FJ_PICKLE_DICT && (v->kind != FJ_PICKLE_CALL || v->n != 2)))
        return broken(m, "a state of what has none");
    return v->kind == FJ_PICKLE_CALL ? add_items(m, v, &state, 1) : FJ_OK;
}

static fj_status op_persistent_id(machine *m)
{
    fj_pickle *id = pop(m);
    if (!id)
        return broken(m, "an empty stack");
    fj_status st = push_with(m, FJ_PICKLE_ID, &id, 1);
    return st ? st : append(&m->ids, top(m)) ? FJ_OK : no_memory(m);
}

/* ---- the program ----------------------------------------------------------------------------------------------------------------- */

static fj_status op_protocol(machine *m)
{
    uint8_t version = fj_cursor_u8(m->c);
    if (version >= 2 && version <= 5)
        return FJ_OK;
    return fj_fail(m->err, FJ_ERR_FORMAT, "%s: a pickle of protocol %d; 2 to 5 are read", m->name, version);
}

static fj_status op_frame(machine *m)
{
    return fj_cursor_u64(m->c) <= fj_cursor_left(m->c) ? FJ_OK : broken(m, "it ends early");
}

static fj_status op_stop(machine *m)
{
    m->is_done = true;
    return FJ_OK;
}

static const instruction instructions[256] = {
    ['('] = op_mark,       [')'] = op_empty_tuple, ['.'] = op_stop,    ['0'] = op_pop,           ['1'] = op_pop_mark,
    ['2'] = op_dup,        ['B'] = op_bytes4,      ['C'] = op_bytes1,  ['G'] = op_binfloat,      ['J'] = op_binint,
    ['K'] = op_binint1,    ['M'] = op_binint2,     ['N'] = op_none,    ['Q'] = op_persistent_id, ['R'] = op_reduce,
    ['T'] = op_text4,      ['U'] = op_text1,       ['X'] = op_text4,   [']'] = op_empty_list,    ['a'] = op_append,
    ['b'] = op_build,      ['c'] = op_global,      ['e'] = op_appends, ['h'] = op_binget,        ['j'] = op_long_binget,
    ['q'] = op_binput,     ['r'] = op_long_binput, ['s'] = op_setitem, ['t'] = op_tuple,         ['u'] = op_setitems,
    ['}'] = op_empty_dict, [0x80] = op_protocol,   [0x81] = op_reduce, [0x85] = op_tuple1,       [0x86] = op_tuple2,
    [0x87] = op_tuple3,    [0x88] = op_true,       [0x89] = op_false,  [0x8a] = op_long1,        [0x8b] = op_long4,
    [0x8c] = op_text1,     [0x8d] = op_text8,      [0x8e] = op_bytes8, [0x93] = op_stack_global, [0x94] = op_memoize,
    [0x95] = op_frame,     [0x96] = op_bytes8,
};

static fj_status run(machine *m)
{
    fj_status st = FJ_OK;
    while (!st && !m->is_done) {
        uint8_t code = fj_cursor_u8(m->c);
        if (m->c->bad)
            return broken(m, "it ends early");
        if (!instructions[code])
            return fj_fail(m->err, FJ_ERR_FORMAT,
                           "%s: refused: instruction 0x%02x at byte %zu of the pickle, which no weights need", m->name,
                           code, m->c->at - 1);
        st = instructions[code](m);
        if (!st && m->c->bad)
            return broken(m, "it ends early");
    }
    if (!st && !top(m))
        return broken(m, "an empty stack");
    return st;
}

fj_status fj_pickle_read(fj_cursor *c, const char *name, bool (*is_allowed)(const char *global), fj_arena *arena,
                         fj_pickle_doc *out, fj_err *err)
{
    machine m = { .c = c, .name = name, .is_allowed = is_allowed, .arena = arena, .err = err };
    fj_status st = run(&m);
    *out = (fj_pickle_doc){ 0 };
    if (!st) {
        out->root = top(&m);
        out->n_ids = m.ids.n;
        out->ids = fj_arena_array(arena, m.ids.n, sizeof(*out->ids));
        if (!out->ids)
            st = no_memory(&m);
        else if (m.ids.n)
            memcpy(out->ids, m.ids.items, m.ids.n * sizeof(*out->ids));
    }
    free(m.stack.items);
    free(m.memo.items);
    free(m.ids.items);
    return st;
}

const fj_pickle *fj_pickle_get(const fj_pickle *dict, const char *key)
{
    if (!dict || dict->kind != FJ_PICKLE_DICT)
        return NULL;
    for (size_t i = dict->n; i >= 2; i -= 2)
        if (dict->items[i - 2]->kind == FJ_PICKLE_TEXT && fj_text_is(dict->items[i - 2]->text, key))
            return dict->items[i - 1];
    return NULL;
}

const fj_pickle *fj_pickle_at(const fj_pickle *v, size_t i)
{
    bool has_items = v && (v->kind == FJ_PICKLE_TUPLE || v->kind == FJ_PICKLE_LIST);
    return has_items && i < v->n ? v->items[i] : NULL;
}

bool fj_pickle_calls(const fj_pickle *v, const char *global)
{
    return v && v->kind == FJ_PICKLE_CALL && fj_text_is(v->items[0]->text, global);
}

const char *fj_pickle_kind_name(fj_pickle_kind kind)
{
    static const char *const names[] = { "None",   "a truth value", "a number",       "a number", "a number",
                                         "a text", "bytes",         "a tuple",        "a list",   "a dict",
                                         "a name", "a call",        "a persistent id" };
    return names[kind];
}
