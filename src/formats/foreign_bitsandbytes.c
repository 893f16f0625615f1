/* SPDX-License-Identifier: Apache-2.0
 * bitsandbytes' folders. For a weight X of (out, in):
 *   4 bits  X u8 (codes, two a byte, rows end to end), X.absmax, X.quant_map (16 f32), X.quant_state.bitsandbytes__nf4 or __fp4 (bytes
 *           of JSON); with double quantization absmax is u8 and X.nested_absmax, X.nested_quant_map (256 f32) say what it means
 *   8 bits  X i8 (out, in), SCB f32 (out) beside it, weight_format u8 (0: rows)
 * Rows of multiples of 64 become NF4, FP4 (with coded scales where the file has them so) and INT8: exact. Any other widens to F32, which
 * is exact too.  Source: bitsandbytes, QuantState.as_dict, Linear8bitLt; transformers, quantizer_bnb_4bit.py. */
#include <string.h>

#include "formats/foreign.h"
#include "quant/book.h"
#include "quant/nf4.h"
#include "quant/quant.h"

enum { LEN = 64, CODES = LEN / 2, FULL = 36, NESTED = 33, INT8_BYTES = 68, MOST_BLOCK = 4096 };

typedef struct four_bit {
    const unsigned char *codes, *absmax; /* absmax: f32, or u8 with run_scale */
    int64_t cols, block;                 /* values that share a scale */
    float map[16], nested_map[256], offset;
    const float *run_scale; /* of 256 scales each; NULL: absmax are the scales */
} four_bit;

typedef struct eight_bit {
    const unsigned char *codes, *scales;
    int64_t cols;
} eight_bit;

static float float_at(const unsigned char *p, int64_t i)
{
    float x;
    memcpy(&x, p + 4 * i, sizeof x);
    return x;
}

static float scale_at(const four_bit *f, int64_t block)
{
    if (!f->run_scale)
        return float_at(f->absmax, block);
    return f->nested_map[f->absmax[block]] * f->run_scale[block / FJ_NESTED_RUN] + f->offset;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------------- */

static void rows_full(const fj_foreign_weight *w, int64_t row0, int64_t n, void *out)
{
    const four_bit *f = w->how;
    unsigned char *to = out;
    for (int64_t b = row0 * f->cols / LEN; b < (row0 + n) * f->cols / LEN; b++, to += FULL) {
        float scale = scale_at(f, b * LEN / f->block);
        memcpy(to, &scale, sizeof scale);
        memcpy(to + sizeof scale, f->codes + b * CODES, CODES);
    }
}

static void rows_nested(const fj_foreign_weight *w, int64_t row0, int64_t n, void *out)
{
    const four_bit *f = w->how;
    unsigned char *to = out;
    for (int64_t b = row0 * f->cols / LEN; b < (row0 + n) * f->cols / LEN; b++, to += NESTED) {
        to[0] = f->absmax[b];
        memcpy(to + 1, f->codes + b * CODES, CODES);
    }
}

static void rows_wide(const fj_foreign_weight *w, int64_t row0, int64_t n, void *out)
{
    const four_bit *f = w->how;
    float *to = out;
    for (int64_t i = row0 * f->cols; i < (row0 + n) * f->cols; i++)
        *to++ = f->map[i % 2 ? f->codes[i / 2] & 15 : f->codes[i / 2] >> 4] * scale_at(f, i / f->block);
}

static void rows_int8(const fj_foreign_weight *w, int64_t row0, int64_t n, void *out)
{
    const eight_bit *f = w->how;
    unsigned char *to = out;
    for (int64_t r = row0; r < row0 + n; r++)
        for (int64_t at = 0; at < f->cols; at += LEN, to += INT8_BYTES) {
            memcpy(to, f->scales + 4 * r, 4);
            memcpy(to + 4, f->codes + r * f->cols + at, LEN);
        }
}

static void rows_int8_wide(const fj_foreign_weight *w, int64_t row0, int64_t n, void *out)
{
    const eight_bit *f = w->how;
    float *to = out;
    for (int64_t r = row0; r < row0 + n; r++)
        for (int64_t c = 0; c < f->cols; c++)
            *to++ = (float)(signed char)f->codes[r * f->cols + c] * float_at(f->scales, r) * FJ_INT8_STEP;
}

/* ---- 4 bits ----------------------------------------------------------------------------------------------------------------------- */

/* Copies n floats of a tensor of exactly so many. */
static fj_status take_floats(const fj_foreign_call *c, const fj_tensor *owner, const fj_tensor *t, const char *what,
                             int64_t n, float *out, fj_err *err)
{
    fj_shape shape = fj_shape_1(n);
    fj_status st = fj_foreign_check(c, owner, t, what, &fj_f32, &shape, err);
    if (!st)
        memcpy(out, t->data, (size_t)n * sizeof *out);
    return st;
}

/* What quant_state says. */
typedef struct state {
    int64_t rows, cols, block, nested_block;
    float offset;
} state;

static fj_status read_state(const fj_foreign_call *c, const fj_tensor *t, state *out, fj_err *err)
{
    fj_json *v = NULL;
    if (t->dtype != &fj_u8)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is of type %s, wanted U8", c->inner->path, t->name,
                       t->dtype->name);
    fj_status st = fj_json_parse(t->data, t->bytes, t->name, false, &v, err);
    if (st)
        return st;
    const fj_json *shape = fj_json_get(v, "shape");
    *out = (state){ .rows = fj_json_int(fj_json_at(shape, 0), -1),
                    .cols = fj_json_int(fj_json_at(shape, 1), -1),
                    .block = fj_json_int(fj_json_get(v, "blocksize"), -1),
                    .nested_block = fj_json_int(fj_json_get(v, "nested_blocksize"), FJ_NESTED_RUN),
                    .offset = (float)fj_json_real(fj_json_get(v, "nested_offset"), 0) };
    bool is_matrix = fj_json_is_array(shape) && fj_json_len(shape) == 2 && out->rows > 0 && out->cols > 0 &&
                     out->rows < INT64_C(1) << 31 && out->cols < INT64_C(1) << 31;
    bool has_block = out->block >= 2 && out->block <= MOST_BLOCK && (out->block & (out->block - 1)) == 0;
    fj_json_free(v);
    if (!is_matrix || !has_block || out->nested_block != FJ_NESTED_RUN)
        return fj_fail(err, FJ_ERR_FORMAT,
                       "%s: '%s' is no state of a matrix in blocks of 2 to %d, scales in runs of %d", c->inner->path,
                       t->name, MOST_BLOCK, FJ_NESTED_RUN);
    return FJ_OK;
}

/* Scales: plain, or coded. */
static fj_status read_scales(const fj_foreign_call *c, const fj_tensor *t, const state *s, four_bit *f,
                             fj_foreign_weight *out, fj_err *err)
{
    int64_t blocks = (s->rows * s->cols + s->block - 1) / s->block, runs = (blocks + FJ_NESTED_RUN - 1) / FJ_NESTED_RUN;
    const fj_tensor *absmax = fj_foreign_beside(c, t, "", ".absmax"),
                    *nested = fj_foreign_beside(c, t, "", ".nested_absmax"),
                    *map = fj_foreign_beside(c, t, "", ".nested_quant_map");
    fj_shape shape = fj_shape_1(blocks);
    fj_status st = fj_foreign_check(c, t, absmax, "absmax", nested ? &fj_u8 : &fj_f32, &shape, err);
    if (st)
        return st;
    f->absmax = absmax->data;
    out->parts[3] = absmax;
    if (!nested)
        return FJ_OK;
    float *run_scale = fj_arena_array(c->arena, (size_t)runs, sizeof *run_scale);
    if (!run_scale)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the scales of '%s'", t->name);
    st = take_floats(c, t, nested, "nested_absmax", runs, run_scale, err);
    if (!st)
        st = take_floats(c, t, map, "nested_quant_map", 256, f->nested_map, err);
    f->run_scale = run_scale;
    f->offset = s->offset;
    out->parts[4] = nested;
    out->parts[5] = map;
    return st;
}

static fj_status open_4_bit(const fj_foreign_call *c, const fj_tensor *t, const fj_tensor *quant_state, bool is_nf4,
                            fj_foreign_weight *out, fj_err *err)
{
    const fj_tensor *map = fj_foreign_beside(c, t, "", ".quant_map");
    four_bit *f = fj_arena_take(c->arena, sizeof *f);
    state s = { 0 };
    if (!f)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for '%s'", t->name);
    fj_status st = read_state(c, quant_state, &s, err);
    if (st)
        return st;
    fj_shape shape = fj_shape_2((s.rows * s.cols + 1) / 2, 1);
    st = fj_foreign_check(c, t, t, "codes", &fj_u8, &shape, err);
    if (!st)
        st = take_floats(c, t, map, "quant_map", 16, f->map, err);
    out->parts[0] = t;
    out->parts[1] = quant_state;
    out->parts[2] = map;
    if (!st)
        st = read_scales(c, t, &s, f, out, err);
    if (st)
        return st;
    f->codes = t->data;
    f->cols = s.cols;
    f->block = s.block;
    const float *values = is_nf4 ? fj_book_nf4.level : fj_fp4_values;
    bool is_ours = s.cols % LEN == 0 && s.block % LEN == 0 && !memcmp(f->map, values, sizeof f->map);
    bool is_nested = is_ours && f->run_scale && s.block == LEN &&
                     !memcmp(f->nested_map, fj_dynamic_map, sizeof f->nested_map);
    const fj_dtype *full = is_nf4 ? &fj_nf4 : &fj_fp4;
    out->how = f;
    out->rows = is_nested ? rows_nested : is_ours ? rows_full : rows_wide;
    out->tensor = (fj_tensor){ .name = t->name, .shape = fj_shape_2(s.rows, s.cols) };
    out->tensor.dtype = is_nested ? fj_nested_of(full) : is_ours ? full : &fj_f32;
    if (is_nested)
        out->form = (fj_row_form){ .run_scale = f->run_scale, .offset = f->offset };
    return FJ_OK;
}

/* ---- 8 bits ----------------------------------------------------------------------------------------------------------------------- */

static fj_status open_8_bit(const fj_foreign_call *c, const fj_tensor *t, const fj_tensor *scales,
                            fj_foreign_weight *out, fj_err *err)
{
    const fj_tensor *layout = fj_foreign_beside(c, t, "weight", "weight_format");
    if (t->shape.rank != 2)
        return fj_fail(err, FJ_ERR_SHAPE, "%s: '%s' has %d dimensions, wanted 2", c->inner->path, t->name,
                       t->shape.rank);
    fj_shape shape = fj_shape_1(t->shape.dim[0]);
    fj_status st = fj_foreign_check(c, t, scales, "SCB", &fj_f32, &shape, err);
    if (st)
        return st;
    if (layout && (layout->bytes < 1 || *(const unsigned char *)layout->data != 0)) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is not 0, rows", c->inner->path, layout->name);
        return fj_hint(err, "saving the model once more with a newer bitsandbytes gives rows");
    }
    eight_bit *f = fj_arena_take(c->arena, sizeof *f);
    if (!f)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for '%s'", t->name);
    *f = (eight_bit){ t->data, scales->data, t->shape.dim[1] };
    out->parts[0] = t;
    out->parts[1] = scales;
    out->parts[2] = layout;
    out->how = f;
    out->rows = f->cols % LEN ? rows_int8_wide : rows_int8;
    out->tensor = (fj_tensor){ .name = t->name, .shape = t->shape, .dtype = f->cols % LEN ? &fj_f32 : &fj_int8 };
    return FJ_OK;
}

static fj_status open_weight(const fj_foreign_call *c, const fj_tensor *t, fj_foreign_weight *out, bool *is_one,
                             fj_err *err)
{
    const fj_tensor *nf4 = NULL, *fp4 = NULL, *scales = NULL;
    if (t->dtype == &fj_u8) {
        nf4 = fj_foreign_beside(c, t, "", ".quant_state.bitsandbytes__nf4");
        fp4 = fj_foreign_beside(c, t, "", ".quant_state.bitsandbytes__fp4");
    }
    if (t->dtype == &fj_i8)
        scales = fj_foreign_beside(c, t, "weight", "SCB");
    *is_one = nf4 || fp4 || scales;
    if (scales)
        return open_8_bit(c, t, scales, out, err);
    return *is_one ? open_4_bit(c, t, nf4 ? nf4 : fp4, nf4 != NULL, out, err) : FJ_OK;
}

const fj_foreign_reader fj_foreign_bitsandbytes = { .method = "bitsandbytes", .open = open_weight };
