/* SPDX-License-Identifier: Apache-2.0
 * See mix.h. The steps: the types of a matrix whose error falls most for their bytes (the lower convex hull of error over bytes) make a
 * ladder; all rungs of all matrices, sorted by what a byte gains, are one path from the smallest mix to the largest. A size or a
 * loss is a place on it. */
#include "tasks/mix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/patched.h"
#include "tasks/quantize.h"

enum { MOST_TYPES = 16, SAMPLE_ROWS = 256, TRIES = 6 };

/* Those that a mix may use; what a matrix's rows do not allow is left out. */
static const fj_dtype *const types[] = { &fj_q2_k, &fj_q3_k, &fj_iq4_xs, &fj_q4_0, &fj_iq4_nl, &fj_q4_k, &fj_q4_1,
                                         &fj_q5_0, &fj_q5_k, &fj_q5_1,   &fj_q6_k, &fj_q8_0,   &fj_f16 };

typedef struct rung {
    const fj_dtype *type;
    double error;
    size_t bytes;
} rung;

typedef struct matrix {
    const fj_weight *w;
    float *importance; /* of every expert; NULL: all columns alike */
    double weight;     /* of its error in the KL divergence */
    rung rungs[MOST_TYPES];
    int n, at; /* at: the rung it is on */
} matrix;

/* A step up, from the rung before. */
typedef struct step {
    int matrix, rung;
    double gain; /* fall of the loss for a byte */
} step;

struct fj_mix {
    const fj_model *m;
    fj_mix_settings s;
    matrix *matrices;
    size_t n;
    step *steps;
    size_t n_steps, taken;
    const fj_dtype **types;
};

/* ---- errors --------------------------------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const fj_dtype *type, const fj_weight *w)
{
    size_t bytes = 0;
    bool ok = fj_dtype_bytes(type, fj_shape_count(&w->shape), &bytes);
    fj_assert(ok);
    return bytes;
}

typedef struct error_job {
    const matrix *x;
    const fj_mix_settings *s;
    const fj_dtype *type;
    int64_t rows, stride; /* sampled rows: every stride-th */
    double *error, *size; /* of each */
    float *scratch;       /* two rows a worker */
    unsigned char *bytes; /* an encoded row a worker */
    size_t row_bytes;
} error_job;

static void error_part(void *context, int64_t part, int worker)
{
    const error_job *j = context;
    const fj_weight *w = j->x->w;
    const fj_quant *q = fj_quant_of(j->type);
    int64_t k = fj_shape_cols(&w->shape), row = part * j->stride;
    float *values = j->scratch + 2 * k * worker, *back = values + k;
    unsigned char *bytes = j->bytes + (size_t)worker * j->row_bytes;
    const float *importance = j->x->importance;
    if (importance)
        importance += row / w->shape.dim[w->shape.rank - 2] * k;
    j->s->rows->rows(j->s->rows->context, w, row, 1, values);
    q->encode(values, bytes, k, importance);
    q->decode(bytes, back, k);
    j->error[part] = j->size[part] = 0;
    for (int64_t c = 0; c < k; c++) {
        double d = (double)values[c] - back[c], weight = importance ? importance[c] : 1;
        j->error[part] += weight * d * d;
        j->size[part] += weight * values[c] * values[c];
    }
}

static fj_status measure_error(const fj_mix *mix, const matrix *x, const fj_dtype *type, double *out, fj_err *err)
{
    int64_t n = fj_shape_rows(&x->w->shape), k = fj_shape_cols(&x->w->shape), threads = fj_pool_threads(mix->s.m->pool);
    error_job j = { .x = x, .s = &mix->s, .type = type, .stride = FJ_MAX(1, n / SAMPLE_ROWS) };
    bool ok = fj_dtype_bytes(type, k, &j.row_bytes);
    fj_assert(ok);
    j.rows = (n + j.stride - 1) / j.stride;
    j.error = malloc(2 * (size_t)j.rows * sizeof *j.error);
    j.scratch = malloc(2 * (size_t)(k * threads) * sizeof *j.scratch);
    j.bytes = malloc((size_t)threads * j.row_bytes);
    fj_status st = j.error && j.scratch && j.bytes ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to measure errors");
    if (!st) {
        double error = 0, size = 0;
        j.size = j.error + j.rows;
        fj_pool_run(mix->s.m->pool, error_part, &j, j.rows);
        for (int64_t i = 0; i < j.rows; i++) {
            error += j.error[i];
            size += j.size[i];
        }
        *out = size > 0 ? error / size : 0;
    }
    free(j.error);
    free(j.scratch);
    free(j.bytes);
    return st;
}

/* Adds a type to the ladder; those between that gain less for their bytes than it does fall off. Types come by rising bytes. */
static void climb(matrix *x, rung next)
{
    if (x->n && next.error >= x->rungs[x->n - 1].error)
        return;
    if (x->n && next.bytes == x->rungs[x->n - 1].bytes)
        x->n--;
    while (x->n >= 2) {
        const rung *a = &x->rungs[x->n - 2], *b = &x->rungs[x->n - 1];
        double before = (a->error - b->error) / (double)(b->bytes - a->bytes);
        double after = (b->error - next.error) / (double)(next.bytes - b->bytes);
        if (after <= before)
            break;
        x->n--;
    }
    x->rungs[x->n++] = next;
}

static int by_bits(const void *a, const void *b)
{
    const rung *x = a, *y = b;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static fj_status measure_matrix(const fj_mix *mix, matrix *x, fj_err *err)
{
    rung all[FJ_LEN(types)];
    size_t n = 0;
    for (size_t i = 0; i < FJ_LEN(types); i++) {
        rung *r = &all[n];
        if (fj_shape_cols(&x->w->shape) % types[i]->block_len)
            continue;
        *r = (rung){ .type = types[i], .bytes = bytes_of(types[i], x->w) };
        fj_status st = measure_error(mix, x, types[i], &r->error, err);
        if (st)
            return st;
        n++;
    }
    qsort(all, n, sizeof *all, by_bits);
    for (size_t i = 0; i < n; i++)
        climb(x, all[i]);
    return FJ_OK;
}

static fj_status add_importance(const fj_mix *mix, matrix *x, fj_err *err)
{
    const char *name = fj_model_gguf_name(mix->m, x->w);
    const fj_importance *item = name && mix->s.imatrix ? fj_imatrix_find(mix->s.imatrix, name) : NULL;
    int64_t k = fj_shape_cols(&x->w->shape), experts = x->w->shape.rank == 3 ? x->w->shape.dim[0] : 1;
    if (!item)
        return FJ_OK;
    if (item->n_values != k * experts)
        return fj_fail(err, FJ_ERR_FORMAT, "the importance matrix has %lld values for '%s', the model %lld columns",
                       (long long)item->n_values, name, (long long)(k * experts));
    x->importance = malloc((size_t)(k * experts) * sizeof *x->importance);
    if (!x->importance)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the importance of '%s'", name);
    for (int64_t e = 0; e < experts; e++)
        fj_importance_means(item, e, k, x->importance + e * k);
    return FJ_OK;
}

/* ---- losses --------------------------------------------------------------------------------------------------------------------------- */

/* KL divergence of the model with some of its matrices in other types: types[i] NULL leaves weight i as it is. */
static fj_status measure_kl(const fj_mix *mix, const fj_dtype *const *of, fj_estimate *out, fj_err *err)
{
    const float **importance = calloc((size_t)mix->m->n_weights, sizeof(*importance));
    fj_patched p = { 0 };
    fj_perplexity perplexity;
    fj_divergence d;
    fj_measurement m = *mix->s.m;
    m.show = NULL;
    if (!importance)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to measure a mix");
    for (size_t i = 0; i < mix->n; i++)
        importance[mix->matrices[i].w - mix->m->weights] = mix->matrices[i].importance;
    fj_status st = fj_patched_make(mix->m, of, importance, mix->s.rows, m.pool, &p, err);
    if (!st)
        st = fj_perplexity_measure(&(fj_reader){ .model = &p.m }, &(fj_reader){ .model = mix->m }, mix->s.windows, &m,
                                   &perplexity, &d, err);
    if (!st)
        *out = d.kl;
    fj_patched_free(&p);
    free(importance);
    return st;
}

/* The rung nearest to 4 bits: enough is lost there to be seen. */
static const rung *worse(const matrix *x)
{
    int i = 0;
    while (i + 1 < x->n && x->rungs[i + 1].type->block_bytes * 8 <= 5 * x->rungs[i + 1].type->block_len)
        i++;
    return &x->rungs[i];
}

static fj_status weigh_role(fj_mix *mix, const fj_role *role, const fj_dtype **of, fj_err *err)
{
    double errors = 0;
    fj_estimate kl;
    memset(of, 0, (size_t)mix->m->n_weights * sizeof(*of));
    for (size_t i = 0; i < mix->n; i++)
        if (mix->matrices[i].w->role == role) {
            const rung *r = worse(&mix->matrices[i]);
            of[mix->matrices[i].w - mix->m->weights] = r->type;
            errors += r->error;
        }
    if (mix->s.step)
        mix->s.step(mix->s.context, role->name);
    fj_status st = measure_kl(mix, of, &kl, err);
    for (size_t i = 0; i < mix->n && !st; i++)
        if (mix->matrices[i].w->role == role)
            mix->matrices[i].weight = errors > 0 ? fmax(kl.value, 1e-12) / errors : 0;
    return st;
}

static fj_status weigh_roles(fj_mix *mix, fj_err *err)
{
    const fj_dtype **of = calloc((size_t)mix->m->n_weights, sizeof(*of));
    fj_status st = of ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to measure roles");
    for (size_t i = 0; i < mix->n && !st; i++) {
        bool is_first = true;
        for (size_t before = 0; before < i; before++)
            is_first = is_first && mix->matrices[before].w->role != mix->matrices[i].w->role;
        if (is_first)
            st = weigh_role(mix, mix->matrices[i].w->role, of, err);
    }
    free(of);
    return st;
}

/* ---- the path ------------------------------------------------------------------------------------------------------------------------- */

static int by_gain(const void *a, const void *b)
{
    const step *x = a, *y = b;
    if (x->gain != y->gain)
        return x->gain < y->gain ? 1 : -1;
    return x->matrix != y->matrix ? (x->matrix > y->matrix) - (x->matrix < y->matrix)
                                  : (x->rung > y->rung) - (x->rung < y->rung);
}

/* Gains fall along a ladder, so sorting keeps its order. */
static fj_status make_path(fj_mix *mix, fj_err *err)
{
    mix->steps = calloc(mix->n * MOST_TYPES + 1, sizeof *mix->steps);
    if (!mix->steps)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the steps of a mix");
    for (size_t i = 0; i < mix->n; i++)
        for (int r = 1; r < mix->matrices[i].n; r++) {
            const matrix *x = &mix->matrices[i];
            double fall = x->weight * (x->rungs[r - 1].error - x->rungs[r].error);
            mix->steps[mix->n_steps++] = (step){ (int)i, r,
                                                 fall / (double)(x->rungs[r].bytes - x->rungs[r - 1].bytes) };
        }
    qsort(mix->steps, mix->n_steps, sizeof *mix->steps, by_gain);
    return FJ_OK;
}

/* Puts every matrix where it is after so many steps. */
static void go_to(fj_mix *mix, size_t taken)
{
    mix->taken = taken;
    for (size_t i = 0; i < mix->n; i++)
        mix->matrices[i].at = 0;
    for (size_t i = 0; i < taken; i++)
        mix->matrices[mix->steps[i].matrix].at = mix->steps[i].rung;
    for (size_t i = 0; i < mix->n; i++)
        mix->types[mix->matrices[i].w - mix->m->weights] = mix->matrices[i].rungs[mix->matrices[i].at].type;
}

static uint64_t matrix_bytes(const fj_mix *mix)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < mix->n; i++)
        sum += mix->matrices[i].rungs[mix->matrices[i].at].bytes;
    return sum;
}

static double expected_loss(const fj_mix *mix)
{
    double sum = 0;
    for (size_t i = 0; i < mix->n; i++)
        sum += mix->matrices[i].weight * mix->matrices[i].rungs[mix->matrices[i].at].error;
    return sum;
}

static size_t extra_bytes(const fj_mix *mix, const step *s)
{
    const rung *r = mix->matrices[s->matrix].rungs + s->rung;
    return r->bytes - r[-1].bytes;
}

fj_status fj_mix_for_bytes(fj_mix *mix, uint64_t bytes, fj_err *err)
{
    go_to(mix, 0);
    uint64_t sum = matrix_bytes(mix);
    if (sum > bytes) {
        char least[24], asked[24];
        return fj_fail(err, FJ_ERR_USAGE, "--target-size: the matrices take %s at least, %s are left for them",
                       fj_format_bytes(sum, least), fj_format_bytes(bytes, asked));
    }
    size_t taken = 0;
    while (taken < mix->n_steps && sum + extra_bytes(mix, &mix->steps[taken]) <= bytes)
        sum += extra_bytes(mix, &mix->steps[taken++]);
    go_to(mix, taken);
    /* what is left may still hold smaller steps, each matrix's next one only */
    for (size_t i = taken; i < mix->n_steps; i++) {
        matrix *x = &mix->matrices[mix->steps[i].matrix];
        if (x->at + 1 == mix->steps[i].rung && sum + extra_bytes(mix, &mix->steps[i]) <= bytes) {
            sum += extra_bytes(mix, &mix->steps[i]);
            x->at++;
            mix->types[x->w - mix->m->weights] = x->rungs[x->at].type;
        }
    }
    return FJ_OK;
}

fj_status fj_mix_measure(fj_mix *mix, fj_estimate *out, fj_err *err)
{
    if (mix->s.step)
        mix->s.step(mix->s.context, "the mix");
    return measure_kl(mix, mix->types, out, err);
}

/* The first place whose expected loss, times factor, is at most kl. */
static size_t place_of(fj_mix *mix, double kl, double factor)
{
    size_t low = 0, high = mix->n_steps;
    while (low < high) {
        size_t middle = (low + high) / 2;
        go_to(mix, middle);
        if (factor * expected_loss(mix) <= kl)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Places above `low` are not known to be good, `high` is. The expectation, corrected by the last measurement, says where to look next. */
fj_status fj_mix_for_kl(fj_mix *mix, double kl, fj_estimate *found, fj_err *err)
{
    size_t low = 0, high = mix->n_steps + 1;
    double factor = 1;
    fj_estimate here = { 0 };
    for (int i = 0; i < TRIES && low < high; i++) {
        size_t place = FJ_MIN(FJ_MAX(place_of(mix, kl, factor), low), FJ_MIN(high, mix->n_steps + 1) - 1);
        go_to(mix, place);
        double expected = expected_loss(mix);
        fj_status st = fj_mix_measure(mix, &here, err);
        if (st)
            return st;
        factor = expected > 0 ? here.value / expected : 1;
        if (here.value <= kl) {
            high = place;
            *found = here;
            if (here.value > 0.97 * kl)
                break;
        } else {
            low = place + 1;
        }
    }
    if (high > mix->n_steps)
        return fj_fail(err, FJ_ERR_USAGE, "--target-kld: no mix with a divergence of %g was found, the last had %.6f",
                       kl, here.value);
    go_to(mix, high);
    return FJ_OK;
}

/* ---- opening -------------------------------------------------------------------------------------------------------------------------- */

static fj_status list_matrices(fj_mix *mix, fj_err *err)
{
    const fj_model *m = mix->m;
    mix->matrices = calloc((size_t)m->n_weights + 1, sizeof *mix->matrices);
    mix->types = calloc((size_t)m->n_weights + 1, sizeof(*mix->types));
    if (!mix->matrices || !mix->types)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a mix");
    for (int i = 0; i < m->n_weights; i++) {
        fj_recipe_weight r = fj_quantize_weight(m, &m->weights[i]);
        mix->types[i] = &fj_f32;
        if (fj_recipe_takes(&r))
            mix->matrices[mix->n++].w = &m->weights[i];
    }
    return FJ_OK;
}

fj_status fj_mix_open(const fj_model *m, const fj_mix_settings *s, fj_mix **out, fj_err *err)
{
    fj_mix *mix = calloc(1, sizeof *mix);
    if (!mix)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a mix");
    *mix = (fj_mix){ .m = m, .s = *s };
    fj_status st = list_matrices(mix, err);
    if (!st && s->step)
        s->step(s->context, "errors");
    for (size_t i = 0; i < mix->n && !st; i++) {
        st = add_importance(mix, &mix->matrices[i], err);
        if (!st)
            st = measure_matrix(mix, &mix->matrices[i], err);
        if (!st && s->m->cancel && __atomic_load_n(s->m->cancel, __ATOMIC_RELAXED))
            st = fj_fail(err, FJ_ERR_CANCELLED, "interrupted");
    }
    if (!st)
        st = weigh_roles(mix, err);
    if (!st)
        st = make_path(mix, err);
    if (st) {
        fj_mix_close(mix);
        return st;
    }
    go_to(mix, mix->n_steps);
    *out = mix;
    return FJ_OK;
}

void fj_mix_close(fj_mix *mix)
{
    if (!mix)
        return;
    for (size_t i = 0; i < mix->n; i++)
        free(mix->matrices[i].importance);
    free(mix->matrices);
    free(mix->steps);
    free(mix->types);
    free(mix);
}

const fj_dtype *const *fj_mix_types(const fj_mix *mix)
{
    return mix->types;
}

size_t fj_mix_count(const fj_mix *mix)
{
    return mix->n;
}

fj_mix_line fj_mix_line_of(const fj_mix *mix, size_t i)
{
    const matrix *x = &mix->matrices[i];
    const rung *r = &x->rungs[x->at];
    return (fj_mix_line){ x->w, r->type, r->error, x->weight * r->error, r->bytes };
}
