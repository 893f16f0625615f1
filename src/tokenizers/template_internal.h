/* SPDX-License-Identifier: Apache-2.0
 * What the files of the template interpreter share: tree, values, and one run's state. */
#ifndef FJ_TOKENIZERS_TEMPLATE_INTERNAL_H
#define FJ_TOKENIZERS_TEMPLATE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "tokenizers/template.h"

/* Limits: a template comes with a model, so it is as hostile as any other file. */
enum {
    TPL_MAX_SOURCE  = 4 << 20,  /* bytes of template text */
    TPL_MAX_NESTING = 120,      /* brackets and blocks inside each other, when parsing */
    TPL_MAX_DEPTH   = 1200,     /* evaluator calls inside each other: long sums, recursive macros */
    TPL_MAX_STEPS   = 2000000,
    TPL_MAX_OUTPUT  = 64 << 20, /* bytes */
    TPL_MAX_MEMORY  = 512 << 20,
    TPL_MAX_RANGE   = 100000,   /* as Jinja's sandbox */
    TPL_MAX_ARGS    = 5,        /* named parameters of a built-in */
};

/* ---- values ------------------------------------------------------------------------------------------------------- */

typedef struct tpl_run   tpl_run;
typedef struct tpl_node  tpl_node;
typedef struct tpl_scope tpl_scope;

typedef enum tpl_kind {
    TPL_ABSENT, /* an argument that was not given; never a value of the language */
    TPL_UNDEFINED,
    TPL_NONE,
    TPL_BOOL,
    TPL_INT,
    TPL_FLOAT,
    TPL_TEXT,
    TPL_LIST,
    TPL_TUPLE,
    TPL_DICT,
    TPL_NAMESPACE,
    TPL_LOOP,
    TPL_CALLABLE,
} tpl_kind;

/* Text with its origin: each byte comes from the template or from a message. marks is NULL when all bytes are `marked`
 * alike; else marks[i] is 1 for a byte from a message. Immutable. */
typedef struct tpl_text {
    const char          *data;
    const unsigned char *marks;
    size_t               len;
    int64_t              n_chars; /* code points, -1 until counted */
    bool                 marked;
} tpl_text;

typedef struct tpl_list     tpl_list;
typedef struct tpl_dict     tpl_dict;
typedef struct tpl_loop     tpl_loop;
typedef struct tpl_callable tpl_callable;

typedef struct tpl_value {
    tpl_kind kind;
    bool     is_member; /* undefined: `name` was looked up in something, not alone */
    union {
        bool          boolean;
        int64_t       integer;
        double        real;
        tpl_text     *text;
        tpl_list     *list; /* list and tuple */
        tpl_dict     *dict; /* dict and namespace */
        tpl_loop     *loop;
        tpl_callable *callable;
        const char   *name; /* undefined: what was looked up, for the message */
    };
} tpl_value;

struct tpl_list {
    tpl_value *items;
    size_t     n, cap;
};

struct tpl_dict {
    tpl_value *keys, *values; /* in the order of insertion */
    size_t     n, cap;
    int        message;       /* the index of the message that this is, or -1 */
};

struct tpl_loop {
    const tpl_list *items;
    size_t          at;
    tpl_value       changed; /* what loop.changed() saw last */
};

/* Arguments as written at a call. */
typedef struct tpl_args {
    tpl_value   *positional;
    const char **names; /* interned, of named */
    tpl_value   *named;
    size_t       n_positional, n_named;
} tpl_args;

/* A call of something built in, its arguments bound to the parameters' names. */
typedef struct tpl_call {
    tpl_value       self;              /* the filtered, tested or owning value */
    tpl_value       arg[TPL_MAX_ARGS]; /* TPL_ABSENT where not given */
    const tpl_args *all;
} tpl_call;

typedef bool tpl_builtin_fn(tpl_run *run, const tpl_call *call, tpl_value *out);

/* A filter, test, method or function. n_required: the first so many parameters must be given. variadic: takes any
 * arguments, unbound, from call->all. */
typedef struct tpl_builtin {
    const char     *name;
    tpl_builtin_fn *fn;
    int             n_required;
    const char     *params[TPL_MAX_ARGS];
    bool            variadic;
} tpl_builtin;

struct tpl_callable {
    const tpl_builtin *builtin; /* or a macro: */
    tpl_value          self;
    const tpl_node    *macro;
    tpl_scope         *scope;
};

/* ---- the tree ----------------------------------------------------------------------------------------------------- */

typedef enum tpl_node_kind {
    /* expressions */
    N_CONST,   /* value */
    N_NAME,    /* name */
    N_LIST,    /* a: items */
    N_TUPLE,   /* a: items */
    N_DICT,    /* a: key, value, key, value … */
    N_UNARY,   /* op a */
    N_BINARY,  /* a op b */
    N_COMPARE, /* a, b: list of N_OPERAND (op, a) */
    N_OPERAND,
    N_CONCAT,  /* a: operands of ~ */
    N_AND,
    N_OR,
    N_COND,    /* a if b else c (c may be NULL) */
    N_MEMBER,  /* a.name */
    N_ITEM,    /* a[b] */
    N_SLICE,   /* [a:b:c], each may be NULL; only as b of N_ITEM */
    N_CALL,    /* a(args b) */
    N_FILTER,  /* a | name(args b); a NULL: the body of a filter block */
    N_TEST,    /* a is name(args b); op 1: is not */
    N_KEYWORD, /* name=a among arguments */
    /* statements; bodies are lists */
    N_TEXT,   /* value: text of the template */
    N_PRINT,  /* a */
    N_IF,     /* a: condition, b: body, c: else body or one N_IF */
    N_FOR,    /* a: target, b: what, c: body, d: else body, e: filter condition */
    N_SET,    /* a: target, b: value */
    N_CAPTURE,/* set block: a: target, b: filter chain or NULL, c: body */
    N_MACRO,  /* name, a: parameters (N_PARAM), c: body */
    N_PARAM,  /* name, a: default or NULL */
    N_CALLER, /* call block: a: parameters, b: the call, c: body */
    N_FILTERED, /* filter block: b: chain, c: body */
    N_WITH,   /* a: targets, b: values, c: body */
    N_SCOPE,  /* c: body (generation blocks) */
    N_BREAK,
    N_CONTINUE,
} tpl_node_kind;

typedef enum tpl_op {
    OP_NONE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_NOT,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
} tpl_op;

struct tpl_node {
    tpl_node_kind      kind;
    tpl_op             op;
    int                line;
    bool               takes_varargs, takes_kwargs; /* macros that mention them */
    bool               is_elif;                     /* N_IF: c is one N_IF, to be asked next */
    const char        *name;                        /* interned: equal names are one pointer */
    const tpl_builtin *builtin;                     /* filters and tests; NULL when there is none of that name */
    tpl_value          value;
    tpl_node          *a, *b, *c, *d, *e;
    tpl_node          *next; /* in a list */
};

typedef struct tpl_name {
    struct tpl_name *next;
    char             text[];
} tpl_name;

enum { TPL_NAME_BUCKETS = 256 };

/* A parsed template. */
struct fj_template {
    fj_arena *arena;
    tpl_node *body;
    tpl_name *names[TPL_NAME_BUCKETS];
};

/* The one pointer for a name. add false: NULL when the template never mentions it. */
const char *fj_tpl_intern(fj_template *t, const char *name, size_t len);
const char *fj_tpl_interned(const fj_template *t, const char *name);

/* ---- lexer -------------------------------------------------------------------------------------------------------- */

typedef enum tpl_token_kind {
    T_END,
    T_DATA,       /* text between tags */
    T_PRINT_OPEN, /* {{ */
    T_PRINT_CLOSE,
    T_BLOCK_OPEN, /* {% */
    T_BLOCK_CLOSE,
    T_NAME,
    T_STRING, /* text: escapes undone */
    T_INT,
    T_FLOAT,
    T_OP, /* text: the operator as written */
} tpl_token_kind;

typedef struct tpl_token {
    tpl_token_kind kind;
    int            line;
    fj_text        text;
    int64_t        integer;
    double         real;
} tpl_token;

/* Cuts a template into tokens, white space control done (trim_blocks and lstrip_blocks, - and +, the last newline). */
fj_status fj_tpl_lex(fj_arena *arena, const char *text, size_t len, tpl_token **out, size_t *n, fj_err *err);

/* ---- parser ------------------------------------------------------------------------------------------------------- */

typedef struct tpl_parser {
    fj_template     *t;
    const tpl_token *tokens, *at;
    tpl_node        *macro; /* the innermost macro being read */
    int              depth, loops;
    fj_err          *err;
} tpl_parser;

/* Each returns NULL after filling p->err. */
tpl_node *fj_tpl_node(tpl_parser *p, tpl_node_kind kind);
tpl_node *fj_tpl_parse_expression(tpl_parser *p);                       /* with inline if */
tpl_node *fj_tpl_parse_tuple(tpl_parser *p, bool with_condition);       /* a, b, c or one expression */
tpl_node *fj_tpl_parse_target(tpl_parser *p, bool only_names);          /* of for and set */
tpl_node *fj_tpl_parse_filters(tpl_parser *p, tpl_node *value);         /* name(args) | name … after a `|`, or of a filter block */
tpl_node *fj_tpl_parse_params(tpl_parser *p, tpl_node *owner);          /* (a, b=1) of a macro; into owner->a; NULL on failure */
tpl_node *fj_tpl_syntax(tpl_parser *p, const char *format, ...) __attribute__((format(printf, 2, 3))); /* NULL */
bool      fj_tpl_is_op(const tpl_parser *p, const char *op);
bool      fj_tpl_is_name(const tpl_parser *p, const char *name);
bool      fj_tpl_skip_op(tpl_parser *p, const char *op);
bool      fj_tpl_skip_name(tpl_parser *p, const char *name);
bool      fj_tpl_deeper(tpl_parser *p); /* false at the nesting limit; undo by p->depth-- */
fj_status fj_tpl_parse(fj_template *t, const tpl_token *tokens, fj_err *err);

/* ---- a run -------------------------------------------------------------------------------------------------------- */

typedef struct tpl_variable {
    struct tpl_variable *next;
    const char          *name;
    tpl_value            value;
} tpl_variable;

struct tpl_scope {
    tpl_scope    *parent;
    tpl_variable *variables;
};

/* Text being written: a capture (macro, set block), or the pieces of a new value. Fails through run. */
typedef struct tpl_buf {
    char          *data;
    unsigned char *marks; /* NULL while all bytes are alike */
    size_t         len, cap;
    bool           marked; /* of all bytes, while marks is NULL */
} tpl_buf;

struct tpl_run {
    const fj_template *t;
    fj_arena          *arena;
    char              *chunk; /* small things are cut from chunks of the arena */
    size_t             chunk_left, taken;
    int64_t            steps, now;
    int                depth, line;
    int                message; /* index of the message being looped over, or -1 */
    tpl_buf           *capture; /* where output goes; NULL: the rendering */
    fj_rendering      *out;
    size_t             spans_cap;
    fj_err            *err;
};

/* False, with the error filled: `chat template, line 3: …`. */
bool fj_tpl_fail(tpl_run *run, fj_status st, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool fj_tpl_charge(tpl_run *run, size_t steps); /* false at the limit */
void *fj_tpl_take(tpl_run *run, size_t size);   /* zeroed; NULL with the error filled */

/* Writing text. */
bool fj_tpl_add(tpl_run *run, tpl_buf *b, const char *data, size_t len, bool marked);
bool fj_tpl_add_part(tpl_run *run, tpl_buf *b, const tpl_text *text, size_t from, size_t to); /* bytes, with their marks */
bool fj_tpl_add_value(tpl_run *run, tpl_buf *b, tpl_value v);                                 /* as str() */
bool fj_tpl_add_repr(tpl_run *run, tpl_buf *b, tpl_value v);
bool fj_tpl_add_json(tpl_run *run, tpl_buf *b, tpl_value v, const tpl_call *options);
bool fj_tpl_done(tpl_run *run, const tpl_buf *b, tpl_value *out); /* the text as a value */
void fj_tpl_format_real(double x, char out[40]);                   /* as Python's repr */

/* Making values. False after filling the error. */
tpl_value fj_tpl_none(void);
tpl_value fj_tpl_bool(bool b);
tpl_value fj_tpl_int(int64_t i);
tpl_value fj_tpl_real(double x);
tpl_value fj_tpl_undefined(const char *name, bool is_member);
bool      fj_tpl_text(tpl_run *run, const char *data, size_t len, bool marked, tpl_value *out); /* data is borrowed for the run */
bool      fj_tpl_part(tpl_run *run, const tpl_text *text, size_t from, size_t to, tpl_value *out);
bool      fj_tpl_new_list(tpl_run *run, size_t cap, tpl_value *out);
bool      fj_tpl_append(tpl_run *run, tpl_list *list, tpl_value v);
bool      fj_tpl_new_dict(tpl_run *run, tpl_value *out);
bool      fj_tpl_put(tpl_run *run, tpl_dict *dict, tpl_value key, tpl_value v);
bool      fj_tpl_from_json(tpl_run *run, const fj_json *json, bool marked, tpl_value *out);
bool      fj_tpl_to_text(tpl_run *run, tpl_value v, tpl_text **out); /* str(v) */

/* Asking values. */
tpl_value  *fj_tpl_find(tpl_run *run, const tpl_dict *dict, tpl_value key);          /* NULL when absent */
tpl_value  *fj_tpl_find_name(tpl_run *run, const tpl_dict *dict, const char *key);
bool        fj_tpl_truth(tpl_value v);
bool        fj_tpl_equal(tpl_run *run, tpl_value a, tpl_value b);
bool        fj_tpl_order(tpl_run *run, tpl_value a, tpl_value b, int *out);          /* -1, 0, 1; false: not comparable */
bool        fj_tpl_contains(tpl_run *run, tpl_value where, tpl_value what, bool *out);
bool        fj_tpl_iterate(tpl_run *run, tpl_value v, tpl_list **out);               /* items, keys, characters */
bool        fj_tpl_length(tpl_run *run, tpl_value v, int64_t *out);
bool        fj_tpl_number(tpl_value v, double *out);                                 /* int, bool, float */
bool        fj_tpl_integer(tpl_value v, int64_t *out);                               /* int, bool */
int64_t     fj_tpl_chars(tpl_text *text);
size_t      fj_tpl_char_at(const tpl_text *text, size_t at);                         /* bytes of the character there, at least 1 */
bool        fj_tpl_text_is(tpl_value v, const char *text);
const char *fj_tpl_type(tpl_value v);                                                /* Python's name of its type */
bool        fj_tpl_is_space(const char *data, size_t len, size_t at, size_t *n);     /* white space at `at`, of n bytes */

/* Evaluating. */
bool fj_tpl_eval(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out);
bool fj_tpl_member(tpl_run *run, tpl_value v, const char *name, tpl_value *out);        /* v.name */
bool fj_tpl_item(tpl_run *run, tpl_value v, tpl_value key, tpl_value *out);             /* v[key] */
bool fj_tpl_path(tpl_run *run, tpl_value v, tpl_value path, tpl_value *out);            /* "a.b.0" of attribute= */
bool fj_tpl_arith(tpl_run *run, tpl_op op, tpl_value a, tpl_value b, tpl_value *out);
bool fj_tpl_compare(tpl_run *run, tpl_op op, tpl_value a, tpl_value b, bool *out);
bool fj_tpl_percent(tpl_run *run, tpl_text *format, const tpl_value *args, size_t n, const tpl_dict *named, tpl_value *out);
bool fj_tpl_call(tpl_run *run, tpl_value callee, const tpl_args *args, tpl_value *out);
bool fj_tpl_call_builtin(tpl_run *run, const tpl_builtin *builtin, const char *what, tpl_value self, const tpl_args *args, tpl_value *out);
bool fj_tpl_call_macro(tpl_run *run, const tpl_callable *macro, const tpl_args *args, tpl_value caller, tpl_value *out);
bool fj_tpl_eval_args(tpl_run *run, tpl_scope *scope, const tpl_node *list, tpl_args *out);
bool fj_tpl_exec(tpl_run *run, tpl_scope *scope, const tpl_node *body); /* a whole template */
bool fj_tpl_define(tpl_run *run, tpl_scope *scope, const char *name, tpl_value v);

/* Tables of what is built in; NULL when there is none of that name. */
const tpl_builtin *fj_tpl_filter(const char *name);
const tpl_builtin *fj_tpl_test(const char *name);
const tpl_builtin *fj_tpl_function(const char *name);
const tpl_builtin *fj_tpl_method(tpl_kind kind, const char *name);
const tpl_builtin *fj_tpl_object_method(tpl_kind kind, const char *name); /* of all kinds but text */
const tpl_builtin *fj_tpl_filter_more(const char *name); /* the filters on sequences */

#endif
