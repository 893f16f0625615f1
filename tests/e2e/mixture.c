/* SPDX-License-Identifier: Apache-2.0
 * Writes a Mixtral of random bf16 weights as a folder, for runs under a limit of memory. Used by memory.sh, and by hand for large ones.
 *
 * mixture OUT D_MODEL D_FF LAYERS EXPERTS VOCAB
 *
 * Heads have 64 values, four query heads share a key head, two experts take a token. Weights are +-2^-7 to +-2^-5, norms are 1. */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { D_HEAD = 64, KV_SHARE = 4, BLOCK = 1 << 16 };

typedef struct model {
    long d, ff, layers, experts, vocab;
} model;

static uint64_t state = 1;

static uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void die(const char *what)
{
    fprintf(stderr, "mixture: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* Called for each tensor in order; cols 0: a vector. */
typedef void tensor_fn(FILE *f, const char *name, long rows, long cols);

static void each_tensor(const model *m, FILE *f, tensor_fn *each)
{
    long kv = m->d / KV_SHARE;
    char name[128];
    each(f, "model.embed_tokens.weight", m->vocab, m->d);
    for (long i = 0; i < m->layers; i++) {
        const struct {
            const char *name;
            long rows, cols;
        } parts[] = { { "input_layernorm", m->d, 0 },
                      { "self_attn.q_proj", m->d, m->d },
                      { "self_attn.k_proj", kv, m->d },
                      { "self_attn.v_proj", kv, m->d },
                      { "self_attn.o_proj", m->d, m->d },
                      { "post_attention_layernorm", m->d, 0 },
                      { "block_sparse_moe.gate", m->experts, m->d } };
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            (void)snprintf(name, sizeof name, "model.layers.%ld.%s.weight", i, parts[p].name);
            each(f, name, parts[p].rows, parts[p].cols);
        }
        for (long e = 0; e < 3 * m->experts; e++) {
            (void)snprintf(name, sizeof name, "model.layers.%ld.block_sparse_moe.experts.%ld.w%ld.weight", i, e / 3,
                           e % 3 + 1);
            each(f, name, e % 3 == 1 ? m->d : m->ff, e % 3 == 1 ? m->ff : m->d);
        }
    }
    each(f, "model.norm.weight", m->d, 0);
    each(f, "lm_head.weight", m->vocab, m->d);
}

static uint64_t at;

static void describe(FILE *f, const char *name, long rows, long cols)
{
    uint64_t bytes = 2 * (uint64_t)rows * (uint64_t)(cols ? cols : 1);
    char second[32] = "";
    if (cols)
        (void)snprintf(second, sizeof second, ",%ld", cols);
    fprintf(f, "%c\"%s\":{\"dtype\":\"BF16\",\"shape\":[%ld%s],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
            at ? ',' : '{', name, rows, second, at, at + bytes);
    at += bytes;
}

static void fill(FILE *f, const char *name, long rows, long cols)
{
    static uint16_t block[BLOCK];
    uint64_t left = (uint64_t)rows * (uint64_t)(cols ? cols : 1);
    (void)name;
    while (left) {
        size_t n = left < BLOCK ? (size_t)left : BLOCK;
        for (size_t i = 0; i < n; i += 4) {
            uint64_t bits = draw();
            for (size_t k = i; k < n && k < i + 4; k++, bits >>= 16)
                block[k] = cols ? (uint16_t)((bits & 0x80ff) | 0x3c00) : 0x3f80;
        }
        if (fwrite(block, sizeof *block, n, f) != n)
            die("model.safetensors");
        left -= n;
    }
}

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb+");
    if (!f)
        die(path);
    return f;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "mixture OUT D_MODEL D_FF LAYERS EXPERTS VOCAB\n");
        return 2;
    }
    model m = { atol(argv[2]), atol(argv[3]), atol(argv[4]), atol(argv[5]), atol(argv[6]) };
    if (mkdir(argv[1], 0777))
        die(argv[1]);
    FILE *f = create(argv[1], "config.json");
    fprintf(
        f,
        "{\"architectures\":[\"MixtralForCausalLM\"],\"model_type\":\"mixtral\",\"hidden_size\":%ld,\"intermediate_"
        "size\":%ld,"
        "\"num_hidden_layers\":%ld,\"num_attention_heads\":%ld,\"num_key_value_heads\":%ld,\"vocab_size\":%ld,"
        "\"num_local_experts\":%ld,\"num_experts_per_tok\":2,\"max_position_embeddings\":4096,\"rms_norm_eps\":1e-5,"
        "\"rope_theta\":1e6,\"torch_dtype\":\"bfloat16\",\"tie_word_embeddings\":false}\n",
        m.d, m.ff, m.layers, m.d / D_HEAD, m.d / D_HEAD / KV_SHARE, m.vocab, m.experts);
    if (fclose(f))
        die("config.json");
    f = create(argv[1], "model.safetensors");
    fwrite(&(uint64_t){ 0 }, 8, 1, f);
    each_tensor(&m, f, describe);
    fputc('}', f);
    while (ftell(f) % 8)
        fputc(' ', f);
    uint64_t header = (uint64_t)ftell(f) - 8;
    rewind(f);
    fwrite(&header, 8, 1, f);
    if (fseek(f, 0, SEEK_END))
        die("model.safetensors");
    each_tensor(&m, f, fill);
    if (fclose(f))
        die("model.safetensors");
    return 0;
}
