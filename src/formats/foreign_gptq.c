/* SPDX-License-Identifier: Apache-2.0
 * GPTQ's and AWQ's folders. For a layer L of (out, in), words of 32 bits:
 *   GPTQ  L.qweight (in * bits/32, out): a column of words is a row of codes, lowest bits first, over the borders of words where bits is 3
 *         L.qzeros (groups, out * bits/32): likewise along a row of words; one less than the zero, but for checkpoint_format gptq_v2
 *         L.scales (groups, out), L.g_idx (in): the group of each column (desc_act: not in order)
 *   AWQ   L.qweight (in, out/8), L.qzeros (groups, out/8), L.scales (groups, out): 4 bits, of eight outputs the one at nibble p of a word is
 *         0 2 4 6 1 3 5 7 [p]
 * value = (code - zero) * scale. They become U2_32 … U8_128, which are exact; where columns are not in the order of groups their codes are
 * laid so, and the order is told. Where no block divides the groups, or a scale is no half, the weight widens to F32, exact as well.
 * Source: GPTQModel, nn_modules/qlinear/torch.py and utils/model_dequant; AutoAWQ, modules/linear/gemm.py, utils/packing_utils.py. */
#include <string.h>
#include <strings.h>

#include "formats/foreign.h"
#include "quant/groups.h"

enum { MOST_LEN = 128 };

typedef struct packed {
    const unsigned char *codes, *zeros, *scales;
    const fj_dtype *scale_type, *type;
    const int32_t *order;                 /* columns in the order of their groups; NULL: they are */
    int64_t cols, outputs, group, stride; /* stride: words of a row of codes */
    int bits, zero_add;
    bool is_awq;
} packed;

static uint32_t word_at(const unsigned char *p, int64_t i)
{
    uint32_t w;
    memcpy(&w, p + 4 * i, sizeof w);
    return w;
}

/* Number i of a stream of `bits` bits whose words are `step` apart. */
static unsigned stream_at(const unsigned char *p, int64_t first, int64_t step, int bits, int64_t i)
{
    int64_t word = i * bits / 32;
    int shift = (int)(i * bits % 32);
    uint32_t v = word_at(p, first + word * step) >> shift;
    if (shift + bits > 32)
        v |= word_at(p, first + (word + 1) * step) << (32 - shift);
    return v & ((1u << bits) - 1);
}

static unsigned awq_at(const unsigned char *p, int64_t row, int64_t stride, int64_t output)
{
    static const int nibble[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };
    return word_at(p, row * stride + output / 8) >> 4 * nibble[output % 8] & 15;
}

static unsigned code_of(const packed *p, int64_t column, int64_t output)
{
    return p->is_awq ? awq_at(p->codes, column, p->stride, output)
                     : stream_at(p->codes, output, p->outputs, p->bits, column);
}

static unsigned zero_of(const packed *p, int64_t group, int64_t output)
{
    int64_t stride = p->outputs * p->bits / 32;
    unsigned zero = p->is_awq ? awq_at(p->zeros, group, stride, output)
                              : stream_at(p->zeros, group * stride, 1, p->bits, output);
    return zero + (unsigned)p->zero_add;
}

static float scale_of(const packed *p, int64_t group, int64_t output)
{
    float scale;
    fj_quant_of(p->scale_type)
        ->decode(p->scales + (group * p->outputs + output) * p->scale_type->block_bytes, &scale, 1);
    return scale;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------------- */

/* A block of columns of several rows: those that are neighbours in the file's words are read together. */
static void make_block(const packed *p, int64_t at, int64_t row0, int64_t n, unsigned char *out, size_t stride)
{
    enum { ROWS = 16 };
    uint8_t codes[ROWS][MOST_LEN];
    int len = p->type->block_len;
    int64_t group = at / p->group;
    for (int64_t first = 0; first < n; first += ROWS) {
        int64_t rows = n - first < ROWS ? n - first : ROWS;
        for (int i = 0; i < len; i++)
            for (int64_t r = 0; r < rows; r++)
                codes[r][i] = (uint8_t)code_of(p, p->order ? p->order[at + i] : at + i, row0 + first + r);
        for (int64_t r = 0; r < rows; r++) {
            int64_t row = row0 + first + r;
            fj_groups_put(p->type, fj_f32_to_f16(scale_of(p, group, row)), (uint16_t)zero_of(p, group, row), codes[r],
                          out + (size_t)(first + r) * stride);
        }
    }
}

static void rows_packed(const fj_foreign_weight *w, int64_t row0, int64_t n, void *out)
{
    const packed *p = w->how;
    int len = p->type->block_len, bytes = p->type->block_bytes;
    size_t stride = (size_t)(p->cols / len) * (size_t)bytes;
    for (int64_t b = 0; b < p->cols / len; b++)
        make_block(p, b * len, row0, n, (unsigned char *)out + b * bytes, stride);
}

static void rows_wide(const fj_foreign_weight *w, int64_t row0, int64_t n, void *out)
{
    const packed *p = w->how;
    float *to = out;
    for (int64_t r = row0; r < row0 + n; r++, to += p->cols)
        for (int64_t i = 0; i < p->cols; i++) {
            int64_t c = p->order ? p->order[i] : i, group = i / p->group;
            to[c] = ((float)code_of(p, c, r) - (float)zero_of(p, group, r)) * scale_of(p, group, r);
        }
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------------- */

/* Columns in the order of their groups, each of which must have its share of them. */
static fj_status read_order(const fj_foreign_call *c, const fj_tensor *g_idx, packed *p, fj_err *err)
{
    int64_t groups = (p->cols + p->group - 1) / p->group;
    const unsigned char *data = g_idx->data;
    bool in_order = true;
    for (int64_t i = 0; i < p->cols; i++) {
        int64_t g = (int32_t)word_at(data, i);
        if (g < 0 || g >= groups)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' names group %lld of %lld", c->inner->path, g_idx->name,
                           (long long)g, (long long)groups);
        in_order &= g == i / p->group;
    }
    if (in_order)
        return FJ_OK;
    int32_t *order = fj_arena_array(c->arena, (size_t)p->cols, sizeof *order);
    int64_t *next = fj_arena_array(c->arena, (size_t)groups, sizeof *next);
    if (!order || !next)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the order of '%s'", g_idx->name);
    for (int64_t i = 0; i < p->cols; i++) {
        int64_t g = (int32_t)word_at(data, i), place = g * p->group + next[g]++;
        if (next[g] > p->group || place >= p->cols)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' gives group %lld more than %lld columns", c->inner->path,
                           g_idx->name, (long long)g, (long long)p->group);
        order[place] = (int32_t)i;
    }
    p->order = order;
    return FJ_OK;
}

/* Whether every scale is a half, whatever type the file has them in. */
static bool are_halves(const packed *p)
{
    int64_t groups = (p->cols + p->group - 1) / p->group;
    for (int64_t i = 0; p->scale_type != &fj_f16 && i < groups * p->outputs; i++) {
        float scale = scale_of(p, 0, i), half = fj_f16_to_f32(fj_f32_to_f16(scale));
        if (memcmp(&scale, &half, sizeof half) != 0)
            return false;
    }
    return true;
}

static fj_status check_sizes(const fj_foreign_call *c, const fj_tensor *t, const fj_tensor *zeros,
                             const fj_tensor *scales, packed *p, fj_err *err)
{
    int64_t per = 32 / p->bits, words = p->is_awq ? 1 : p->bits;
    if (t->shape.rank != 2 || t->dtype != &fj_i32 || t->shape.dim[0] < 1 || t->shape.dim[1] < 1 ||
        t->shape.dim[0] > INT64_C(1) << 28 || t->shape.dim[1] > INT64_C(1) << 28 ||
        (!p->is_awq && t->shape.dim[0] % words))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is no matrix of words with codes of %d bits", c->inner->path,
                       t->name, p->bits);
    p->stride = t->shape.dim[1];
    p->cols = p->is_awq ? t->shape.dim[0] : t->shape.dim[0] * 32 / p->bits;
    p->outputs = p->is_awq ? t->shape.dim[1] * per : t->shape.dim[1];
    if (p->group < 1 || p->group > p->cols)
        p->group = p->cols;
    int64_t groups = (p->cols + p->group - 1) / p->group;
    if (p->outputs * p->bits % 32 != 0)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has %lld outputs, whose zeros fill no words", c->inner->path,
                       t->name, (long long)p->outputs);
    fj_shape shape = fj_shape_2(groups, p->outputs * p->bits / 32);
    fj_status st = fj_foreign_check(c, t, zeros, "qzeros", &fj_i32, &shape, err);
    if (st)
        return st;
    shape = fj_shape_2(groups, p->outputs);
    st = fj_foreign_check(c, t, scales, "scales", scales && scales->dtype->is_float ? scales->dtype : &fj_f16, &shape,
                          err);
    if (!st) {
        p->zeros = zeros->data;
        p->scales = scales->data;
        p->scale_type = scales->dtype;
    }
    return st;
}

static fj_status open_packed(const fj_foreign_call *c, const fj_tensor *t, packed *p, fj_foreign_weight *out,
                             fj_err *err)
{
    const fj_tensor *zeros = fj_foreign_beside(c, t, "qweight", "qzeros"),
                    *scales = fj_foreign_beside(c, t, "qweight", "scales"),
                    *g_idx = p->is_awq ? NULL : fj_foreign_beside(c, t, "qweight", "g_idx");
    p->codes = t->data;
    fj_status st = check_sizes(c, t, zeros, scales, p, err);
    if (!st && g_idx) {
        fj_shape shape = fj_shape_1(p->cols);
        st = fj_foreign_check(c, t, g_idx, "g_idx", &fj_i32, &shape, err);
        if (!st)
            st = read_order(c, g_idx, p, err);
    }
    if (st)
        return st;
    p->type = p->cols % p->group == 0 && are_halves(p) ? fj_groups_type(p->bits, p->group) : NULL;
    const fj_tensor *parts[] = { t, zeros, scales, g_idx };
    memcpy(out->parts, parts, sizeof parts);
    out->how = p;
    out->rows = p->type ? rows_packed : rows_wide;
    if (p->type)
        out->form.order = p->order;
    out->tensor = (fj_tensor){ .name = fj_arena_printf(c->arena, "%.*sweight",
                                                       (int)(strlen(t->name) - strlen("qweight")), t->name),
                               .dtype = p->type ? p->type : &fj_f32,
                               .shape = fj_shape_2(p->outputs, p->cols) };
    return FJ_OK;
}

static fj_status new_packed(const fj_foreign_call *c, bool is_awq, packed **out, fj_err *err)
{
    int64_t bits = fj_json_int(fj_json_get(c->config, "bits"), is_awq ? 4 : -1);
    bool is_known = is_awq ? bits == 4 : bits == 2 || bits == 3 || bits == 4 || bits == 8;
    if (!is_known)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: quantization_config: bits %lld, wanted %s", c->inner->path,
                       (long long)bits, is_awq ? "4" : "2, 3, 4 or 8");
    *out = fj_arena_take(c->arena, sizeof **out);
    if (!*out)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the weights of %s", c->inner->path);
    **out = (packed){ .bits = (int)bits, .is_awq = is_awq };
    (*out)->group = fj_json_int(fj_json_get(c->config, "group_size"), 128);
    return FJ_OK;
}

static bool is_codes(const fj_tensor *t)
{
    static const char end[] = ".qweight";
    size_t n = strlen(t->name), k = sizeof end - 1;
    return n > k && !strcmp(t->name + n - k, end);
}

static fj_status open_gptq(const fj_foreign_call *c, const fj_tensor *t, fj_foreign_weight *out, bool *is_one,
                           fj_err *err)
{
    packed *p;
    *is_one = is_codes(t);
    fj_status st = *is_one ? new_packed(c, false, &p, err) : FJ_OK;
    if (st || !*is_one)
        return st;
    const char *format = fj_json_string(fj_json_get(c->config, "checkpoint_format"), "gptq");
    if (strcmp(format, "gptq") != 0 && strcmp(format, "gptq_v2") != 0)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: quantization_config: checkpoint_format '%.40s', wanted gptq or gptq_v2",
                       c->inner->path, format);
    p->zero_add = !strcmp(format, "gptq");
    return open_packed(c, t, p, out, err);
}

static fj_status open_awq(const fj_foreign_call *c, const fj_tensor *t, fj_foreign_weight *out, bool *is_one,
                          fj_err *err)
{
    packed *p;
    *is_one = is_codes(t);
    fj_status st = *is_one ? new_packed(c, true, &p, err) : FJ_OK;
    if (st || !*is_one)
        return st;
    const char *version = fj_json_string(fj_json_get(c->config, "version"), "gemm");
    if (strcasecmp(version, "gemm") != 0)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: quantization_config: version '%.40s', wanted gemm", c->inner->path,
                       version);
    return open_packed(c, t, p, out, err);
}

const fj_foreign_reader fj_foreign_awq = { .method = "awq", .open = open_awq };
const fj_foreign_reader fj_foreign_gptq = { .method = "gptq", .open = open_gptq };
