/* SPDX-License-Identifier: Apache-2.0
 * forja inspect routing: which expert takes which token of a text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "tasks/routing.h"

enum { MAX_TEXT = 64 << 20, MOST_PIECES = 1000, MOST_SHARES = 8 };

typedef struct settings {
    fj_common common;
    const char *model, *prompt, *file, *ids, *adapter;
    int64_t n_pieces, layer;
    fj_expert_settings experts;
} settings;

#define AT(member) offsetof(settings, member)

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, AT(model), NULL, "folder or .gguf file", 0, 0, 0 },
    { "prompt", "TEXT", FJ_OPT_TEXT, AT(prompt), NULL, "the text, as it stands", 0, 0, 'p' },
    { "file", "FILE", FJ_OPT_TEXT, AT(file), NULL, "a file with that text", 0, 0, 'f' },
    { "ids", "1,2,3", FJ_OPT_TEXT, AT(ids), NULL, "token ids in place of a text", 0, 0, 0 },
    { "pieces", "N", FJ_OPT_INT, AT(n_pieces), "5", "most frequent pieces to show of each expert; 0: none", 0,
      MOST_PIECES, 0 },
    { "layer", "N", FJ_OPT_INT, AT(layer), NULL, "this layer alone", 0, FJ_MOST_LAYERS, 0 },
    { "adapter", "DIR", FJ_OPT_TEXT, AT(adapter), NULL, "a LoRA adapter in PEFT's form, or hf:org/name", 0, 0, 0 },
    { 0 },
};

static const fj_option_group groups[] = { { "experts", fj_expert_options, AT(experts) }, { 0 } };

typedef struct work {
    const fj_call *call;
    const settings *s;
    fj_opened opened;
    int32_t *ids;
    int64_t n;
    fj_arena *arena;
    fj_routing_report report;
} work;

/* ---- the text ------------------------------------------------------------------------------------------------------------------------- */

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for the token ids");
}

static fj_status encode(work *w, fj_text text, fj_err *err)
{
    const fj_tokenizer *tokenizer = w->opened.bundle->tokenizer;
    fj_encoder *encoder = NULL;
    fj_encoding e = { 0 };
    if (!tokenizer) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: no tokenizer", w->s->model);
        return fj_hint(err, "--ids 1,2,3 gives the text as token ids");
    }
    fj_status st = fj_encoder_new(tokenizer, &encoder, err);
    if (!st)
        st = fj_encode(encoder, text.data, text.len, FJ_ENCODE_SPECIAL, &e, err);
    if (!st) {
        w->n = (int64_t)e.n;
        w->ids = fj_arena_array(w->arena, e.n + 1, sizeof *w->ids);
        st = w->ids ? FJ_OK : no_memory(err);
    }
    if (!st && e.n)
        memcpy(w->ids, e.ids, e.n * sizeof *e.ids);
    fj_encoding_free(&e);
    fj_encoder_free(encoder);
    return st;
}

static fj_status read_tokens(work *w, fj_err *err)
{
    const settings *s = w->s;
    fj_str text = { 0 };
    fj_status st = FJ_OK;
    if (s->ids)
        return fj_parse_ids(s->ids, w->arena, &w->ids, &w->n, err);
    if (s->prompt)
        return encode(w, fj_text_of(s->prompt), err);
    st = fj_file_read(s->file, MAX_TEXT, &text, err);
    if (!st)
        st = encode(w, (fj_text){ text.data, text.len }, err);
    fj_str_free(&text);
    return st;
}

/* ---- printing ------------------------------------------------------------------------------------------------------------------------- */

/* A token as the vocabulary spells it, or its number; in quotes where it would not show. */
static void add_piece(const work *w, int32_t id, fj_str *out)
{
    const fj_tokenizer *t = w->opened.bundle->tokenizer;
    fj_text piece = t && id < fj_tokenizer_size(t) ? fj_tokenizer_token(t, id) : (fj_text){ 0 };
    bool is_plain = piece.len && fj_utf8_valid(piece.data, piece.len);
    for (size_t i = 0; i < piece.len; i++)
        is_plain &= (unsigned char)piece.data[i] > ' ' && piece.data[i] != 0x7f;
    if (is_plain)
        fj_str_add(out, piece.data, piece.len);
    else
        fj_str_printf(out, "#%d", id);
}

static const char *name_of(const fj_routed_layer *l)
{
    return l->router == &fj_role_attn_gate_inp ? "attention" : "mlp";
}

/* "3 41 %  0 20 %": the experts by the share of tokens that took them. */
static void add_shares(const work *w, const fj_routed_layer *l, fj_str *out)
{
    int64_t last = -1;
    for (int i = 0; i < MOST_SHARES; i++) {
        int64_t best = -1;
        for (int64_t e = 0; e < w->report.n_experts; e++) {
            bool is_after = last < 0 || l->tokens[e] < l->tokens[last] || (l->tokens[e] == l->tokens[last] && e > last);
            if (is_after && l->tokens[e] && (best < 0 || l->tokens[e] > l->tokens[best]))
                best = e;
        }
        if (best < 0)
            return;
        fj_str_printf(out, "%s%lld: %.0f %%", i ? "  " : "", (long long)best,
                      100.0 * (double)l->tokens[best] / (double)w->n);
        last = best;
    }
}

static void print_layers(const work *w, fj_str *out)
{
    static const char *const titles[] = { "layer",     "router", "of",          "evenness",
                                          "imbalance", "unused", "tokens took", NULL };
    fj_table t = { .titles = titles, .align = "rlrrrrl" };
    for (int i = 0; i < w->report.n_layers; i++) {
        const fj_routed_layer *l = &w->report.layers[i];
        fj_str shares = { 0 };
        int64_t unused = 0;
        for (int64_t e = 0; e < w->report.n_experts; e++)
            unused += l->tokens[e] == 0;
        add_shares(w, l, &shares);
        fj_table_add(&t, "%d", l->layer);
        fj_table_add(&t, "%s", name_of(l));
        fj_table_add(&t, "%lld/%lld", (long long)l->k, (long long)w->report.n_experts);
        fj_table_add(&t, "%.3f", l->evenness);
        fj_table_add(&t, "%.2f", l->imbalance);
        fj_table_add(&t, "%lld", (long long)unused);
        fj_table_add(&t, "%s", shares.data ? shares.data : "");
        fj_str_free(&shares);
    }
    fj_table_print(&t, fj_wants_color(1), out);
    fj_table_free(&t);
}

static void print_pieces(const work *w, fj_str *out)
{
    static const char *const titles[] = { "layer", "router", "expert", "tokens", "mean weight", "most often", NULL };
    fj_table t = { .titles = titles, .align = "rlrrrl" };
    fj_routed_id top[MOST_PIECES];
    for (int i = 0; i < w->report.n_layers; i++)
        for (int64_t e = 0; e < w->report.n_experts; e++) {
            const fj_routed_layer *l = &w->report.layers[i];
            fj_str text = { 0 };
            size_t n = fj_routing_ids(&w->report, l, e, w->ids, top, (size_t)w->s->n_pieces);
            for (size_t k = 0; k < n; k++) {
                fj_str_add_text(&text, k ? "  " : "");
                add_piece(w, top[k].id, &text);
                if (top[k].n > 1)
                    fj_str_printf(&text, " %lld", (long long)top[k].n);
            }
            fj_table_add(&t, "%d", l->layer);
            fj_table_add(&t, "%s", name_of(l));
            fj_table_add(&t, "%lld", (long long)e);
            fj_table_add(&t, "%lld", (long long)l->tokens[e]);
            fj_table_add(&t, "%.3f", l->weighs[e]);
            fj_table_add(&t, "%s", text.data ? text.data : "");
            fj_str_free(&text);
        }
    fj_str_add_char(out, '\n');
    fj_table_print(&t, fj_wants_color(1), out);
    fj_table_free(&t);
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------------------------- */

static fj_json *mean_weights(const work *w, const fj_routed_layer *l)
{
    fj_json *v = fj_json_new_array();
    bool ok = v != NULL;
    for (int64_t e = 0; ok && e < w->report.n_experts; e++)
        ok = fj_json_add(v, fj_json_new_real(l->weighs[e]));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

/* Of each token its k experts, or their weights. */
static fj_json *by_token(const work *w, const fj_routed_layer *l, bool is_weights)
{
    fj_json *all = fj_json_new_array(), *one = NULL;
    bool ok = all != NULL;
    for (int64_t i = 0; ok && i < w->n * l->k; i++) {
        if (i % l->k == 0)
            one = fj_json_new_array();
        ok = fj_json_add(one, is_weights ? fj_json_new_real(l->weights[i]) : fj_json_new_int(l->chosen[i]));
        if (!ok)
            fj_json_free(one);
        else if ((i + 1) % l->k == 0)
            ok = fj_json_add(all, one);
    }
    if (ok)
        return all;
    fj_json_free(all);
    return NULL;
}

static fj_json *pieces_json(const work *w, const fj_routed_layer *l)
{
    fj_json *all = fj_json_new_array();
    fj_routed_id top[MOST_PIECES];
    bool ok = all != NULL;
    for (int64_t e = 0; ok && e < w->report.n_experts; e++) {
        fj_json *list = fj_json_new_array();
        size_t n = fj_routing_ids(&w->report, l, e, w->ids, top, (size_t)w->s->n_pieces);
        bool is_good = list != NULL;
        for (size_t k = 0; is_good && k < n; k++) {
            fj_json *one = fj_json_new_object();
            fj_str text = { 0 };
            add_piece(w, top[k].id, &text);
            is_good = one && fj_json_set(one, "id", fj_json_new_int(top[k].id)) &&
                      fj_json_set(one, "piece", fj_json_new_text(text.data, text.len)) &&
                      fj_json_set(one, "tokens", fj_json_new_int(top[k].n));
            fj_str_free(&text);
            is_good = fj_json_add(list, is_good ? fj_json_share(one) : NULL);
            fj_json_free(one);
        }
        ok = fj_json_add(all, is_good ? fj_json_share(list) : NULL);
        fj_json_free(list);
    }
    if (ok)
        return all;
    fj_json_free(all);
    return NULL;
}

static fj_json *layer_json(const work *w, const fj_routed_layer *l)
{
    fj_json *v = fj_json_new_object(), *tokens = fj_json_new_array();
    bool ok = v && tokens;
    for (int64_t e = 0; ok && e < w->report.n_experts; e++)
        ok = fj_json_add(tokens, fj_json_new_int(l->tokens[e]));
    ok = ok && fj_json_set(v, "layer", fj_json_new_int(l->layer)) &&
         fj_json_set(v, "router", fj_json_new_text(name_of(l), strlen(name_of(l)))) &&
         fj_json_set(v, "evenness", fj_json_new_real(l->evenness)) &&
         fj_json_set(v, "imbalance", fj_json_new_real(l->imbalance)) &&
         fj_json_set(v, "tokens", fj_json_share(tokens)) && fj_json_set(v, "mean_weight", mean_weights(w, l)) &&
         fj_json_set(v, "pieces", pieces_json(w, l)) && fj_json_set(v, "experts", by_token(w, l, false)) &&
         fj_json_set(v, "weights", by_token(w, l, true));
    fj_json_free(tokens);
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

static fj_status print_json(const work *w, fj_err *err)
{
    fj_json *v = fj_json_new_object(), *layers = fj_json_new_array();
    bool ok = v && layers;
    for (int i = 0; ok && i < w->report.n_layers; i++)
        ok = fj_json_add(layers, layer_json(w, &w->report.layers[i]));
    ok = ok && fj_json_set(v, "ids", fj_json_of_ids(w->ids, (size_t)w->n)) &&
         fj_json_set(v, "n_experts", fj_json_new_int(w->report.n_experts)) &&
         fj_json_set(v, "layers", fj_json_share(layers));
    fj_json_free(layers);
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------------- */

/* --layer: the others leave the report. */
static fj_status keep_layer(work *w, fj_err *err)
{
    int kept = 0;
    for (int i = 0; i < w->report.n_layers; i++)
        if (w->s->layer == FJ_NOT_GIVEN || w->report.layers[i].layer == w->s->layer)
            w->report.layers[kept++] = w->report.layers[i];
    w->report.n_layers = kept;
    return kept ? FJ_OK
                : fj_fail(err, FJ_ERR_USAGE, "--layer: layer %lld has no experts; the model has %lld layers",
                          (long long)w->s->layer, (long long)w->opened.model->hp.n_layers);
}

static fj_status inspect(work *w, fj_err *err)
{
    const settings *s = w->s;
    const fj_runtime *rt = w->call->rt;
    if ((s->prompt != NULL) + (s->file != NULL) + (s->ids != NULL) != 1)
        return fj_fail(err, FJ_ERR_USAGE, "inspect routing: give one of --prompt, --file and --ids");
    w->arena = fj_arena_new();
    if (!w->arena)
        return no_memory(err);
    fj_status st = fj_opened_open(s->model, s->adapter, FJ_OPEN_ALL, w->call->rt->pool, &w->opened, err);
    if (!st)
        st = fj_choose_experts(&s->experts, w->opened.model, err);
    if (!st)
        st = read_tokens(w, err);
    if (!st)
        st = fj_routing_count(w->opened.model, w->opened.adapter, w->ids, w->n, rt->pool, &rt->kernels, rt->cancel,
                              &w->report, err);
    if (!st)
        st = keep_layer(w, err);
    if (st || s->common.json)
        return st ? st : print_json(w, err);
    fj_str out = { 0 };
    print_layers(w, &out);
    if (s->n_pieces)
        print_pieces(w, &out);
    (void)printf("%s: %lld tokens\n%s", s->model, (long long)w->n, out.data ? out.data : "");
    fj_str_free(&out);
    return FJ_OK;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    work w = { .call = call, .s = call->settings };
    fj_status st = inspect(&w, err);
    fj_routing_close(&w.report);
    fj_opened_close(&w.opened);
    fj_arena_free(w.arena);
    return st;
}

const fj_command fj_command_inspect_routing = {
    .name = "inspect routing",
    .summary = "Which expert of a mixture takes which token of a text.",
    .about = "Of each router: how evenly its experts are used (1: all alike), tokens of the most used expert over the "
             "mean, and the\n"
             "share of tokens that each took; then of each expert its tokens and their mean weight. --json has each "
             "token's choice.",
    .options = options,
    .groups = groups,
    .settings_size = sizeof(settings),
    .run = run,
};
