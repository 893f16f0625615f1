/* SPDX-License-Identifier: Apache-2.0
 * See foreign.h. */
#include "formats/foreign.h"

#include <string.h>

#include "formats/index.h"

static const fj_foreign_reader *const readers[] = { &fj_foreign_awq, &fj_foreign_bitsandbytes, &fj_foreign_gptq };

typedef struct foreign {
    fj_source source;
    fj_source *inner;
    fj_arena *arena;
    fj_index index;
    const fj_foreign_weight **weights; /* of each tensor shown; NULL: the inner source's own */
} foreign;

static const foreign *self(const fj_source *s)
{
    return (const foreign *)(const void *)s;
}

static size_t count(const fj_source *s)
{
    return self(s)->index.n;
}

static const fj_tensor *at(const fj_source *s, size_t i)
{
    return &self(s)->index.tensors[i];
}

static const fj_tensor *find(const fj_source *s, const char *name)
{
    return fj_index_find(&self(s)->index, name);
}

static const fj_foreign_weight *weight_of(const fj_source *s, const fj_tensor *t)
{
    return self(s)->weights[t - self(s)->index.tensors];
}

/* The parts of a weight that is made; anything else lies where it is shown. */
static void tell(const fj_source *s, const fj_tensor *t, void (*what)(const fj_source *inner, const fj_tensor *part))
{
    const fj_source *inner = self(s)->inner;
    const fj_foreign_weight *w = t->data ? NULL : weight_of(s, t);
    for (int i = 0; w && i < FJ_FOREIGN_PARTS && w->parts[i]; i++)
        what(inner, w->parts[i]);
    if (t->data)
        what(inner, t);
}

static void will_need(const fj_source *s, const fj_tensor *t)
{
    tell(s, t, self(s)->inner->will_need);
}

static void give_back(const fj_source *s, const fj_tensor *t)
{
    tell(s, t, self(s)->inner->give_back);
}

static void rows(const fj_source *s, const fj_tensor *t, int64_t row0, int64_t n, void *out)
{
    const fj_foreign_weight *w = weight_of(s, t);
    w->rows(w, row0, n, out);
}

static fj_row_form form(const fj_source *s, const fj_tensor *t)
{
    return weight_of(s, t)->form;
}

static void close_source(fj_source *s)
{
    foreign *x = (foreign *)(void *)s;
    x->inner->close(x->inner);
    fj_arena_free(x->arena);
}

const fj_tensor *fj_foreign_beside(const fj_foreign_call *c, const fj_tensor *t, const char *end, const char *other)
{
    size_t n = strlen(t->name), k = strlen(end);
    if (n < k || strcmp(t->name + n - k, end) != 0)
        return NULL;
    const char *name = fj_arena_printf(c->arena, "%.*s%s", (int)(n - k), t->name, other);
    return name ? c->inner->find(c->inner, name) : NULL;
}

fj_status fj_foreign_check(const fj_foreign_call *c, const fj_tensor *owner, const fj_tensor *t, const char *what,
                           const fj_dtype *dtype, const fj_shape *shape, fj_err *err)
{
    char got[96], wanted[96];
    if (!t)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has no %s", c->inner->path, owner->name, what);
    if (t->dtype != dtype)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is of type %s, wanted %s", c->inner->path, t->name, t->dtype->name,
                       dtype->name);
    if (!fj_shape_equal(&t->shape, shape))
        return fj_fail(err, FJ_ERR_SHAPE, "%s: '%s' is %s, wanted %s", c->inner->path, t->name,
                       fj_shape_text(&t->shape, got), fj_shape_text(shape, wanted));
    return FJ_OK;
}

static fj_status find_reader(const fj_source *s, const fj_json *config, const fj_foreign_reader **out, fj_err *err)
{
    bool is_old = fj_json_get(config, "load_in_4bit") || fj_json_get(config, "load_in_8bit");
    const char *method = fj_json_string(fj_json_get(config, "quant_method"), is_old ? "bitsandbytes" : "");
    *out = NULL;
    for (size_t i = 0; i < FJ_LEN(readers); i++)
        if (!strcmp(readers[i]->method, method))
            *out = readers[i];
    if (*out)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: quantization_config: quant_method '%.60s' is not read", s->path, method);
    return fj_hint(err, "bitsandbytes, gptq and awq are");
}

/* The weights of all tensors of the inner source, and which of those belong to them. */
static fj_status find_weights(foreign *x, const fj_foreign_reader *reader, const fj_foreign_call *c,
                              fj_foreign_weight **weights, bool *is_part, fj_err *err)
{
    const fj_tensor *first = x->inner->at(x->inner, 0);
    for (size_t i = 0; i < x->inner->count(x->inner); i++) {
        fj_foreign_weight one = { 0 };
        bool is_one = false;
        fj_status st = reader->open(c, first + i, &one, &is_one, err);
        if (st)
            return st;
        if (!is_one)
            continue;
        size_t row = 0;
        weights[i] = fj_arena_take(x->arena, sizeof one);
        if (!weights[i] || !one.tensor.name)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for the weights of %s", x->inner->path);
        bool fits = fj_dtype_bytes(one.tensor.dtype, one.tensor.shape.dim[1], &row) &&
                    fj_mul_size(row, (size_t)one.tensor.shape.dim[0], &one.tensor.bytes);
        if (!fits)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is too large", x->inner->path, one.tensor.name);
        *weights[i] = one;
        for (int p = 0; p < FJ_FOREIGN_PARTS && one.parts[p]; p++)
            is_part[one.parts[p] - first] = true;
    }
    return FJ_OK;
}

static fj_status show(foreign *x, fj_foreign_weight *const *weights, const bool *is_part, fj_err *err)
{
    for (size_t i = 0; i < x->inner->count(x->inner); i++) {
        const fj_tensor *t = weights[i] ? &weights[i]->tensor : x->inner->at(x->inner, i);
        if (!weights[i] && is_part[i])
            continue;
        x->weights[x->index.n] = weights[i];
        if (!fj_index_add(&x->index, t))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is there twice, quantized and not", x->inner->path, t->name);
    }
    return FJ_OK;
}

static fj_status fill(foreign *x, fj_err *err)
{
    const fj_json *config = fj_json_get(x->inner->config, "quantization_config");
    const fj_foreign_reader *reader;
    fj_foreign_call c = { x->inner, config, x->arena };
    size_t n = x->inner->count(x->inner);
    fj_status st = find_reader(x->inner, config, &reader, err);
    if (st)
        return st;
    fj_foreign_weight **weights = fj_arena_array(x->arena, n, sizeof *weights);
    bool *is_part = fj_arena_array(x->arena, n, sizeof *is_part);
    x->weights = fj_arena_array(x->arena, n, sizeof *x->weights);
    if (!weights || !is_part || !x->weights || !fj_index_init(&x->index, x->arena, n))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %zu tensors", n);
    st = find_weights(x, reader, &c, weights, is_part, err);
    return st ? st : show(x, weights, is_part, err);
}

fj_status fj_foreign_open(fj_source **source, fj_err *err)
{
    fj_source *inner = *source;
    const fj_json *config = fj_json_get(inner->config, "quantization_config");
    if (!fj_json_is_object(config))
        return FJ_OK;
    fj_arena *arena = fj_arena_new();
    foreign *x = arena ? fj_arena_take(arena, sizeof *x) : NULL;
    if (!x) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", inner->path);
    }
    *x = (foreign){ .inner = inner, .arena = arena };
    x->source = (fj_source){ .path = inner->path,
                             .naming = inner->naming,
                             .config = inner->config,
                             .count = count,
                             .at = at,
                             .find = find,
                             .will_need = will_need,
                             .give_back = give_back,
                             .close = close_source,
                             .rows = rows,
                             .form = form };
    fj_status st = fill(x, err);
    if (st)
        fj_arena_free(arena);
    else
        *source = &x->source;
    return st;
}
