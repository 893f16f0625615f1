/* SPDX-License-Identifier: Apache-2.0
 * See config.h. Positions are in config_rope.c. */
#include "models/config.h"

#include <string.h>

/* With at most 4096 layers of some ten matrices of at most this by 2^20 values, every count of a model's bytes fits 63 bits. */
enum { MOST_WIDTH = 1 << 22, MOST_HEADS = 65536 };

static int first_name(const char *key)
{
    return (int)strcspn(key, "|");
}

/* The key's value, NULL when it is absent or null; a value of the wrong kind fails. */
static fj_status take(const fj_json *config, const char *key, bool (*is)(const fj_json *v), const char *kind,
                      const fj_json **out, fj_err *err)
{
    *out = fj_json_find(config, key);
    return !*out || is(*out)
               ? FJ_OK
               : fj_fail(err, FJ_ERR_FORMAT, "config.json: '%.*s' must be %s", first_name(key), key, kind);
}

fj_status fj_config_real(const fj_json *config, const char *key, double fallback, double *out, fj_err *err)
{
    const fj_json *v;
    fj_status st = take(config, key, fj_json_is_number, "a number", &v, err);
    *out = fj_json_real(v, fallback);
    return st;
}

fj_status fj_config_bool(const fj_json *config, const char *key, bool fallback, bool *out, fj_err *err)
{
    const fj_json *v;
    fj_status st = take(config, key, fj_json_is_bool, "true or false", &v, err);
    *out = fj_json_bool(v, fallback);
    return st;
}

fj_status fj_config_text(const fj_json *config, const char *key, const char *fallback, const char **out, fj_err *err)
{
    const fj_json *v;
    fj_status st = take(config, key, fj_json_is_string, "text", &v, err);
    *out = fj_json_string(v, fallback);
    return st;
}

/* fallback 0: the key must be there. */
fj_status fj_config_count(const fj_json *config, const char *key, int64_t fallback, int64_t most, int64_t *out,
                          fj_err *err)
{
    const fj_json *v = fj_json_find(config, key);
    if (!v) {
        *out = fallback;
        return fallback ? FJ_OK : fj_fail(err, FJ_ERR_FORMAT, "config.json: '%.*s' is missing", first_name(key), key);
    }
    if (!fj_json_is_integer(v) || fj_json_int(v, 0) < 1 || fj_json_int(v, 0) > most)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%.*s' must be a whole number from 1 to %lld", first_name(key),
                       key, (long long)most);
    *out = fj_json_int(v, 0);
    return FJ_OK;
}

fj_status fj_config_activation(const fj_json *config, const char *key, const char *fallback, fj_hparams *hp,
                               fj_err *err)
{
    const char *text;
    fj_status st = fj_config_text(config, key, fallback, &text, err);
    if (st)
        return st;
    hp->act = fj_activation_by_name(text);
    if (hp->act)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_FORMAT, "config.json: %.*s '%s' is not known", first_name(key), key, text);
    return fj_hint(err, "forja has gelu, gelu_new, quick_gelu, relu, relu2, silu");
}

fj_status fj_config_experts(const fj_json *config, const char *key, const char *key_used, fj_hparams *hp, fj_err *err)
{
    fj_status st = fj_config_count(config, key, 0, 1 << 16, &hp->n_experts, err);
    if (!st)
        st = fj_config_count(config, key_used, 0, 1 << 16, &hp->n_experts_used, err);
    if (!st && hp->n_experts_used > hp->n_experts)
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: %lld of %lld experts", (long long)hp->n_experts_used,
                     (long long)hp->n_experts);
    return st;
}

fj_status fj_config_positive(const fj_json *config, const char *key, double *out, fj_err *err)
{
    fj_status st = fj_config_real(config, key, 0, out, err);
    if (!st && fj_json_find(config, key) && !(*out > 0))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: '%.*s' is %g, wanted more than 0", first_name(key), key, *out);
    return st;
}

static const char *name(const char *own, const char *usual)
{
    return own ? own : usual;
}

static fj_status read_eps(const fj_json *config, const fj_config_names *n, fj_hparams *hp, fj_err *err)
{
    const char *key = name(n->norm_eps, "rms_norm_eps");
    fj_status st = fj_config_real(config, key, n->norm_eps_is > 0 ? n->norm_eps_is : 1e-6, &hp->norm_eps, err);
    if (!st && !(hp->norm_eps > 0 && hp->norm_eps < 1))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: %.*s is %g", first_name(key), key, hp->norm_eps);
    return st;
}

static fj_status check_heads(const fj_hparams *hp, fj_err *err)
{
    if (hp->n_heads % hp->n_kv_heads)
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: %lld attention heads are not a multiple of %lld key/value heads",
                       (long long)hp->n_heads, (long long)hp->n_kv_heads);
    if (hp->n_heads * hp->d_head > MOST_WIDTH)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: %lld heads of %lld values are more than %d",
                       (long long)hp->n_heads, (long long)hp->d_head, MOST_WIDTH);
    return FJ_OK;
}

fj_status fj_config_core(const fj_json *config, const fj_config_names *own, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names usual;
    const fj_config_names *n = own ? own : &usual;
    const struct {
        const char *key;
        int64_t *to, most, fallback;
    } first[] = {
        { name(n->d_model, "hidden_size"), &hp->d_model, 1 << 20, 0 },
        { name(n->n_layers, "num_hidden_layers"), &hp->n_layers, FJ_MOST_LAYERS, 0 },
        { name(n->n_heads, "num_attention_heads"), &hp->n_heads, MOST_HEADS, n->n_heads && !*n->n_heads ? 1 : 0 },
        { "vocab_size", &hp->n_vocab, 1 << 24, 0 },
        { name(n->n_ctx, "max_position_embeddings"), &hp->n_ctx, 1 << 30, 2048 },
    };
    for (size_t i = 0; i < FJ_LEN(first); i++) {
        fj_status st = fj_config_count(config, first[i].key, first[i].fallback, first[i].most, first[i].to, err);
        if (st)
            return st;
    }
    fj_status st = fj_config_count(config, name(n->d_ff, "intermediate_size"), n->ff_times * hp->d_model, MOST_WIDTH,
                                   &hp->d_ff, err);
    if (!st)
        st = fj_config_count(config, name(n->n_kv_heads, "num_key_value_heads"), hp->n_heads, MOST_HEADS,
                             &hp->n_kv_heads, err);
    if (!st)
        st = fj_config_count(config, name(n->d_head, "head_dim"),
                             n->d_head_is ? n->d_head_is : FJ_MAX(1, hp->d_model / hp->n_heads), MOST_HEADS,
                             &hp->d_head, err);
    if (!st)
        st = check_heads(hp, err);
    return st ? st : read_eps(config, n, hp, err);
}

fj_status fj_config_window(const fj_json *config, int64_t absent, fj_hparams *hp, fj_err *err)
{
    const fj_json *v = fj_json_get(config, "sliding_window");
    hp->window = fj_json_int(v, v ? 0 : absent);
    if ((v && !fj_json_is_null(v) && !fj_json_is_integer(v)) || hp->window < 0)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: 'sliding_window' must be a whole number of at least 0");
    for (int64_t layer = 0; hp->window && layer < hp->n_layers; layer++)
        fj_layers_add(&hp->windowed, layer);
    return FJ_OK;
}

fj_status fj_config_layer_types(const fj_json *config, int64_t period, fj_hparams *hp, fj_err *err)
{
    const fj_json *types = fj_json_find(config, "layer_types");
    hp->windowed = (fj_layers){ 0 };
    if (types && (!fj_json_is_array(types) || (int64_t)fj_json_len(types) != hp->n_layers))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: 'layer_types' must be a list of %lld names",
                       (long long)hp->n_layers);
    for (int64_t layer = 0; layer < hp->n_layers; layer++) {
        const char *type = fj_json_string(fj_json_at(types, (size_t)layer), "");
        if (types && strcmp(type, "sliding_attention") && strcmp(type, "full_attention"))
            return fj_fail(err, FJ_ERR_FORMAT,
                           "config.json: layer type '%s' is not known; there are sliding_attention and full_attention",
                           type);
        if (hp->window && (types ? !strcmp(type, "sliding_attention") : (layer + 1) % period != 0))
            fj_layers_add(&hp->windowed, layer);
    }
    return FJ_OK;
}

fj_status fj_config_late_window(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    bool uses;
    double full;
    fj_status st = fj_config_bool(config, "use_sliding_window", false, &uses, err);
    if (st || !uses)
        return st;
    st = fj_config_window(config, 4096, hp, err);
    if (!st)
        st = fj_config_real(config, "max_window_layers", 28, &full, err);
    if (st || fj_json_find(config, "layer_types"))
        return st ? st : fj_config_layer_types(config, 1, hp, err);
    hp->windowed = (fj_layers){ 0 };
    for (int64_t layer = 0; hp->window && layer < hp->n_layers; layer++)
        if ((double)layer >= full)
            fj_layers_add(&hp->windowed, layer);
    return FJ_OK;
}
