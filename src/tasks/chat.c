/* SPDX-License-Identifier: Apache-2.0
 * See chat.h. */
#include "tasks/chat.h"

#include <stdlib.h>
#include <string.h>

struct fj_chat {
    const fj_bundle *bundle;
    fj_template *layout;
    fj_encoder *encoder;
    fj_json *messages;
    char *bos, *eos, *unk, *pad; /* spelled, or NULL */
};

/* A token's spelling for free(), NULL when the tokenizer has none. */
static char *spell(const fj_tokenizer *t, int64_t id)
{
    fj_text token = id >= 0 ? fj_tokenizer_token(t, id) : (fj_text){ 0 };
    return token.len ? strndup(token.data, token.len) : NULL;
}

fj_status fj_chat_new(const fj_bundle *bundle, const char *template_text, fj_chat **out, fj_err *err)
{
    const char *text = template_text ? template_text : bundle->chat_template;
    fj_chat *c = NULL;
    *out = NULL;
    if (!bundle->tokenizer)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: no tokenizer, so no chat", bundle->path);
    if (!text) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: the model has no chat template", bundle->path);
        return fj_hint(err, "-p TEXT completes a text; --chat-template NAME takes a known template");
    }
    c = calloc(1, sizeof *c);
    if (c)
        *c = (fj_chat){ .bundle = bundle, .messages = fj_json_new_array() };
    fj_status st = c && c->messages ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a conversation");
    if (!st)
        st = fj_template_parse(text, strlen(text), &c->layout, err);
    if (!st)
        st = fj_encoder_new(bundle->tokenizer, &c->encoder, err);
    if (st) {
        fj_chat_free(c);
        return st;
    }
    c->bos = spell(bundle->tokenizer, fj_tokenizer_bos(bundle->tokenizer));
    c->eos = spell(bundle->tokenizer, fj_tokenizer_eos(bundle->tokenizer));
    c->unk = spell(bundle->tokenizer, fj_tokenizer_unk(bundle->tokenizer));
    c->pad = spell(bundle->tokenizer, fj_tokenizer_pad(bundle->tokenizer));
    *out = c;
    return FJ_OK;
}

void fj_chat_free(fj_chat *c)
{
    if (!c)
        return;
    fj_template_free(c->layout);
    fj_encoder_free(c->encoder);
    fj_json_free(c->messages);
    free(c->bos);
    free(c->eos);
    free(c->unk);
    free(c->pad);
    free(c);
}

/* ---- messages ------------------------------------------------------------------------------------------------------------------------- */

fj_status fj_chat_add(fj_chat *c, const char *role, const char *text, size_t len, fj_err *err)
{
    fj_json *message = fj_json_new_object();
    bool ok = message && fj_json_set(message, "role", fj_json_new_text(role, strlen(role))) &&
              fj_json_set(message, "content", fj_json_new_text(text, len));
    if (!ok) {
        fj_json_free(message);
        message = NULL;
    }
    return fj_json_add(c->messages, message) ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a message");
}

size_t fj_chat_count(const fj_chat *c)
{
    return fj_json_len(c->messages);
}

const char *fj_chat_role(const fj_chat *c, size_t index)
{
    return fj_json_string(fj_json_get(fj_json_at(c->messages, index), "role"), "");
}

fj_text fj_chat_content(const fj_chat *c, size_t index)
{
    return fj_json_text(fj_json_get(fj_json_at(c->messages, index), "content"));
}

fj_status fj_chat_remove(fj_chat *c, size_t first, size_t n, fj_err *err)
{
    fj_json *left = fj_json_new_array();
    bool ok = left != NULL;
    for (size_t i = 0; ok && i < fj_chat_count(c); i++)
        if (i < first || i >= first + n)
            ok = fj_json_add(left, fj_json_share(fj_json_at(c->messages, i)));
    if (!ok) {
        fj_json_free(left);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the messages");
    }
    fj_json_free(c->messages);
    c->messages = left;
    return FJ_OK;
}

const fj_json *fj_chat_messages(const fj_chat *c)
{
    return c->messages;
}

/* ---- ids ------------------------------------------------------------------------------------------------------------------------------ */

fj_status fj_chat_encode(fj_chat *c, fj_encoding *out, fj_err *err)
{
    fj_rendering text = { 0 };
    fj_template_input input = {
        .messages = c->messages,
        .bos_token = c->bos,
        .eos_token = c->eos,
        .unk_token = c->unk,
        .pad_token = c->pad,
        .add_generation_prompt = true,
    };
    out->n = 0;
    fj_status st = fj_template_render(c->layout, &input, &text, err);
    if (!st)
        st = fj_template_encode(&text, c->encoder, out, err);
    fj_rendering_free(&text);
    return st;
}
