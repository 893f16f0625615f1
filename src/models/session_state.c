/* SPDX-License-Identifier: Apache-2.0
 * What a sequence holds as bytes, and what these depend on: see session.h. */
#include <string.h>

#include "base/hash.h"
#include "models/session_internal.h"

/* ---- the bytes ------------------------------------------------------------------------------------------------------------------------ */

static size_t position_bytes(const fj_cache_layout *c)
{
    return fj_page_bytes(c) / FJ_TILE_ROWS;
}

static size_t recurrent_bytes(const fj_session *s)
{
    return (size_t)fj_state_values(&s->states.shape) * sizeof(float);
}

static unsigned char *recurrent_state(const fj_session *s, int64_t seq)
{
    return s->states.values.data + (size_t)s->states.slots[seq] * recurrent_bytes(s);
}

size_t fj_session_state_bytes(const fj_session *s, int64_t length)
{
    return (size_t)length * position_bytes(&s->cache.layout) + recurrent_bytes(s);
}

/* A run of rows in the cache: those of a page, a layer and a head, of keys or of values. */
typedef struct rows {
    unsigned char *data;
    size_t row_bytes;
} rows;

static int64_t runs_of_page(const fj_cache_layout *c)
{
    return c->n_layers * 2 * c->n_kv_heads;
}

static rows run_of(const fj_session *s, int64_t seq, int64_t page, int64_t i)
{
    const fj_cache_layout *c = &s->cache.layout;
    int64_t head = i % c->n_kv_heads, layer = i / c->n_kv_heads / 2;
    bool is_value = i / c->n_kv_heads % 2;
    int32_t at = s->cache.tables[seq * s->cache.pages_per_seq + page];
    return (rows){ s->cache.data.data + fj_page_at(c, at, layer, head, is_value),
                   fj_cache_row_bytes(is_value ? c->v : c->k, c->d_head) };
}

static int64_t rows_in_page(int64_t length, int64_t page)
{
    return FJ_MIN(FJ_TILE_ROWS, length - page * FJ_TILE_ROWS);
}

void fj_session_state_write(const fj_session *s, int64_t seq, fj_session_sink *sink, void *context)
{
    int64_t length = s->cache.length[seq];
    for (int64_t page = 0; page * FJ_TILE_ROWS < length; page++)
        for (int64_t i = 0; i < runs_of_page(&s->cache.layout); i++) {
            rows r = run_of(s, seq, page, i);
            sink(context, r.data, (size_t)rows_in_page(length, page) * r.row_bytes);
        }
    if (s->states.shape.n_layers)
        sink(context, recurrent_state(s, seq), recurrent_bytes(s));
}

int64_t fj_session_state_read(fj_session *s, int64_t seq, const void *state, int64_t held, int64_t length)
{
    const unsigned char *from = state;
    fj_assert(length <= held && length <= s->s.n_ctx);
    (void)fj_session_truncate(s, seq, 0);
    if (s->states.shape.n_layers && length != held)
        return 0;
    fj_kv_cache_grow(&s->cache, seq, length);
    for (int64_t page = 0; page * FJ_TILE_ROWS < length; page++)
        for (int64_t i = 0; i < runs_of_page(&s->cache.layout); i++) {
            rows r = run_of(s, seq, page, i);
            memcpy(r.data, from, (size_t)rows_in_page(length, page) * r.row_bytes);
            from += (size_t)rows_in_page(held, page) * r.row_bytes;
        }
    if (s->states.shape.n_layers)
        memcpy(recurrent_state(s, seq), from, recurrent_bytes(s));
    return length;
}

/* ---- the identity --------------------------------------------------------------------------------------------------------------------- */

static void add_int(fj_digest *h, int64_t n)
{
    fj_digest_add(h, &n, sizeof n);
}

static void add_text(fj_digest *h, const char *text)
{
    fj_digest_add(h, text, strlen(text) + 1);
}

/* A few values from all over: reading gigabytes would take longer than what the state saves. */
static void add_tensor(fj_digest *h, const fj_tensor *t)
{
    enum { SAMPLES = 4, SAMPLE = 64 };
    add_text(h, t->name);
    add_text(h, t->dtype->name);
    for (int i = 0; i < t->shape.rank; i++)
        add_int(h, t->shape.dim[i]);
    size_t len = FJ_MIN(t->bytes, (size_t)SAMPLE);
    for (size_t i = 0; i < SAMPLES && len; i++)
        fj_digest_add(h, (const unsigned char *)t->data + (t->bytes - len) / (SAMPLES - 1) * i, len);
}

static void add_adapter(fj_digest *h, const fj_adapter *a)
{
    for (int i = 0; i < a->n; i++) {
        const fj_lora *l = &a->items[i];
        add_text(h, l->weight->name);
        fj_digest_add(h, &l->scale, sizeof l->scale);
        for (int is_b = 0; is_b < 2; is_b++) {
            fj_shape shape = fj_lora_shape(l, is_b);
            size_t n = (size_t)(fj_shape_count(&shape) * fj_lora_experts(l));
            add_int(h, (int64_t)n);
            fj_digest_add(h, is_b ? l->b : l->a, n * sizeof(float));
        }
    }
}

static fj_status identify_model(const fj_model *m, const fj_adapter *a, char hex[65], fj_err *err)
{
    const fj_source *source = m->source;
    fj_digest *h = fj_sha256_new();
    fj_str config = { 0 };
    bool ok = h && fj_json_write(source->config, 0, 17, &config) && !config.failed;
    if (ok) {
        fj_digest_add(h, config.data, config.len);
        for (size_t i = 0; i < source->count(source); i++)
            add_tensor(h, source->at(source, i));
        if (a)
            add_adapter(h, a);
        add_int(h, m->hp.n_experts_used);
        if (m->allowed)
            fj_digest_add(h, m->allowed, (size_t)(m->hp.n_layers * m->hp.n_experts));
    }
    char unused[65];
    if (h)
        fj_digest_end(h, ok ? hex : unused);
    fj_str_free(&config);
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the model's identity");
}

fj_status fj_session_identify(const fj_session *s, fj_session_identity *out, fj_err *err)
{
    const fj_model *m = s->m;
    bool is_long = m->rope_long.inverse && (double)s->s.length > m->hp.rope_original;
    fj_str text = { 0 };
    out->k_type = s->cache.layout.k;
    out->v_type = s->cache.layout.v;
    fj_str_printf(&text, "%s %u %d %d", s->run.k->name, s->run.k->cpu, s->s.fast, is_long);
    if (text.failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the model's identity");
    fj_sha256_of(text.data, text.len, out->arithmetic);
    fj_str_free(&text);
    return identify_model(m, s->s.adapter, out->model, err);
}
