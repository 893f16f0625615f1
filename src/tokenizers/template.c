/* SPDX-License-Identifier: Apache-2.0
 * Chat templates: parsing and rendering. The language is in template_lex.c (text to tokens),
 * template_parse.c and template_expr.c (tokens to a tree), template_exec.c and template_eval.c (running it).
 * template_encode.c makes ids of what was rendered.
 * Source: transformers utils/chat_template_utils.py, render_jinja_template. */

#include "tokenizers/template.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "tokenizers/template_internal.h"

/* ---- names -------------------------------------------------------------------------------------------------------- */

const char *fj_tpl_intern(fj_template *t, const char *name, size_t len)
{
    tpl_name **bucket = &t->names[fj_hash64(name, len, 0) % TPL_NAME_BUCKETS];
    for (const tpl_name *n = *bucket; n; n = n->next)
        if (strncmp(n->text, name, len) == 0 && n->text[len] == 0)
            return n->text;
    tpl_name *new = fj_arena_take(t->arena, sizeof *new + len + 1);
    if (!new)
        return NULL;
    memcpy(new->text, name, len);
    new->next = *bucket;
    *bucket = new;
    return new->text;
}

const char *fj_tpl_interned(const fj_template *t, const char *name)
{
    const tpl_name *n = t->names[fj_hash64(name, strlen(name), 0) % TPL_NAME_BUCKETS];
    while (n && strcmp(n->text, name) != 0)
        n = n->next;
    return n ? n->text : NULL;
}

/* ---- parsing ------------------------------------------------------------------------------------------------------ */

fj_status fj_template_parse(const char *text, size_t len, fj_template **out, fj_err *err)
{
    tpl_token *tokens;
    size_t n;
    fj_status st = FJ_OK;
    fj_arena *arena = fj_arena_new();

    *out = NULL;
    fj_template *t = arena ? fj_arena_take(arena, sizeof *t) : NULL;
    if (!t) {
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a chat template");
        goto cleanup;
    }
    t->arena = arena;
    if (!fj_utf8_valid(text, len)) {
        st = fj_fail(err, FJ_ERR_FORMAT, "the chat template is not valid UTF-8");
        goto cleanup;
    }
    st = fj_tpl_lex(arena, text, len, &tokens, &n, err);
    if (st)
        goto cleanup;
    st = fj_tpl_parse(t, tokens, err);
    if (st)
        goto cleanup;
    *out = t;
    return FJ_OK;

cleanup:
    fj_arena_free(arena);
    return st;
}

void fj_template_free(fj_template *t)
{
    if (t)
        fj_arena_free(t->arena);
}

/* ---- a run's limits and memory ------------------------------------------------------------------------------------ */

bool fj_tpl_fail(tpl_run *run, fj_status st, const char *format, ...)
{
    char text[640];
    va_list args;
    if (run->err->status) /* the first cause is the one to tell */
        return false;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fj_fail(run->err, st, "chat template, line %d: %s", run->line, text);
    return false;
}

bool fj_tpl_charge(tpl_run *run, size_t steps)
{
    run->steps += (int64_t)steps;
    if (run->steps <= TPL_MAX_STEPS)
        return true;
    return fj_tpl_fail(run, FJ_ERR_FAILED, "more than %d steps", TPL_MAX_STEPS);
}

void *fj_tpl_take(tpl_run *run, size_t size)
{
    enum { CHUNK = 64 << 10 };
    size = (size + 15) & ~(size_t)15;
    if (size <= run->chunk_left) {
        char *at = run->chunk;
        run->chunk += size;
        run->chunk_left -= size;
        return at;
    }
    size_t ask = size > CHUNK / 4 ? size : CHUNK;
    if (size > TPL_MAX_MEMORY || run->taken + ask > TPL_MAX_MEMORY) {
        fj_tpl_fail(run, FJ_ERR_FAILED, "more than %d bytes of values", TPL_MAX_MEMORY);
        return NULL;
    }
    char *new = fj_arena_take(run->arena, ask);
    if (!new) {
        fj_tpl_fail(run, FJ_ERR_MEMORY, "no memory for a chat template's values");
        return NULL;
    }
    run->taken += ask;
    if (ask == size)
        return new;
    run->chunk = new + size;
    run->chunk_left = CHUNK - size;
    return new;
}

/* ---- rendering ---------------------------------------------------------------------------------------------------- */

static bool define(tpl_run *run, tpl_scope *scope, const char *name, tpl_value v)
{
    const char *interned = fj_tpl_interned(run->t, name);
    return !interned || fj_tpl_define(run, scope, interned, v);
}

static bool define_token(tpl_run *run, tpl_scope *scope, const char *name, const char *text)
{
    tpl_value v;
    return !text || (fj_tpl_text(run, text, strlen(text), false, &v) && define(run, scope, name, v));
}

/* Templates write tokens around a role ('<|' + role + '|>'), so the usual roles count as the template's own words. Any other
 * stays message text: no role can spell a token of its own. */
static void trust_role(tpl_run *run, tpl_dict *message)
{
    static const char *const known[] = { "system",    "user",     "assistant", "tool",
                                         "developer", "function", "ipython",   "model" };
    tpl_value *role = fj_tpl_find_name(run, message, "role");
    for (size_t i = 0; role && i < FJ_LEN(known); i++)
        if (fj_tpl_text_is(*role, known[i]))
            role->text->marked = false;
}

static bool define_messages(tpl_run *run, tpl_scope *scope, const fj_json *messages)
{
    tpl_value list;
    if (!messages)
        return fj_tpl_new_list(run, 0, &list) && define(run, scope, "messages", list);
    if (!fj_tpl_from_json(run, messages, true, &list))
        return false;
    if (list.kind != TPL_LIST)
        return fj_tpl_fail(run, FJ_ERR_DATA, "messages are not a list");
    for (size_t i = 0; i < list.list->n; i++) {
        if (list.list->items[i].kind != TPL_DICT)
            return fj_tpl_fail(run, FJ_ERR_DATA, "message %zu is not an object", i + 1);
        list.list->items[i].dict->message = (int)i;
        trust_role(run, list.list->items[i].dict);
    }
    return define(run, scope, "messages", list);
}

static bool define_input(tpl_run *run, tpl_scope *scope, const fj_template_input *input)
{
    if (!define_messages(run, scope, input->messages) ||
        !define(run, scope, "add_generation_prompt", fj_tpl_bool(input->add_generation_prompt)) ||
        !define(run, scope, "tools", fj_tpl_none()) || !define(run, scope, "documents", fj_tpl_none()))
        return false;
    if (!define_token(run, scope, "bos_token", input->bos_token) ||
        !define_token(run, scope, "eos_token", input->eos_token) ||
        !define_token(run, scope, "unk_token", input->unk_token) ||
        !define_token(run, scope, "pad_token", input->pad_token))
        return false;
    for (void *i = fj_json_first(input->extra); i; i = fj_json_next(input->extra, i)) {
        tpl_value v;
        if (!fj_tpl_interned(run->t, fj_json_key(i)))
            continue; /* the template never asks for it */
        if (!fj_tpl_from_json(run, fj_json_member(i), true, &v) || !define(run, scope, fj_json_key(i), v))
            return false;
    }
    return true;
}

fj_status fj_template_render(const fj_template *t, const fj_template_input *input, fj_rendering *out, fj_err *err)
{
    tpl_scope globals = { 0 };
    tpl_run run = {
        .t = t, .arena = fj_arena_new(), .now = input->now, .message = -1, .out = out, .err = err, .line = 1
    };

    memset(out, 0, sizeof *out);
    err->status = FJ_OK; /* the run keeps the first cause */
    if (!run.arena)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a chat template");
    bool ok = define_input(&run, &globals, input) && fj_tpl_exec(&run, &globals, t->body);
    fj_arena_free(run.arena);
    if (ok && !err->status)
        return FJ_OK;
    fj_rendering_free(out);
    return err->status ? err->status : fj_fail(err, FJ_ERR_FAILED, "the chat template could not be rendered");
}

void fj_rendering_free(fj_rendering *r)
{
    fj_str_free(&r->text);
    free(r->spans);
    memset(r, 0, sizeof *r);
}
