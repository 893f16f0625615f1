/* SPDX-License-Identifier: Apache-2.0
 * Low-rank adapters in PEFT's form: see adapter.h. Source: peft, tuners/lora/{config,layer}.py, utils/save_and_load.py. */
#include "models/adapter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "quant/quant.h"

enum { MAX_RANK = 4096, MAX_TARGETS = 64 };

static int64_t experts_of(const fj_weight *w)
{
    return w->shape.rank == 3 ? w->shape.dim[0] : 1;
}

/* Matrices, and experts that are a module each in Hugging Face's form. */
static bool is_adaptable(const fj_model *m, const fj_weight *w)
{
    if (!w->role->in_layer || !w->role->is_linear || w->is_bias)
        return false;
    const char *name = w->shape.rank == 3 ? fj_model_hf_name(m, w) : NULL;
    return w->shape.rank == 2 || (name && strstr(name, "{e}"));
}

/* "model.layers.3.self_attn.q_proj": the tensor's name without its last part. */
static fj_text module_of(const fj_model *m, const fj_weight *w, int64_t expert)
{
    const char *name = fj_model_hf_part(m, w, expert);
    if (!name)
        return (fj_text){ 0 };
    return (fj_text){ name, strlen(name) - strlen(".weight") };
}

/* The last `n` parts of a module's name. */
static fj_text last_parts(fj_text module, int n)
{
    size_t at = module.len;
    while (at && (module.data[at - 1] != '.' || --n > 0))
        at--;
    return (fj_text){ module.data + at, module.len - at };
}

/* Appends a name that is not in the list yet; what finds no room is left out. */
static size_t add_distinct(fj_text list[MAX_TARGETS], size_t n, fj_text name)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].len == name.len && !memcmp(list[i].data, name.data, name.len))
            return n;
    if (n < MAX_TARGETS && name.len)
        list[n++] = name;
    return n;
}

/* A module matches an entry when its name is the entry or ends with "." + entry. */
static bool matches(fj_text module, fj_text entry)
{
    if (module.len < entry.len || memcmp(module.data + module.len - entry.len, entry.data, entry.len))
        return false;
    return module.len == entry.len || module.data[module.len - entry.len - 1] == '.';
}

static fj_status new_adapter(fj_adapter **out, int n, fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    fj_adapter *a = arena ? fj_arena_take(arena, sizeof *a) : NULL;
    if (a)
        a->items = fj_arena_array(arena, (size_t)n, sizeof *a->items);
    if (!a || !a->items) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for an adapter");
    }
    a->arena = arena;
    *out = a;
    return FJ_OK;
}

int64_t fj_lora_experts(const fj_lora *l)
{
    return experts_of(l->weight);
}

fj_shape fj_lora_shape(const fj_lora *l, bool is_b)
{
    const fj_shape *w = &l->weight->shape;
    return is_b ? fj_shape_2(w->dim[w->rank - 2], l->rank) : fj_shape_2(l->rank, fj_shape_cols(w));
}

static int64_t half_size(const fj_lora *l, bool is_b)
{
    fj_shape shape = fj_lora_shape(l, is_b);
    return fj_shape_count(&shape);
}

/* is_planned: without its halves. */
static fj_status add_pair(fj_adapter *a, const fj_weight *w, int64_t rank, bool is_planned, fj_err *err)
{
    fj_lora *l = &a->items[a->n];
    *l = (fj_lora){ .weight = w, .rank = rank };
    int64_t n = fj_lora_experts(l);
    l->has = fj_arena_array(a->arena, (size_t)n, sizeof *l->has);
    if (!is_planned) {
        l->a = fj_arena_array(a->arena, (size_t)(n * half_size(l, false)), sizeof(float));
        l->b = fj_arena_array(a->arena, (size_t)(n * half_size(l, true)), sizeof(float));
    }
    if (!l->has || (!is_planned && (!l->a || !l->b)))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for an adapter of rank %lld", (long long)rank);
    a->n++;
    return FJ_OK;
}

void fj_adapter_free(fj_adapter *a)
{
    if (!a)
        return;
    fj_json_free(a->config);
    fj_arena_free(a->arena);
}

int64_t fj_adapter_parameters(const fj_adapter *a)
{
    int64_t n = 0;
    for (int i = 0; i < a->n; i++)
        for (int64_t e = 0; e < fj_lora_experts(&a->items[i]); e++)
            n += a->items[i].has[e] ? half_size(&a->items[i], false) + half_size(&a->items[i], true) : 0;
    return n;
}

/* ---- targets ------------------------------------------------------------------------------------------------------------- */

static size_t split(const char *list, fj_text out[MAX_TARGETS])
{
    size_t n = 0;
    while (*list && n < MAX_TARGETS) {
        size_t len = strcspn(list, ",");
        fj_text t = { list, len };
        while (t.len && *t.data == ' ')
            t.data++, t.len--;
        while (t.len && t.data[t.len - 1] == ' ')
            t.len--;
        if (t.len)
            out[n++] = t;
        list += len + (list[len] == ',');
    }
    return n;
}

static fj_status unknown_target(const fj_model *m, fj_text target, fj_err *err)
{
    fj_text names[MAX_TARGETS];
    size_t n = 0;
    fj_str known = { 0 };
    for (int i = 0; i < m->n_weights; i++)
        if (is_adaptable(m, &m->weights[i]))
            n = add_distinct(names, n, last_parts(module_of(m, &m->weights[i], 0), 1));
    for (size_t i = 0; i < n; i++)
        fj_str_printf(&known, "%s%.*s", i ? ", " : "", (int)names[i].len, names[i].data);
    (void)fj_fail(err, FJ_ERR_USAGE, "lora_target '%.*s' matches no linear matrix of this model", (int)target.len,
                  target.data);
    (void)fj_hint(err, "it has: %s; or all", known.data ? known.data : "none");
    fj_str_free(&known);
    return err->status;
}

static bool wants(const fj_model *m, const fj_weight *w, int64_t expert, fj_text target)
{
    if (fj_text_is(target, "all") || fj_text_is(target, "all-linear"))
        return w->shape.rank == 2;
    return matches(module_of(m, w, expert), target);
}

/* Marks the experts of a weight that a target wants; whether there is one. */
static bool mark_targets(const fj_model *m, const fj_weight *w, const fj_text *targets, size_t n, bool *has)
{
    bool any = false;
    for (int64_t e = 0; e < experts_of(w); e++) {
        bool is_wanted = false;
        for (size_t t = 0; t < n && !is_wanted; t++)
            is_wanted = wants(m, w, e, targets[t]);
        if (has)
            has[e] = is_wanted;
        any |= is_wanted;
    }
    return any;
}

static fj_status check_targets(const fj_model *m, const fj_text *targets, size_t n, fj_err *err)
{
    if (n == 0)
        return fj_fail(err, FJ_ERR_USAGE, "lora_target names nothing");
    for (size_t t = 0; t < n; t++) {
        bool any = false;
        for (int i = 0; i < m->n_weights && !any; i++)
            any = is_adaptable(m, &m->weights[i]) && mark_targets(m, &m->weights[i], &targets[t], 1, NULL);
        if (!any)
            return unknown_target(m, targets[t], err);
    }
    return FJ_OK;
}

/* ---- a new adapter --------------------------------------------------------------------------------------------------------- */

static void init_a(fj_lora *l, uint64_t seed, uint32_t index)
{
    int64_t size = half_size(l, false);
    double bound = 1.0 / sqrt((double)fj_shape_cols(&l->weight->shape));
    for (int64_t i = 0; i < size * fj_lora_experts(l); i++)
        if (l->has[i / size])
            l->a[i] = (float)(bound * (2 * fj_rng_uniform(seed, FJ_STREAM_LORA_INIT, 0, index, (uint64_t)i) - 1));
}

fj_status fj_adapter_new(const fj_model *m, const fj_lora_settings *s, fj_adapter **out, fj_err *err)
{
    fj_adapter *a = NULL;
    fj_text targets[MAX_TARGETS];
    size_t n = split(s->target, targets);
    if (s->rank < 1 || s->rank > MAX_RANK)
        return fj_fail(err, FJ_ERR_USAGE, "lora_rank is %lld, wanted 1 to %d", (long long)s->rank, MAX_RANK);
    fj_status st = check_targets(m, targets, n, err);
    if (!st)
        st = new_adapter(&a, m->n_weights, err);
    for (int i = 0; !st && i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        if (!is_adaptable(m, w) || !mark_targets(m, w, targets, n, NULL))
            continue;
        st = add_pair(a, w, s->rank, s->is_planned, err);
        if (st)
            break;
        fj_lora *l = &a->items[a->n - 1];
        l->scale = s->alpha / (s->use_rslora ? sqrt((double)s->rank) : (double)s->rank);
        l->dropout = s->dropout;
        (void)mark_targets(m, w, targets, n, l->has);
        if (!s->is_planned)
            init_a(l, s->seed, (uint32_t)i);
    }
    if (st) {
        fj_adapter_free(a);
        return st;
    }
    *out = a;
    return FJ_OK;
}

/* ---- PEFT folders ------------------------------------------------------------------------------------------------------------ */

static bool has_turned(const fj_model *m)
{
    for (int i = 0; i < m->n_weights; i++)
        if (fj_model_is_transposed(m, &m->weights[i]))
            return true;
    return false;
}

/* Keys that change the mathematics: what they must be. */
static fj_status check_config(const fj_model *m, const fj_json *c, const char *folder, fj_err *err)
{
    static const char *const off[] = { "use_dora", "lora_bias", "use_qalora" };
    static const char *const empty[] = { "modules_to_save",         "target_parameters",       "layer_replication",
                                         "alora_invocation_tokens", "trainable_token_indices", "megatron_config" };
    const char *type = fj_json_string(fj_json_get(c, "peft_type"), "");
    if (strcmp(type, "LORA"))
        return fj_fail(err, FJ_ERR_FORMAT, "%s/adapter_config.json: peft_type '%s', forja applies LORA", folder, type);
    for (size_t i = 0; i < FJ_LEN(off); i++)
        if (fj_json_bool(fj_json_get(c, off[i]), false))
            return fj_fail(err, FJ_ERR_FORMAT, "%s/adapter_config.json: '%s' is not supported", folder, off[i]);
    for (size_t i = 0; i < FJ_LEN(empty); i++)
        if (fj_json_len(fj_json_get(c, empty[i])))
            return fj_fail(err, FJ_ERR_FORMAT, "%s/adapter_config.json: '%s' is not supported", folder, empty[i]);
    /* says that the matrices lie as (in, out), as GPT-2's do: an adapter's halves do not depend on it */
    if (fj_json_bool(fj_json_get(c, "fan_in_fan_out"), false) && !has_turned(m))
        return fj_fail(err, FJ_ERR_FORMAT, "%s/adapter_config.json: 'fan_in_fan_out' does not fit this model", folder);
    if (strcmp(fj_json_string(fj_json_get(c, "bias"), "none"), "none"))
        return fj_fail(err, FJ_ERR_FORMAT, "%s/adapter_config.json: bias other than 'none' is not supported", folder);
    return FJ_OK;
}

/* rank_pattern and alpha_pattern: a key matches a module when its name ends with it. */
static double patterned(const fj_json *patterns, fj_text module, double otherwise)
{
    for (void *i = fj_json_first(patterns); i; i = fj_json_next(patterns, i))
        if (matches(module, fj_text_of(fj_json_key(i))))
            return fj_json_real(fj_json_member(i), otherwise);
    return otherwise;
}

static void copy_rows(const fj_model *m, const fj_weight *w, const float *from, float *to, int64_t cols, bool to_hf)
{
    int64_t n = w->shape.dim[0], *order = malloc((size_t)n * sizeof *order);
    fj_assert(order);
    bool is_moved = fj_model_row_order(m, w, order);
    for (int64_t i = 0; i < n; i++) {
        int64_t hf = is_moved ? order[i] : i;
        memcpy(to + (to_hf ? hf : i) * cols, from + (to_hf ? i : hf) * cols, (size_t)cols * sizeof(float));
    }
    free(order);
}

static fj_status read_half(const fj_model *m, fj_adapter *a, const fj_tensor *t, fj_lora *l, int64_t expert, bool is_b,
                           const char *folder, fj_err *err)
{
    char got[96], wanted[96];
    fj_shape shape = fj_lora_shape(l, is_b);
    const fj_quant *q = fj_quant_of(t->dtype);
    if (!fj_shape_equal(&t->shape, &shape) || !q || !t->dtype->is_float)
        return fj_fail(err, FJ_ERR_SHAPE, "%s: '%s' is %s %s, wanted %s", folder, t->name, t->dtype->name,
                       fj_shape_text(&t->shape, got), fj_shape_text(&shape, wanted));
    int64_t n = fj_shape_count(&shape);
    float *values = fj_arena_array(a->arena, (size_t)n, sizeof(float));
    if (!values)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for '%s'", t->name);
    q->decode(t->data, values, n);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' holds a number that is not finite", folder, t->name);
    if (is_b && l->weight->shape.rank == 2)
        copy_rows(m, l->weight, values, l->b, l->rank, false);
    else
        memcpy((is_b ? l->b : l->a) + expert * n, values, (size_t)n * sizeof(float));
    return FJ_OK;
}

static const char *half_name(fj_adapter *a, fj_text module, bool is_b)
{
    if (!module.data)
        return NULL;
    return fj_arena_printf(a->arena, "base_model.model.%.*s.lora_%c.weight", (int)module.len, module.data,
                           is_b ? 'B' : 'A');
}

/* What the configuration says of a module: rank and scale. */
static fj_status read_rank(const fj_json *config, fj_text module, const char *folder, int64_t *rank, double *scale,
                           fj_err *err)
{
    double r = patterned(fj_json_get(config, "rank_pattern"), module, fj_json_real(fj_json_get(config, "r"), 0));
    double alpha = patterned(fj_json_get(config, "alpha_pattern"), module,
                             fj_json_real(fj_json_get(config, "lora_alpha"), 8));
    if (r < 1 || r > MAX_RANK || r != floor(r))
        return fj_fail(err, FJ_ERR_FORMAT, "%s/adapter_config.json: rank %g, wanted 1 to %d", folder, r, MAX_RANK);
    *rank = (int64_t)r;
    *scale = alpha / (fj_json_bool(fj_json_get(config, "use_rslora"), false) ? sqrt(r) : r);
    return FJ_OK;
}

/* The pair of a matrix, or of one of a weight's experts: l is NULL until one is found. */
static fj_status read_pair(const fj_model *m, fj_adapter *a, const fj_weight *w, int64_t expert, const fj_source *s,
                           const fj_json *config, const char *folder, fj_lora **l, fj_err *err)
{
    fj_text module = module_of(m, w, expert);
    const char *name_a = half_name(a, module, false), *name_b = half_name(a, module, true);
    if (!name_a || !name_b)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for an adapter's names");
    const fj_tensor *ta = s->find(s, name_a), *tb = s->find(s, name_b);
    int64_t rank = 0;
    double scale = 0;
    if (!ta && !tb)
        return FJ_OK;
    if (!ta || !tb)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' without its other half", folder, ta ? name_a : name_b);
    fj_status st = read_rank(config, module, folder, &rank, &scale, err);
    if (!st && !*l) {
        st = add_pair(a, w, rank, false, err);
        *l = &a->items[a->n - 1];
        (*l)->scale = scale;
        (*l)->dropout = fj_json_real(fj_json_get(config, "lora_dropout"), 0);
    }
    if (!st && (rank != (*l)->rank || scale != (*l)->scale))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has another rank or alpha than the experts before it", folder,
                     name_a);
    if (st)
        return st;
    (*l)->has[expert] = true;
    st = read_half(m, a, ta, *l, expert, false, folder, err);
    return st ? st : read_half(m, a, tb, *l, expert, true, folder, err);
}

static fj_status read_pairs(const fj_model *m, fj_adapter *a, const fj_weight *w, const fj_source *s,
                            const fj_json *config, const char *folder, size_t *n_read, fj_err *err)
{
    fj_lora *l = NULL;
    for (int64_t e = 0; e < experts_of(w); e++) {
        fj_status st = read_pair(m, a, w, e, s, config, folder, &l, err);
        if (st)
            return st;
        *n_read += l && l->has[e] ? 2 : 0;
    }
    return FJ_OK;
}

/* Names the first tensor that no pair has taken: leaving it out would change the results. */
static fj_status unread(fj_adapter *a, const fj_model *m, const fj_source *s, const char *folder, fj_err *err)
{
    for (size_t i = 0; i < s->count(s); i++) {
        const fj_tensor *t = s->at(s, i);
        bool is_read = false;
        for (int k = 0; k < a->n && !is_read; k++)
            for (int64_t e = 0; e < 2 * fj_lora_experts(&a->items[k]) && !is_read; e++) {
                const char *name = fj_adapter_name(m, a, &a->items[k], e / 2, e % 2);
                is_read = name && !strcmp(t->name, name);
            }
        if (!is_read)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' fits no matrix of this model", folder, t->name);
    }
    return FJ_OK;
}

fj_status fj_adapter_open(const fj_model *m, const fj_json *config, const fj_source *tensors, const char *folder,
                          fj_adapter **out, fj_err *err)
{
    fj_adapter *a = NULL;
    size_t n_read = 0;
    fj_status st = check_config(m, config, folder, err);
    if (!st)
        st = new_adapter(&a, m->n_weights, err);
    for (int i = 0; !st && i < m->n_weights; i++)
        if (is_adaptable(m, &m->weights[i]))
            st = read_pairs(m, a, &m->weights[i], tensors, config, folder, &n_read, err);
    if (!st && n_read != tensors->count(tensors))
        st = unread(a, m, tensors, folder, err);
    if (!st && a->n == 0)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: no low-rank pair of this model in the adapter", folder);
    if (st) {
        fj_adapter_free(a);
        return st;
    }
    a->config = fj_json_share((fj_json *)(uintptr_t)config);
    *out = a;
    return FJ_OK;
}

const char *fj_adapter_name(const fj_model *m, fj_adapter *a, const fj_lora *l, int64_t expert, bool is_b)
{
    return half_name(a, module_of(m, l->weight, expert), is_b);
}

void fj_adapter_export(const fj_model *m, const fj_lora *l, int64_t expert, bool is_b, float *dst)
{
    int64_t n = half_size(l, is_b);
    if (is_b && l->weight->shape.rank == 2)
        copy_rows(m, l->weight, l->b, dst, l->rank, true);
    else
        memcpy(dst, (is_b ? l->b : l->a) + expert * n, (size_t)n * sizeof(float));
}

/* Names as target_modules has them: "w1" where all experts have a pair, else "experts.3.w1". */
static size_t target_names(const fj_model *m, const fj_adapter *a, fj_text names[MAX_TARGETS])
{
    size_t n = 0;
    for (int i = 0; i < a->n; i++) {
        const fj_lora *l = &a->items[i];
        bool has_all = true;
        for (int64_t e = 0; e < fj_lora_experts(l); e++)
            has_all &= l->has[e];
        for (int64_t e = 0; e < (has_all ? 1 : fj_lora_experts(l)); e++)
            if (l->has[e])
                n = add_distinct(names, n, last_parts(module_of(m, l->weight, e), has_all ? 1 : 3));
    }
    return n;
}

fj_json *fj_adapter_config(const fj_model *m, const fj_adapter *a, const fj_lora_settings *s, const char *base)
{
    fj_json *c = fj_json_new_object(), *targets = fj_json_new_array();
    fj_text names[MAX_TARGETS];
    size_t n = target_names(m, a, names);
    bool ok = c && targets;
    for (size_t i = 0; ok && i < n; i++)
        ok = fj_json_add(targets, fj_json_new_text(names[i].data, names[i].len));
    ok = ok && fj_json_set(c, "peft_type", fj_json_new_text("LORA", 4)) &&
         fj_json_set(c, "task_type", fj_json_new_text("CAUSAL_LM", 9)) &&
         fj_json_set(c, "base_model_name_or_path", fj_json_new_text(base, strlen(base))) &&
         fj_json_set(c, "r", fj_json_new_int(s->rank)) &&
         fj_json_set(c, "lora_alpha",
                     s->alpha == floor(s->alpha) ? fj_json_new_int((int64_t)s->alpha) : fj_json_new_real(s->alpha)) &&
         fj_json_set(c, "lora_dropout", fj_json_new_real(s->dropout)) && fj_json_set(c, "target_modules", targets) &&
         fj_json_set(c, "bias", fj_json_new_text("none", 4)) &&
         fj_json_set(c, "use_rslora", fj_json_new_bool(s->use_rslora)) &&
         fj_json_set(c, "use_dora", fj_json_new_bool(false)) &&
         fj_json_set(c, "fan_in_fan_out", fj_json_new_bool(has_turned(m))) &&
         fj_json_set(c, "init_lora_weights", fj_json_new_bool(true)) &&
         fj_json_set(c, "inference_mode", fj_json_new_bool(true)) &&
         fj_json_set(c, "modules_to_save", fj_json_new_null()) &&
         fj_json_set(c, "rank_pattern", fj_json_new_object()) && fj_json_set(c, "alpha_pattern", fj_json_new_object());
    if (ok)
        return c;
    fj_json_free(c);
    return NULL;
}

void fj_lora_merge_row(const fj_lora *l, int64_t row, float *values)
{
    const fj_shape *w = &l->weight->shape;
    int64_t n = fj_shape_cols(w);
    const float *b = l->b + row * l->rank, *a = l->a + row / w->dim[w->rank - 2] * half_size(l, false);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t p = 0; p < l->rank; p++)
            sum += (double)b[p] * a[p * n + i];
        values[i] = (float)(values[i] + l->scale * sum);
    }
}
