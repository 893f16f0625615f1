/* SPDX-License-Identifier: Apache-2.0
 * Messages to tokens and labels. The trained part of a conversation is found by rendering: what the template writes for the
 * messages before an answer (with the generation prompt) is where the answer starts, and what it writes up to and with it is
 * where the answer ends. So the rule is the model's own template, and what is trained is exactly what the model will be asked
 * to write. A template that writes history differently from the present (dropping thoughts, say) is followed by the spans that
 * the renderer reports for each message instead.
 * Source: training sheet 1.1; LLaMA-Factory data/processor/supervised.py for what the options mean. */

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "data/data_internal.h"

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static fj_status token_text(const fj_tokenizer *t, int64_t id, fj_arena *arena, char **out, fj_err *err)
{
    *out = NULL;
    if (id < 0)
        return FJ_OK;
    fj_text text = fj_tokenizer_token(t, id);
    *out = fj_arena_text(arena, text.data ? text.data : "", text.len);
    return *out ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a token's text");
}

static fj_status choose_template(const fj_data_config *config, fj_tokenizing *out, fj_err *err)
{
    const char *const *names;
    size_t n = 0;
    out->chat_text = config->chat_template;
    if (config->template_name) {
        out->chat_text = fj_chat_template(config->template_name, &names);
        while (names[n])
            n++;
        if (!out->chat_text) {
            const char *nearest = fj_nearest(config->template_name, names, n);
            (void)fj_fail(err, FJ_ERR_USAGE, "template '%s' is not known", config->template_name);
            return fj_hint(err, "did you mean '%s'? Without `template` the model's own is used",
                           nearest ? nearest : "chatml");
        }
    }
    if (!out->chat_text)
        return FJ_OK;
    fj_status st = fj_template_parse(out->chat_text, strlen(out->chat_text), &out->chat, err);
    return st;
}

fj_status fj_tokenizing_open(const fj_data_config *config, fj_arena *arena, fj_tokenizing *out, fj_err *err)
{
    const fj_tokenizer *t = config->tokenizer;
    fj_status st;
    *out = (fj_tokenizing){ .tokenizer = t,
                            .default_system = config->default_system,
                            .train_on_prompt = config->train_on_prompt,
                            .mask_history = config->mask_history,
                            .n_vocab = config->n_vocab };
    out->is_pretraining = config->stage && strcmp(config->stage, "pt") == 0;
    if (config->stage && !out->is_pretraining && strcmp(config->stage, "sft") != 0)
        return fj_fail(err, FJ_ERR_USAGE, "stage '%s' has no data of this kind, expected sft or pt", config->stage);
    if (!t)
        return FJ_OK;
    if (!out->n_vocab)
        out->n_vocab = fj_tokenizer_size(t);
    st = fj_encoder_new(t, &out->encoder, err);
    if (!st)
        st = token_text(t, fj_tokenizer_bos(t), arena, &out->bos, err);
    if (!st)
        st = token_text(t, fj_tokenizer_eos(t), arena, &out->eos, err);
    if (!st)
        st = token_text(t, fj_tokenizer_unk(t), arena, &out->unk, err);
    if (!st)
        st = token_text(t, fj_tokenizer_pad(t), arena, &out->pad, err);
    return st ? st : choose_template(config, out, err);
}

void fj_tokenizing_close(fj_tokenizing *t)
{
    fj_encoder_free(t->encoder);
    fj_template_free(t->chat);
    t->encoder = NULL;
    t->chat = NULL;
}

/* ---- text --------------------------------------------------------------------------------------------------------- */

/* A document of stage pt: its special tokens (bos where the tokenizer adds one), its text, and the end-of-text token. */
fj_status fj_tokenize_text(fj_tokenizing *t, fj_text text, fj_tokens *out, fj_err *err)
{
    fj_encoding e = { 0 };
    int64_t eos = t->tokenizer ? fj_tokenizer_eos(t->tokenizer) : -1;
    if (!t->tokenizer) {
        (void)fj_fail(err, FJ_ERR_DATA, "a text, but the model has no tokenizer");
        return fj_hint(err, "without tokenizer files only rows of input_ids and labels can be used");
    }
    fj_status st = fj_encode(t->encoder, text.data, text.len, FJ_ENCODE_SPECIAL, &e, err);
    if (!st && e.n > FJ_DATA_MAX_TOKENS)
        st = fj_fail(err, FJ_ERR_DATA, "%zu tokens, at most %d are taken from one row", e.n, FJ_DATA_MAX_TOKENS);
    for (size_t i = 0; !st && i < e.n; i++)
        if (!fj_tokens_add(out, e.ids[i], e.ids[i], 0))
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a row");
    bool needs_end = !st && eos >= 0 && (out->n == 0 || out->ids[out->n - 1] != eos);
    if (needs_end && !fj_tokens_add(out, (int32_t)eos, (int32_t)eos, 0))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a row");
    fj_encoding_free(&e);
    return st;
}

/* ---- chat --------------------------------------------------------------------------------------------------------- */

typedef struct range {
    size_t from, to; /* bytes of the rendered text, later code points */
    size_t end;      /* to, and the white space that the template writes behind it */
    bool is_trained;
} range;

typedef struct chat {
    fj_tokenizing *t;
    const fj_json *messages;
    fj_json *extra;
    fj_rendering whole;
    range *answers; /* one a message; empty where there is no answer */
    fj_err *err;
} chat;

static fj_status render(chat *c, const fj_json *messages, bool generation_prompt, fj_rendering *out, fj_err *err)
{
    fj_template_input input = { .messages = messages,
                                .extra = c->extra,
                                .bos_token = c->t->bos,
                                .eos_token = c->t->eos,
                                .unk_token = c->t->unk,
                                .pad_token = c->t->pad,
                                .add_generation_prompt = generation_prompt };
    fj_status st = fj_template_render(c->t->chat, &input, out, err);
    if (st == FJ_ERR_FORMAT && strncmp(err->message, "chat template", 13) == 0)
        (void)fj_hint(err,
                      "the template does not suit this conversation; `template: chatml` or another built-in one may");
    return st;
}

static size_t common(const fj_rendering *a, const fj_rendering *b)
{
    size_t n = FJ_MIN(a->text.len, b->text.len), i = 0;
    while (i < n && a->text.data[i] == b->text.data[i])
        i++;
    return i;
}

/* Where the last byte that was written for a message ends; SIZE_MAX when the renderer saw none. */
static size_t end_by_spans(const chat *c, int message)
{
    for (size_t i = c->whole.n_spans; i-- > 0;)
        if (c->whole.spans[i].message == message)
            return c->whole.spans[i].start + c->whole.spans[i].len;
    return SIZE_MAX;
}

/* Where answer i starts and ends, by what the template writes for the messages before and up to it. False: it writes history
 * in another way. Where the template writes something behind the last message, the two texts may agree a few bytes too far
 * ('<' of the next tag): the spans say where the message ends. */
static bool range_by_prefix(chat *c, fj_json *before, const fj_json *message, int index, range *out)
{
    fj_rendering head = { 0 }, upto = { 0 };
    fj_err ignored = { 0 };
    bool ok = !render(c, before, true, &head, &ignored);
    ok = fj_json_add(before, fj_json_share((fj_json *)message)) && ok;
    ok = ok && !render(c, before, false, &upto, &ignored);
    if (ok) {
        out->from = head.text.len;
        out->to = common(&upto, &c->whole);
        if (out->to < upto.text.len)
            out->to = FJ_MIN(out->to, end_by_spans(c, index));
        ok = common(&head, &c->whole) == head.text.len && out->to > out->from;
    }
    fj_rendering_free(&head);
    fj_rendering_free(&upto);
    return ok;
}

/* By the spans: from the first byte that came from the message to the last byte that was written for it. */
static bool range_by_spans(const chat *c, int message, range *out)
{
    bool found = false;
    for (size_t i = 0; i < c->whole.n_spans; i++) {
        const fj_span *s = &c->whole.spans[i];
        if (s->message != message)
            continue;
        if (s->from_message && !found) {
            out->from = s->start;
            found = true;
        }
        out->to = s->start + s->len;
    }
    return found && out->to > out->from;
}

static bool is_message_byte(const fj_rendering *r, size_t at)
{
    for (size_t i = r->n_spans; i-- > 0;)
        if (r->spans[i].start <= at)
            return r->spans[i].from_message;
    return false;
}

/* White space that the template writes behind the end of a turn is not for the model to learn. */
static void drop_layout(const fj_rendering *r, range *a)
{
    a->end = a->to;
    while (a->to > a->from && strchr(" \t\r\n", r->text.data[a->to - 1]) && !is_message_byte(r, a->to - 1))
        a->to--;
}

static bool is_answer(const fj_json *message)
{
    return strcmp(fj_json_string(fj_json_get(message, "role"), ""), "assistant") == 0;
}

/* Says nothing: an answer whose end-of-turn token alone would be trained teaches to be silent. */
static bool is_empty(const fj_json *message)
{
    fj_text content = fj_json_text(fj_json_get(message, "content"));
    return content.len == 0 && !fj_json_get(message, "tool_calls");
}

/* Answer i; before holds the messages in front of it. One that is not to be trained may stay unfound: only cutting asks for it. */
static fj_status find_answer(chat *c, fj_json *before, size_t i, bool is_last)
{
    const fj_json *m = fj_json_at(c->messages, i);
    range *a = &c->answers[i];
    a->is_trained = !is_empty(m) && (is_last || !c->t->mask_history);
    bool found = range_by_prefix(c, before, m, (int)i, a) || range_by_spans(c, (int)i, a);
    if (!found && a->is_trained && !c->t->train_on_prompt) {
        (void)fj_fail(c->err, FJ_ERR_DATA, "what the chat template writes for message %zu cannot be told apart", i + 1);
        return fj_hint(c->err, "mask_history: true trains the last answer alone; a built-in `template` may do, too");
    }
    if (!found)
        *a = (range){ 0 };
    drop_layout(&c->whole, a);
    return FJ_OK;
}

static fj_status find_answers(chat *c)
{
    size_t n = fj_json_len(c->messages), last = 0;
    fj_json *before = fj_json_new_array();
    c->answers = calloc(n + 1, sizeof *c->answers);
    fj_status st = before && c->answers ? FJ_OK : fj_fail(c->err, FJ_ERR_MEMORY, "no memory for a conversation");
    for (size_t i = 0; i < n; i++)
        if (is_answer(fj_json_at(c->messages, i)))
            last = i;
    for (size_t i = 0; !st && i < n; i++) {
        fj_json *m = fj_json_at(c->messages, i);
        if (is_answer(m))
            st = find_answer(c, before, i, i == last);
        if (!st && fj_json_len(before) == i && !fj_json_add(before, fj_json_share(m)))
            st = fj_fail(c->err, FJ_ERR_MEMORY, "no memory for a conversation");
    }
    fj_json_free(before);
    return st;
}

/* Byte ranges become code point ranges, which is what the encoder's offsets count. */
static void to_code_points(const chat *c, size_t n)
{
    size_t at = 0, points = 0;
    for (size_t i = 0; i < n; i++) {
        range *a = &c->answers[i];
        size_t *border[] = { &a->from, &a->to, &a->end };
        if (a->to <= a->from)
            continue;
        for (size_t k = 0; k < FJ_LEN(border); k++) {
            if (*border[k] < at)
                at = points = 0; /* ranges rise; this is for a template that turns messages around */
            for (; at < *border[k]; at++)
                points += ((unsigned char)c->whole.text.data[at] & 0xC0) != 0x80;
            *border[k] = points;
        }
    }
}

/* A token belongs to a text when it holds a part of it and does not reach beyond it. */
static bool lies_in(int64_t start, int64_t end, size_t from, size_t to)
{
    int64_t first = (int64_t)from, last = (int64_t)to;
    return first < last && end <= last && (end > first || (start == end && start >= first && start < last));
}

/* Adds a token with its label; in_answer follows the turns, whatever of them is trained. */
static bool add_token(const chat *c, size_t n, int32_t id, int64_t start, int64_t end, fj_tokens *out)
{
    bool is_trained = c->t->train_on_prompt, in_answer = false;
    for (size_t i = 0; i < n; i++) {
        const range *a = &c->answers[i];
        is_trained |= a->is_trained && lies_in(start, end, a->from, a->to);
        in_answer |= lies_in(start, end, a->from, a->end);
    }
    if (!fj_tokens_add(out, id, is_trained ? id : FJ_LABEL_NONE, 0))
        return false;
    out->in_answer[out->n - 1] = in_answer;
    return true;
}

static fj_status encode_chat(chat *c, fj_tokens *out)
{
    fj_encoding e = { 0 };
    size_t n = fj_json_len(c->messages);
    fj_status st = fj_template_encode(&c->whole, c->t->encoder, &e, c->err);
    if (!st && e.n > FJ_DATA_MAX_TOKENS)
        st = fj_fail(c->err, FJ_ERR_DATA, "%zu tokens, at most %d are taken from one row", e.n, FJ_DATA_MAX_TOKENS);
    to_code_points(c, n);
    for (size_t i = 0; !st && i < e.n; i++)
        if (!add_token(c, n, e.ids[i], e.starts[i], e.ends[i], out))
            st = fj_fail(c->err, FJ_ERR_MEMORY, "no memory for a row");
    fj_encoding_free(&e);
    return st;
}

/* The conversation as the template gets it: with the default system message, and with function calls as text where the template
 * does not know of calls. A new array. */
static fj_json *prepared(const fj_tokenizing *t, const fj_json *messages)
{
    fj_json *out = fj_json_new_array();
    const char *first = fj_json_string(fj_json_get(fj_json_at(messages, 0), "role"), "");
    bool calls = strstr(t->chat_text, "tool_calls") != NULL, ok = out != NULL;
    if (ok && t->default_system && strcmp(first, "system") != 0) {
        fj_json *system = fj_json_new_object();
        ok = system && fj_json_set(system, "role", fj_json_new_text("system", 6)) &&
             fj_json_set(system, "content", fj_json_new_text(t->default_system, strlen(t->default_system))) &&
             fj_json_add(out, system);
    }
    for (size_t i = 0; ok && i < fj_json_len(messages); i++) {
        fj_json *m = fj_json_at(messages, i);
        fj_json *text = fj_json_get(m, "call_text");
        if (text && !calls)
            ok = fj_json_set(m, "content", fj_json_share(text));
        ok = ok && fj_json_add(out, fj_json_share(m));
    }
    if (ok)
        return out;
    fj_json_free(out);
    return NULL;
}

static fj_status tools_have_a_place(const fj_tokenizing *t, const fj_json *tools, fj_err *err)
{
    if (!tools || fj_json_len(tools) == 0 || strstr(t->chat_text, "tools"))
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_DATA, "the row has tools, but the chat template has no place for them");
    return fj_hint(err, "use a model whose template takes tools, or leave the column out in dataset_info.json");
}

fj_status fj_tokenize_chat(fj_tokenizing *t, const fj_json *messages, const fj_json *tools, fj_tokens *out, fj_err *err)
{
    chat c = { .t = t, .err = err };
    if (!t->tokenizer || !t->chat) {
        (void)fj_fail(err, FJ_ERR_DATA, "a conversation, but the model has no %s",
                      t->tokenizer ? "chat template" : "tokenizer");
        return fj_hint(err, t->tokenizer ? "choose one: template: chatml"
                                         : "without tokenizer files only rows of input_ids and labels can be used");
    }
    fj_status st = tools_have_a_place(t, tools, err);
    if (st)
        return st;
    fj_json *own = prepared(t, messages);
    c.messages = own;
    c.extra = fj_json_new_object();
    if (!own || !c.extra || (tools && !fj_json_set(c.extra, "tools", fj_json_share((fj_json *)tools))))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a conversation");
    if (!st)
        st = render(&c, own, false, &c.whole, err);
    if (!st)
        st = find_answers(&c);
    if (!st)
        st = encode_chat(&c, out);
    fj_rendering_free(&c.whole);
    free(c.answers);
    fj_json_free(c.extra);
    fj_json_free(own);
    return st;
}
