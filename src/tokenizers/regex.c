/* SPDX-License-Identifier: Apache-2.0
 * See regex.h. Source: pcre2api, pcre2jit. */
#include "tokenizers/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/utf8.h"

/* Steps of one search: hostile expressions on hostile text end with an error; `\s*[\r\n]` on a text of blanks needs one step a
 * byte, so the limit grows with the text. The stack serves expressions that nest. */
enum { MAX_PATTERN = 1 << 16, MIN_STEPS = 10000000, MAX_STACK = 1 << 20, HEAP_KIB = 64 << 10 };

struct fj_regex {
    pcre2_code *code;
    bool has_jit;
};

struct fj_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    size_t steps; /* the limit that the context has */
};

fj_status fj_regex_new(fj_text pattern, fj_regex **out, fj_err *err)
{
    fj_str dialect = { 0 };
    int number = 0;
    PCRE2_SIZE at = 0;
    if (pattern.len > MAX_PATTERN || !fj_utf8_valid(pattern.data, pattern.len))
        return fj_fail(err, FJ_ERR_FORMAT, "a regular expression of %zu bytes is broken or above %d", pattern.len,
                       MAX_PATTERN);
    fj_status st = fj_regex_translate(pattern, &dialect, err);
    fj_regex *r = st ? NULL : calloc(1, sizeof *r);
    if (!st && !r)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a regular expression");
    if (!st) {
        r->code = pcre2_compile((PCRE2_SPTR)(dialect.data ? dialect.data : ""), dialect.len,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &number, &at, NULL);
        if (!r->code) {
            char why[160] = "";
            (void)pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof why);
            st = fj_fail(err, FJ_ERR_FORMAT, "regular expression '%.*s': %s, near byte %zu",
                         (int)FJ_MIN(pattern.len, 200), pattern.data, why, (size_t)at);
        }
    }
    if (!st)
        r->has_jit = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
    fj_str_free(&dialect);
    if (st) {
        fj_regex_free(r);
        return st;
    }
    *out = r;
    return FJ_OK;
}

void fj_regex_free(fj_regex *r)
{
    if (!r)
        return;
    pcre2_code_free(r->code);
    free(r);
}

fj_matcher *fj_matcher_new(void)
{
    fj_matcher *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(32 << 10, MAX_STACK, NULL);
    if (!m->data || !m->context || !m->stack) {
        fj_matcher_free(m);
        return NULL;
    }
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    (void)pcre2_set_heap_limit(m->context, HEAP_KIB);
    (void)pcre2_set_match_limit(m->context, MIN_STEPS);
    m->steps = MIN_STEPS;
    return m;
}

void fj_matcher_free(fj_matcher *m)
{
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    free(m);
}

fj_status fj_regex_next(const fj_regex *r, fj_matcher *m, fj_text text, size_t at, size_t *start, size_t *end,
                        bool *is_found, fj_err *err)
{
    size_t steps = FJ_MAX((size_t)MIN_STEPS, FJ_MIN(4 * text.len, (size_t)UINT32_MAX));
    if (steps != m->steps) {
        (void)pcre2_set_match_limit(m->context, (uint32_t)steps);
        m->steps = steps;
    }
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.data ? text.data : "");
    int n = r->has_jit ? pcre2_jit_match(r->code, subject, text.len, at, PCRE2_NO_UTF_CHECK, m->data, m->context)
                       : pcre2_match(r->code, subject, text.len, at, PCRE2_NO_UTF_CHECK, m->data, m->context);
    *is_found = n >= 0;
    if (n >= 0) {
        const PCRE2_SIZE *pair = pcre2_get_ovector_pointer(m->data);
        *start = pair[0];
        *end = pair[1];
        if (*start > *end || *start < at) /* \K in a look-around may do this */
            return fj_fail(err, FJ_ERR_DATA, "the tokenizer's regular expression matches backwards");
        return FJ_OK;
    }
    if (n == PCRE2_ERROR_NOMATCH)
        return FJ_OK;
    char why[160] = "";
    (void)pcre2_get_error_message(n, (PCRE2_UCHAR *)why, sizeof why);
    return fj_fail(err, FJ_ERR_DATA, "the tokenizer's regular expression gives up at byte %zu of %zu: %s", at, text.len,
                   why);
}
