/* SPDX-License-Identifier: Apache-2.0
 * Positions: the keys of rotary embeddings, their frequencies, and the slopes of alibi. Reference: decoders sheet, 0.1 and 15.
 * Source: transformers, modeling_rope_utils.py. */
#include <math.h>
#include <string.h>

#include "models/config.h"
#include "quant/quant.h"

/* rope_scaling of old configurations, rope_parameters of new ones (which hold rope_theta too; one for each kind of layer where the
 * kinds differ). */
static fj_status find_rope(const fj_json *config, const fj_json **out, fj_err *err)
{
    static const char *const keys[] = { "rope_parameters", "rope_scaling" };
    *out = NULL;
    for (size_t i = 0; i < FJ_LEN(keys) && !*out; i++) {
        const fj_json *v = fj_json_get(config, keys[i]);
        if (v && !fj_json_is_null(v) && !fj_json_is_object(v))
            return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' must be an object", keys[i]);
        *out = fj_json_is_object(v) ? v : NULL;
    }
    const fj_json *full = fj_json_get(*out, "full_attention");
    *out = fj_json_is_object(full) ? full : *out;
    return FJ_OK;
}

static fj_status read_llama3(const fj_json *rope, fj_hparams *hp, fj_err *err)
{
    hp->rope_kind = FJ_ROPE_LLAMA3;
    fj_status st = fj_config_real(rope, "low_freq_factor", 1, &hp->rope_low, err);
    if (!st)
        st = fj_config_real(rope, "high_freq_factor", 4, &hp->rope_high, err);
    if (!st)
        st = fj_config_real(rope, "original_max_position_embeddings", 8192, &hp->rope_original, err);
    if (!st && (!(hp->rope_low > 0) || !(hp->rope_high > hp->rope_low) || !(hp->rope_original > 0)))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: llama3 rope scaling with low %g, high %g, original length %g",
                     hp->rope_low, hp->rope_high, hp->rope_original);
    return st;
}

static fj_status check_divisors(const fj_json *list, const char *key, const fj_hparams *hp, fj_err *err)
{
    int64_t n = hp->d_rope / 2;
    bool ok = fj_json_is_array(list) && (int64_t)fj_json_len(list) == n;
    for (int64_t i = 0; ok && i < n; i++)
        ok = fj_json_real(fj_json_at(list, (size_t)i), 0) > 0;
    return ok ? FJ_OK
              : fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' must be a list of %lld numbers above 0", key,
                        (long long)n);
}

/* A given mscale, else sqrt(1 + ln(times) / ln(original)) where the context was stretched. */
static fj_status read_mscales(const fj_json *rope, double times, fj_hparams *hp, fj_err *err)
{
    double m = times > 1 ? sqrt(1 + log(times) / log(hp->rope_original)) : 1;
    fj_status st = fj_config_real(rope, "attention_factor", m, &m, err);
    bool is_own = fj_json_find(rope, "short_mscale|long_mscale") !=
                  NULL; /* phi3small: only long positions are scaled */
    if (!st)
        st = fj_config_real(rope, "short_mscale", 0, &hp->rope_mscale, err);
    if (!st)
        st = fj_config_real(rope, "long_mscale", 0, &hp->rope_mscale_long, err);
    if (!(hp->rope_mscale > 0))
        hp->rope_mscale = is_own ? 1 : m;
    if (!(hp->rope_mscale_long > 0))
        hp->rope_mscale_long = m;
    return st;
}

static fj_status read_long(const fj_json *config, const fj_json *rope, fj_hparams *hp, fj_err *err)
{
    hp->rope_kind = FJ_ROPE_LONG;
    hp->rope_short = fj_json_get(rope, "short_factor");
    hp->rope_long = fj_json_get(rope, "long_factor");
    fj_status st = check_divisors(hp->rope_short, "short_factor", hp, err);
    if (!st)
        st = check_divisors(hp->rope_long, "long_factor", hp, err);
    double factor, original;
    if (!st)
        st = fj_config_real(config, "original_max_position_embeddings", 0, &original, err);
    if (!st)
        st = fj_config_real(rope, "original_max_position_embeddings", original, &hp->rope_original, err);
    if (!st)
        st = fj_config_real(rope, "factor", 0, &factor, err);
    if (st)
        return st;
    if (!(hp->rope_original > 1) && factor > 0)
        hp->rope_original = (double)hp->n_ctx / factor;
    if (!(hp->rope_original > 1))
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: longrope scaling without 'original_max_position_embeddings' above 1");
    return read_mscales(rope, (double)hp->n_ctx / hp->rope_original, hp, err);
}

static fj_status read_scaling(const fj_json *config, const fj_json *rope, fj_hparams *hp, fj_err *err)
{
    const char *old, *kind;
    fj_status st = fj_config_text(rope, "type", "default", &old, err);
    if (!st)
        st = fj_config_text(rope, "rope_type", old, &kind, err);
    if (st || !strcmp(kind, "default") || !strcmp(kind, "none"))
        return st;
    if (!strcmp(kind, "longrope") || !strcmp(kind, "su") || fj_json_get(rope, "long_factor")) /* phi3 once said yarn */
        return read_long(config, rope, hp, err);
    st = fj_config_real(rope, "factor", 0, &hp->rope_factor, err);
    if (st)
        return st;
    if (!(hp->rope_factor > 0))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: rope scaling '%s' without a factor above 0", kind);
    if (!strcmp(kind, "llama3"))
        return read_llama3(rope, hp, err);
    if (strcmp(kind, "linear"))
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: rope scaling '%s' is not known; there are default, linear, llama3 and longrope",
                       kind);
    hp->rope_kind = FJ_ROPE_LINEAR;
    return FJ_OK;
}

/* int(d * share), but a share that was made as r / d gives r back. */
static fj_status read_width(const fj_json *config, const fj_json *rope, double partial, fj_hparams *hp, fj_err *err)
{
    double share;
    fj_status st = fj_config_real(config, "partial_rotary_factor|rotary_pct|rotary_percent", partial, &share, err);
    if (!st)
        st = fj_config_real(rope, "partial_rotary_factor", share, &share, err);
    if (st)
        return st;
    if (!(share > 0 && share <= 1))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: rope turns a share of %g of each head", share);
    hp->d_rope = (int64_t)((double)hp->d_head * share + 1e-9 * (double)hp->d_head);
    if (hp->d_rope % 2 || hp->d_rope == 0)
        return share == 1 ? fj_fail(err, FJ_ERR_FORMAT, "config.json: head_dim %lld is odd", (long long)hp->d_head)
                          : fj_fail(err, FJ_ERR_FORMAT, "config.json: rope turns %lld of a head's %lld values",
                                    (long long)hp->d_rope, (long long)hp->d_head);
    return FJ_OK;
}

fj_status fj_config_rope(const fj_json *config, double partial, fj_hparams *hp, fj_err *err)
{
    const fj_json *rope;
    double theta;
    fj_status st = find_rope(config, &rope, err);
    hp->rope_half = true;
    if (!st)
        st = read_width(config, rope, partial, hp, err);
    if (!st)
        st = fj_config_real(config, "rope_theta|rotary_emb_base|rope_embedding_base", 10000, &theta, err);
    if (!st)
        st = fj_config_real(rope, "rope_theta", theta, &hp->rope_theta, err);
    if (!st && !(hp->rope_theta > 0))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: rope_theta is %g", hp->rope_theta);
    return st ? st : read_scaling(config, rope, hp, err);
}

/* ---- frequencies --------------------------------------------------------------------------------------------------------- */

static double scaled(const fj_hparams *hp, double inverse)
{
    if (hp->rope_kind == FJ_ROPE_LINEAR)
        return inverse / hp->rope_factor;
    if (hp->rope_kind != FJ_ROPE_LLAMA3)
        return inverse;
    double wavelength = 2 * 3.14159265358979323846 / inverse, original = hp->rope_original;
    if (wavelength < original / hp->rope_high)
        return inverse;
    if (wavelength > original / hp->rope_low)
        return inverse / hp->rope_factor;
    double smooth = (original / wavelength - hp->rope_low) / (hp->rope_high - hp->rope_low);
    return (1 - smooth) * inverse / hp->rope_factor + smooth * inverse;
}

static double plain(double theta, int64_t j, int64_t n)
{
    return 1.0 / pow(theta, (double)(2 * j) / (double)(2 * n));
}

static void divided(const fj_hparams *hp, const fj_json *divisors, int64_t n, float *out)
{
    for (int64_t j = 0; j < n; j++)
        out[j] = (float)(plain(hp->rope_theta, j, n) / fj_json_real(fj_json_at(divisors, (size_t)j), 1));
}

void fj_rope_inverse(const fj_hparams *hp, const float *divisors, int64_t n, float *out)
{
    if (hp->rope_kind == FJ_ROPE_LONG) {
        divided(hp, hp->rope_short, n, out);
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        double inverse = plain(hp->rope_theta, j, n);
        out[j] = (float)(divisors ? inverse / divisors[j] : scaled(hp, inverse));
    }
}

void fj_rope_inverse_long(const fj_hparams *hp, int64_t n, float *out)
{
    divided(hp, hp->rope_long, n, out);
}

void fj_rope_inverse_local(const fj_hparams *hp, int64_t n, float *out)
{
    for (int64_t j = 0; j < n; j++)
        out[j] = (float)plain(hp->rope_theta_local, j, n);
}

/* ---- alibi ----------------------------------------------------------------------------------------------------------------- */

/* With n the largest power of two up to the heads: 2^(-m i/n), i = 1…n, then 2^(-m i/2n) for odd i. Added before the scale, as falcon
 * does, slopes are rounded to bf16 there and count times the scale here. */
void fj_alibi_slopes(const fj_hparams *hp, float *out)
{
    int64_t n = 1;
    while (2 * n <= hp->n_heads)
        n *= 2;
    for (int64_t h = 0; h < hp->n_heads; h++) {
        double power = h < n ? (double)(h + 1) / (double)n : (double)(2 * (h - n) + 1) / (double)(2 * n);
        double slope = pow(2, -hp->alibi * power);
        if (hp->alibi_before)
            slope = (double)fj_bf16_to_f32(fj_f32_to_bf16((float)slope)) * hp->attn_scale;
        out[h] = (float)slope;
    }
}
