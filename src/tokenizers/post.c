/* SPDX-License-Identifier: Apache-2.0
 * Post-processors: ids around the text's, and offsets moved behind blanks. Source: tokenizers, processors/template.rs, bert.rs,
 * roberta.rs, pre_tokenizers/byte_level.rs (process_offsets). */
#include <string.h>

#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

static fj_status add_id(const fj_tokenizer *t, int64_t id, int32_t *list, size_t *n, size_t cap, fj_err *err)
{
    if (id < 0 || id >= t->n_tokens)
        return fj_fail(err, FJ_ERR_FORMAT, "id %lld is not in the vocabulary", (long long)id);
    if (*n == cap)
        return fj_fail(err, FJ_ERR_FORMAT, "more than %zu ids are added", cap);
    list[(*n)++] = (int32_t)id;
    return FJ_OK;
}

static fj_status add_trim(fj_tokenizer *t, const fj_json *spec, fj_err *err)
{
    fj_post *p = &t->post;
    if (!fj_json_bool(fj_json_get(spec, "trim_offsets"), true))
        return FJ_OK;
    if (p->n_trims == FJ_LEN(p->keeps_first_blank))
        return fj_fail(err, FJ_ERR_FORMAT, "more than %zu processors", FJ_LEN(p->keeps_first_blank));
    p->keeps_first_blank[p->n_trims++] = fj_json_bool(fj_json_get(spec, "add_prefix_space"), true);
    return FJ_OK;
}

static fj_status open_byte_level(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)out;
    return add_trim(t, spec, err);
}

/* ["[CLS]", 101] */
static fj_status open_bert(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    fj_post *p = &t->post;
    int64_t cls = fj_json_int(fj_json_at(fj_json_get(spec, "cls"), 1), -1);
    int64_t sep = fj_json_int(fj_json_at(fj_json_get(spec, "sep"), 1), -1);
    (void)out;
    fj_status st = add_id(t, cls, p->before, &p->n_before, FJ_LEN(p->before), err);
    if (!st) { /* a later processor stands further out */
        memmove(p->before + 1, p->before, (p->n_before - 1) * sizeof *p->before);
        p->before[0] = (int32_t)cls;
    }
    return st ? st : add_id(t, sep, p->after, &p->n_after, FJ_LEN(p->after), err);
}

static fj_status open_roberta(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    fj_status st = add_trim(t, spec, err);
    return st ? st : open_bert(t, spec, out, err);
}

/* The ids of a template's special token. */
static fj_status add_special(fj_tokenizer *t, const fj_json *spec, const fj_json *item, bool is_after, fj_err *err)
{
    fj_post *p = &t->post;
    const char *name = fj_json_string(fj_json_get(item, "id"), "");
    const fj_json *ids = fj_json_get(fj_json_get(fj_json_get(spec, "special_tokens"), name), "ids");
    fj_status st = FJ_OK;
    if (!fj_json_is_array(ids))
        return fj_fail(err, FJ_ERR_FORMAT, "special token '%.100s' has no ids", name);
    for (size_t i = 0; !st && i < fj_json_len(ids); i++) {
        int64_t id = fj_json_int(fj_json_at(ids, i), -1);
        st = is_after ? add_id(t, id, p->after, &p->n_after, FJ_LEN(p->after), err)
                      : add_id(t, id, p->before, &p->n_before, FJ_LEN(p->before), err);
    }
    return st;
}

static fj_status open_template(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    const fj_json *single = fj_json_get(spec, "single");
    fj_post *p = &t->post;
    int32_t inner[FJ_LEN(p->before)];
    size_t n_inner = p->n_before, n_texts = 0;
    fj_status st = FJ_OK;
    (void)out;
    memcpy(inner, p->before, sizeof inner);
    p->n_before = 0;
    for (size_t i = 0; !st && i < fj_json_len(single); i++) {
        const fj_json *item = fj_json_at(single, i), *special = fj_json_get(item, "SpecialToken");
        if (special) {
            st = add_special(t, spec, special, n_texts > 0, err);
        } else if (fj_text_is(fj_json_text(fj_json_get(fj_json_get(item, "Sequence"), "id")), "A")) {
            n_texts++;
        } else {
            st = fj_fail(err, FJ_ERR_FORMAT, "item %zu of \"single\" is neither a special token nor sequence A", i);
        }
    }
    if (!st && n_texts != 1)
        st = fj_fail(err, FJ_ERR_FORMAT, "\"single\" has the text %zu times", n_texts);
    for (size_t i = 0; !st && i < n_inner; i++)
        st = add_id(t, inner[i], p->before, &p->n_before, FJ_LEN(p->before), err);
    return st;
}

const fj_part fj_post_bert = { .name = "BertProcessing", .open = open_bert };
const fj_part fj_post_byte_level = { .name = "ByteLevel", .open = open_byte_level };
const fj_part fj_post_roberta = { .name = "RobertaProcessing", .open = open_roberta };
const fj_part fj_post_template = { .name = "TemplateProcessing", .open = open_template };
