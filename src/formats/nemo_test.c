/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/map.h"
#include "formats/test_files.h"

static void check_same(const char *archive, const char *twin)
{
    fj_err err = { 0 };
    fj_source *got = NULL, *wanted = NULL;
    static const char *const keys[] = {
        "model_type",          "vocab_size",         "hidden_size", "intermediate_size",
        "num_hidden_layers",   "norm_eps",           "head_dim",    "num_attention_heads",
        "num_key_value_heads", "attention_bias",     "mlp_bias",    "partial_rotary_factor",
        "rope_theta",          "hidden_act",         "num_labels",  "max_position_embeddings",
        "architectures",       "tie_word_embeddings"
    };
    CHECK_OK(fj_nemo_open(archive, true, &got, &err));
    CHECK_OK(fj_weights_open_folder(twin, &wanted, &err));
    CHECK(got->count(got) == wanted->count(wanted));
    for (size_t i = 0; i < wanted->count(wanted); i++) {
        const fj_tensor *w = wanted->at(wanted, i), *g = got->find(got, w->name);
        CHECK(g && g->dtype == w->dtype && fj_shape_equal(&g->shape, &w->shape) && g->bytes == w->bytes);
        for (int again = 0; again < 2; again++) {
            unsigned char *bytes = bytes_of(got, g);
            CHECK(!memcmp(bytes, w->data, w->bytes));
            free(bytes);
            got->will_need(got, g);
            got->give_back(got, g);
        }
    }
    for (size_t i = 0; i < FJ_LEN(keys); i++) {
        fj_str a = { 0 }, b = { 0 };
        const fj_json *w = fj_json_get(wanted->config, keys[i]), *g = fj_json_get(got->config, keys[i]);
        CHECK((w != NULL) == (g != NULL));
        CHECK(!w || (fj_json_write(w, 0, 17, &a) && fj_json_write(g, 0, 17, &b)));
        if (w)
            CHECK_TEXT(b.data, a.data);
        fj_str_free(&a);
        fj_str_free(&b);
    }
    CHECK(fj_nemo_tokenizer(got).len > 1000);
    got->close(got);
    wanted->close(wanted);
}

TEST(nemo_archives_hold_the_same_bits_as_their_twins)
{
    char archive[512], twin[512];
    (void)snprintf(archive, sizeof archive, "%s", test_golden("nemo/tiny.nemo"));
    (void)snprintf(twin, sizeof twin, "%s", test_golden("nemo/tiny-twin"));
    CHECK(fj_is_nemo(archive) && !fj_is_nemo(twin));
    check_same(archive, twin);
    (void)snprintf(archive, sizeof archive, "%s", test_golden("nemo/reward.nemo"));
    (void)snprintf(twin, sizeof twin, "%s", test_golden("nemo/reward-twin"));
    check_same(archive, twin);
}

/* ---- by hand ---------------------------------------------------------------------------------------------------------------------- */

static void put_file(fj_str *tar, const char *name, char type, const void *data, size_t len)
{
    char header[512] = { 0 };
    unsigned sum = 0;
    (void)snprintf(header, 100, "%s", name);
    (void)snprintf(header + 124, 12, "%011o", (unsigned)len);
    memset(header + 148, ' ', 8);
    header[156] = type;
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    for (size_t i = 0; i < sizeof header; i++)
        sum += (unsigned char)header[i];
    (void)snprintf(header + 148, 8, "%06o", sum);
    fj_str_add(tar, header, sizeof header);
    fj_str_add(tar, data, len);
    pad_to(tar, 512);
}

#define SIZES \
    "num_layers: 2\nhidden_size: 4\nffn_hidden_size: 6\nnum_attention_heads: 2\nnum_query_groups: 1\nkv_channels: 2\n"
#define KIND "normalization: layernorm1p\nactivation: squared-relu\nposition_embedding_type: rope\n"
#define EMBD "model_weights/model.embedding.word_embeddings.weight/"
#define QKV  "model_weights/model.decoder.layers.self_attention.linear_qkv.weight/"
#define ZARRAY(shape, chunks, type, rest) \
    "{\"zarr_format\":2,\"shape\":" shape ",\"chunks\":" chunks ",\"dtype\":\"" type "\",\"order\":\"C\"" rest "}"
#define PLAIN ZARRAY("[3,4]", "[3,4]", "bfloat16", ",\"compressor\":null,\"filters\":null")

typedef struct broken {
    const char *yaml, *array, *zarray, *chunk;
    size_t chunk_bytes;
    const char *message;
} broken;

static const broken all_broken[] = {
    { NULL, EMBD, PLAIN, "0.0", 24, "no model_config.yaml" },
    { "a: [", EMBD, PLAIN, "0.0", 24, NULL },
    { KIND, EMBD, PLAIN, "0.0", 24, "model_config.yaml: 'num_layers' must be a whole number from 1 to 16777216" },
    { KIND "num_layers: 5000\n", EMBD, PLAIN, "0.0", 24, "model_config.yaml: 5000 layers, at most 4096 are read" },
    { KIND "num_layers: 2\nhidden_size: 4\nffn_hidden_size: 6\nnum_attention_heads: 3\nnum_query_groups: 2\n", EMBD,
      PLAIN, "0.0", 24, "model_config.yaml: 3 heads in 2 groups" },
    { SIZES "normalization: rmsnorm\n", EMBD, PLAIN, "0.0", 24,
      "model_config.yaml: 'normalization' is 'rmsnorm'; of NeMo's models Nemotron is read, which has 'layernorm1p'" },
    { KIND SIZES "tokenizer: { model: 'nemo:x.model' }\n", EMBD, PLAIN, "0.0", 24,
      "model_config.yaml names the tokenizer 'x.model', which is not there" },
    { KIND SIZES "tokenizer: { model: 'nemo:../x.model' }\n", EMBD, PLAIN, "0.0", 24,
      "model_config.yaml: the tokenizer '../x.model' lies elsewhere" },
    { KIND SIZES, "other/", PLAIN, "0.0", 24, "no " EMBD ".zarray" },
    { KIND SIZES, EMBD, PLAIN, "0.1", 24, "no " EMBD "0.0, a chunk of the array beside it" },
    { KIND SIZES, EMBD, PLAIN, "0.0", 23, EMBD "0.0: 23 bytes, a chunk has 24" },
    { KIND SIZES, EMBD, ZARRAY("[3,4]", "[3,4]", "<f4", ",\"compressor\":{\"id\":\"blosc\"}"), "0.0", 48,
      EMBD "0.0: not Blosc's, or not of the 48 bytes of a chunk" },
    { KIND SIZES, EMBD, ZARRAY("[3,4]", "[3,4]", "<f4", ",\"compressor\":{\"id\":\"zlib\"}"), "0.0", 48,
      EMBD ".zarray: the compressor 'zlib' is not read; none and blosc are" },
    { KIND SIZES, EMBD, ZARRAY("[3,4]", "[3,4]", "<f4", ",\"filters\":[{}]"), "0.0", 48,
      EMBD ".zarray: filters, an order but C, or a separator but '.', which are not read" },
    { KIND SIZES, EMBD, ZARRAY("[3,4]", "[3,4]", "<f8", ""), "0.0", 48, EMBD ".zarray: the type '<f8' is not read" },
    { KIND SIZES, EMBD, "{\"zarr_format\":3,\"dtype\":\"<f4\"}", "0.0", 48,
      EMBD ".zarray: not an array of Zarr, version 2" },
    { KIND SIZES, EMBD, ZARRAY("[3,4]", "[3]", "<f4", ""), "0.0", 48,
      EMBD ".zarray: shape and chunks are not as many whole numbers from 1, at most 4" },
    { KIND SIZES, EMBD, ZARRAY("[3,0]", "[3,1]", "<f4", ""), "0.0", 48,
      EMBD ".zarray: shape and chunks are not as many whole numbers from 1, at most 4" },
    { KIND SIZES, EMBD, ZARRAY("[4611686018427387904,2]", "[1,1]", "<f4", ""), "0.0", 48,
      EMBD ".zarray: shape and chunks are not as many whole numbers from 1, at most 4" },
    { KIND SIZES, EMBD, ZARRAY("[4611686018427387904,1]", "[1,1]", "<f4", ""), "0.0", 48,
      EMBD ".zarray: more bytes than can be counted" },
    { KIND SIZES, EMBD, ZARRAY("[1073741824,1073741824]", "[1,1]", "<f4", ""), "0.0", 4,
      "no " EMBD "0.1, a chunk of the array beside it" },
    { KIND SIZES, EMBD, ZARRAY("[3,4,5]", "[3,4,5]", "<f4", ""), "0.0", 48,
      EMBD ".zarray has 3 dimensions, the first 3; model_config.yaml says 2 layers" },
    { KIND SIZES, QKV, ZARRAY("[3,8,4]", "[1,8,4]", "<f4", ""), "0.0.0", 128,
      QKV ".zarray has 3 dimensions, the first 3; model_config.yaml says 2 layers" },
    { KIND SIZES, QKV, ZARRAY("[2,6,4]", "[2,6,4]", "<f4", ""), "0.0.0", 192,
      "model_weights/model.decoder.layers.self_attention.linear_qkv.weight has 6 rows, model_config.yaml says 8" },
};

static void put_archive(fj_str *tar, const broken *b)
{
    char name[200], *data = calloc(1, b->chunk_bytes + 1);
    CHECK(data);
    if (b->yaml)
        put_file(tar, "./model_config.yaml", '0', b->yaml, strlen(b->yaml));
    (void)snprintf(name, sizeof name, "%s.zarray", b->array);
    put_file(tar, name, '0', b->zarray, strlen(b->zarray));
    (void)snprintf(name, sizeof name, "%s%s", b->array, b->chunk);
    put_file(tar, name, '0', data, b->chunk_bytes);
    put_zeros(tar, 1024);
    free(data);
}

static void check_refused(const fj_str *tar, const char *message)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    CHECK(fj_nemo_open_bytes(tar->data, tar->len, &s, &err) == FJ_ERR_FORMAT && !s);
    CHECK(!strncmp(err.message, "(memory): ", 10));
    if (message)
        CHECK_TEXT(err.message + 10, message);
}

TEST(nemo_says_what_is_wrong_with_an_archive)
{
    for (size_t i = 0; i < FJ_LEN(all_broken); i++) {
        fj_str tar = { 0 };
        put_archive(&tar, &all_broken[i]);
        check_refused(&tar, all_broken[i].message);
        fj_str_free(&tar);
    }
}

TEST(nemo_says_what_is_wrong_with_a_tar_file)
{
    fj_str tar = { 0 };
    put_archive(&tar, &all_broken[0]);
    size_t len = tar.len;
    tar.data[3] ^= 1;
    check_refused(&tar, "not a tar archive: a tar archive");
    tar.data[3] ^= 1;
    tar.data[1024 + 3] ^= 1;
    check_refused(&tar, "a tar archive that is damaged at byte 1024");
    tar.data[1024 + 3] ^= 1;
    tar.len = 1024 + 100;
    check_refused(&tar, "a tar archive that is damaged at byte 1024");
    tar.len = len;
    fj_str_clear(&tar);
    put_file(&tar, "a", '0', "x", 1);
    put_file(&tar, "./a", '0', "y", 1);
    check_refused(&tar, "'a' is there twice");
    fj_str_clear(&tar);
    put_file(&tar, "@LongLink", 'L', "dir/a", 6);
    put_file(&tar, "cut", '0', "x", 1);
    put_file(&tar, "PaxHeader", 'x', "18 path=./dir/a\nxy", 18); /* its length is wrong: no path */
    put_file(&tar, "dir/b", '0', "x", 1);
    put_file(&tar, "PaxHeader", 'x', "14 path=dir/a\n", 14);
    put_file(&tar, "dir/c", '0', "y", 1);
    check_refused(&tar, "'dir/a' is there twice");
    fj_str_free(&tar);
}

TEST(nemo_survives_any_byte_being_another)
{
    fj_err err = { 0 };
    fj_str file = { 0 };
    size_t opened = 0, refused = 0;
    CHECK_OK(fj_file_read(test_golden("nemo/reward.nemo"), 1 << 20, &file, &err));
    for (size_t i = 0; i < file.len; i += 7) {
        fj_source *s = NULL;
        file.data[i] ^= (char)(1 << i % 8);
        fj_status st = fj_nemo_open_bytes(file.data, file.len, &s, &err);
        CHECK(!st == !!s && (!st || st == FJ_ERR_FORMAT));
        opened += !st;
        refused += !!st;
        if (s)
            s->close(s);
        file.data[i] ^= (char)(1 << i % 8);
    }
    CHECK(opened > 1000 && refused > 1000);
    fj_str_free(&file);
}
