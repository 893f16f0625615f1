/* SPDX-License-Identifier: Apache-2.0
 * Python's pickles read as data. Nothing is imported, called or run: what a pickle would call stays a value that says so, and only
 * names that the caller knows may occur at all. Source: CPython, Lib/pickletools.py (protocols 2 to 5). */
#ifndef FJ_FORMATS_PICKLE_H
#define FJ_FORMATS_PICKLE_H

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"

typedef enum fj_pickle_kind {
    FJ_PICKLE_NONE,
    FJ_PICKLE_BOOL,
    FJ_PICKLE_INT,
    FJ_PICKLE_BIG, /* an integer of more than 64 bits: its bytes */
    FJ_PICKLE_REAL,
    FJ_PICKLE_TEXT, /* UTF-8 */
    FJ_PICKLE_BYTES,
    FJ_PICKLE_TUPLE,
    FJ_PICKLE_LIST,
    FJ_PICKLE_DICT,   /* also collections.OrderedDict */
    FJ_PICKLE_GLOBAL, /* text: "module.name" */
    FJ_PICKLE_CALL,   /* items: what would be called, a tuple of its arguments, then what would be its state, if any */
    FJ_PICKLE_ID,     /* item: a persistent id */
} fj_pickle_kind;

typedef struct fj_pickle fj_pickle;
struct fj_pickle {
    fj_pickle_kind kind;
    int64_t        number; /* BOOL, INT */
    double         real;
    fj_text        text;  /* a view of the bytes read; of a GLOBAL the arena's */
    fj_pickle    **items; /* a DICT's are keys and values by turns */
    size_t         n, cap;
};

typedef struct fj_pickle_doc {
    const fj_pickle  *root;
    const fj_pickle **ids; /* every ID, in the order of the file */
    size_t            n_ids;
} fj_pickle_doc;

/* Reads one pickle; the cursor then stands behind it. is_allowed: whether a global ("module.name") may occur. Values may
 * hold themselves: who walks them counts. FJ_ERR_FORMAT names a global that is refused. Everything is the arena's. */
fj_status fj_pickle_read(fj_cursor *c, const char *name, bool (*is_allowed)(const char *global), fj_arena *arena, fj_pickle_doc *out, fj_err *err);

/* The value of a text key in a DICT; the last of several, as Python has it. NULL when absent, or when dict is no DICT or NULL. */
const fj_pickle *fj_pickle_get(const fj_pickle *dict, const char *key);

/* Item i of a TUPLE or LIST; NULL when it is not there. */
const fj_pickle *fj_pickle_at(const fj_pickle *v, size_t i);

/* Whether v is a CALL of the global, with a tuple of arguments. */
bool fj_pickle_calls(const fj_pickle *v, const char *global);

/* For messages: "a tuple". */
const char *fj_pickle_kind_name(fj_pickle_kind kind);

#endif
