/* SPDX-License-Identifier: Apache-2.0
 * What is refused of folders that others have quantized; what they read as: train/quantized_test.c. */
#include "formats/foreign.h"

#include <stdlib.h>

#include "base/map.h"
#include "formats/test_files.h"

typedef struct part {
    const char *name, *dtype, *shape;
    size_t bytes;
    const char *text; /* its bytes; NULL: zeros */
} part;

enum { MOST = 8 };

static fj_status open_parts(const char *config, const part *parts, fj_str *file, fj_source **out, fj_err *refused)
{
    fj_err err = { 0 };
    fj_str header = { 0 };
    fj_json *v = NULL;
    size_t at = 0;
    fj_str_add_char(&header, '{');
    for (size_t i = 0; i < MOST && parts[i].name; i++) {
        fj_str_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", i ? "," : "",
                      parts[i].name, parts[i].dtype, parts[i].shape, at, at + parts[i].bytes);
        at += parts[i].bytes;
    }
    fj_str_add_char(&header, '}');
    put_safetensors(file, header.data, 0);
    for (size_t i = 0; i < MOST && parts[i].name; i++) {
        if (parts[i].text)
            fj_str_add(file, parts[i].text, parts[i].bytes);
        else
            put_zeros(file, parts[i].bytes);
    }
    fj_str_free(&header);
    *refused = (fj_err){ 0 };
    CHECK_OK(fj_safetensors_open_bytes(file->data, file->len, out, &err));
    CHECK_OK(fj_json_parse(config, strlen(config), "config", false, &v, &err));
    CHECK(fj_json_set((*out)->config, "quantization_config", v));
    return fj_foreign_open(out, refused);
}

static void check(const char *config, const part *parts, const char *message)
{
    fj_str file = { 0 };
    fj_source *s = NULL;
    fj_err err;
    CHECK(open_parts(config, parts, &file, &s, &err) != FJ_OK);
    CHECK_TEXT(err.message, message);
    s->close(s);
    fj_str_free(&file);
}

#define GPTQ  "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 32}"
#define AWQ   "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32}"
#define BNB   "{\"quant_method\": \"bitsandbytes\"}"
#define STATE "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [2, 64]}"

static const part words = { "a.qweight", "I32", "4,8", 128 }, zeros = { "a.qzeros", "I32", "1,1", 4 },
                  scales = { "a.scales", "F16", "1,8", 16 }, order = { "a.g_idx", "I32", "32", 128 };
static const part codes = { "a.weight", "U8", "64,1", 64 }, absmax = { "a.weight.absmax", "F32", "2", 8 },
                  map = { "a.weight.quant_map", "F32", "16", 64 },
                  nf4_state = { "a.weight.quant_state.bitsandbytes__nf4", "U8", "56", 56, STATE };

TEST(foreign_weights_are_shown_in_place_of_their_parts)
{
    part parts[MOST] = { words, zeros, scales, order, { "b.weight", "F32", "1", 4 } };
    fj_str file = { 0 };
    fj_source *s = NULL;
    fj_err err;
    CHECK_OK(open_parts(GPTQ, parts, &file, &s, &err));
    const fj_tensor *a = s->find(s, "a.weight"), *b = s->find(s, "b.weight");
    CHECK(s->count(s) == 2 && a == s->at(s, 0) && b == s->at(s, 1) && !s->find(s, "a.qweight"));
    CHECK(a->dtype == &fj_u4_32 && a->shape.dim[0] == 8 && a->shape.dim[1] == 32 && !a->data && a->bytes == 8 * 20);
    CHECK(b->data && !s->form(s, a).order);
    s->will_need(s, a);
    s->give_back(s, b);
    s->close(s);
    fj_str_free(&file);
}

TEST(foreign_weights_of_wrong_parts_are_refused)
{
    check("{\"quant_method\": \"hqq\"}", (part[MOST]){ words },
          "(memory): quantization_config: quant_method 'hqq' is not read");
    check("{\"quant_method\": \"gptq\", \"bits\": 5}", (part[MOST]){ words },
          "(memory): quantization_config: bits 5, wanted 2, 3, 4 or 8");
    check("{\"quant_method\": \"awq\", \"bits\": 3}", (part[MOST]){ words },
          "(memory): quantization_config: bits 3, wanted 4");
    check("{\"quant_method\": \"awq\", \"version\": \"gemv\"}", (part[MOST]){ words },
          "(memory): quantization_config: version 'gemv', wanted gemm");
    check("{\"quant_method\": \"gptq\", \"bits\": 4, \"checkpoint_format\": \"marlin\"}", (part[MOST]){ words },
          "(memory): quantization_config: checkpoint_format 'marlin', wanted gptq or gptq_v2");
    check(GPTQ, (part[MOST]){ words, scales }, "(memory): 'a.qweight' has no qzeros");
    check(GPTQ, (part[MOST]){ words, zeros }, "(memory): 'a.qweight' has no scales");
    check(GPTQ, (part[MOST]){ { "a.qweight", "F32", "4,8", 128 }, zeros, scales },
          "(memory): 'a.qweight' is no matrix of words with codes of 4 bits");
    check(GPTQ, (part[MOST]){ { "a.qweight", "I32", "3,8", 96 }, zeros, scales },
          "(memory): 'a.qweight' is no matrix of words with codes of 4 bits");
    check(GPTQ, (part[MOST]){ { "a.qweight", "I32", "4,9", 144 }, zeros, scales },
          "(memory): 'a.qweight' has 9 outputs, whose zeros fill no words");
    check(GPTQ, (part[MOST]){ words, { "a.qzeros", "I32", "2,1", 8 }, scales },
          "(memory): 'a.qzeros' is 2x1, wanted 1x1");
    check(GPTQ, (part[MOST]){ words, zeros, { "a.scales", "I16", "1,8", 16 } },
          "(memory): 'a.scales' is of type I16, wanted F16");
    check(GPTQ, (part[MOST]){ words, zeros, scales, { "a.g_idx", "I32", "31", 124 } },
          "(memory): 'a.g_idx' is 31, wanted 32");
    check(GPTQ, (part[MOST]){ words, zeros, scales, { "a.g_idx", "I32", "32", 128, "\1\0\0\0" STATE STATE STATE } },
          "(memory): 'a.g_idx' names group 1 of 1");
    check(AWQ, (part[MOST]){ { "a.qweight", "I32", "32,1", 128 }, zeros, { "a.scales", "F16", "1,4", 8 } },
          "(memory): 'a.scales' is 1x4, wanted 1x8");
}

TEST(foreign_weights_of_bitsandbytes_with_wrong_parts_are_refused)
{
    static const part other = { "a.weight.quant_state.bitsandbytes__nf4", "U8", "56", 56,
                                "{\"quant_type\": \"nf4\", \"blocksize\": 63, \"shape\": [2, 64]}" };
    check(BNB, (part[MOST]){ codes, map, nf4_state }, "(memory): 'a.weight' has no absmax");
    check(BNB, (part[MOST]){ codes, absmax, nf4_state }, "(memory): 'a.weight' has no quant_map");
    check(
        BNB, (part[MOST]){ codes, absmax, map, other },
        "(memory): 'a.weight.quant_state.bitsandbytes__nf4' is no state of a matrix in blocks of 2 to 4096, scales in "
        "runs of 256");
    check(BNB, (part[MOST]){ { "a.weight", "U8", "63,1", 63 }, absmax, map, nf4_state },
          "(memory): 'a.weight' is 63x1, wanted 64x1");
    check(BNB, (part[MOST]){ codes, { "a.weight.absmax", "F32", "1", 4 }, map, nf4_state },
          "(memory): 'a.weight.absmax' is 1, wanted 2");
    check(BNB, (part[MOST]){ codes, absmax, map, nf4_state, { "a.weight.nested_absmax", "F32", "1", 4 } },
          "(memory): 'a.weight.absmax' is of type F32, wanted U8");
    check(BNB, (part[MOST]){ { "a.weight", "I8", "2,64", 128 }, { "a.SCB", "F32", "3", 12 } },
          "(memory): 'a.SCB' is 3, wanted 2");
    check(BNB,
          (part[MOST]){ { "a.weight", "I8", "2,64", 128 },
                        { "a.SCB", "F32", "2", 8 },
                        { "a.weight_format", "U8", "1", 1, "\3" } },
          "(memory): 'a.weight_format' is not 0, rows");
}

static void copy_to(const char *from, const char *folder, const char *name)
{
    fj_err err = { 0 };
    fj_str bytes = { 0 };
    char *path = fj_path_join(folder, name);
    CHECK_OK(fj_file_read(from, 1 << 20, &bytes, &err));
    CHECK_OK(fj_file_write(path, bytes.data, bytes.len, &err));
    fj_str_free(&bytes);
    free(path);
}

/* config.json says nothing of GPTQ, quantize_config.json does, and names the weights or leaves them their usual name. */
TEST(foreign_folders_of_autogptqs_older_form_are_read)
{
    static const char config[] = "{\"model_type\": \"llama\"}";
    static const struct {
        const char *json, *file;
    } cases[] = {
        { "{\"bits\": 4, \"group_size\": 128, \"desc_act\": false}", "gptq_model-4bit-128g.safetensors" },
        { "{\"bits\": 4, \"group_size\": 128, \"model_file_base_name\": \"m\"}", "m.safetensors" },
        { "{\"bits\": 4, \"group_size\": 128, \"model_file_base_name\": \"model\"}", "model.safetensors" },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_source *got = NULL, *wanted = NULL;
        char *folder = strdup(test_temporary("old-gptq")), from[600];
        CHECK_OK(fj_remove_tree(folder, &err));
        CHECK_OK(fj_make_dirs(folder, &err));
        char *path = fj_path_join(folder, "config.json"), *quantize = fj_path_join(folder, "quantize_config.json");
        CHECK_OK(fj_file_write(path, config, sizeof config - 1, &err));
        CHECK(!fj_weights_in_folder(folder));
        CHECK_OK(fj_file_write(quantize, cases[i].json, strlen(cases[i].json), &err));
        (void)snprintf(from, sizeof from, "%s/model.safetensors", test_golden("foreign/gptq4"));
        copy_to(from, folder, cases[i].file);
        CHECK(fj_weights_in_folder(folder));
        CHECK_OK(fj_weights_open_folder(folder, &got, &err));
        CHECK_OK(fj_weights_open_folder(test_golden("foreign/gptq4"), &wanted, &err));
        CHECK(got->count(got) == wanted->count(wanted));
        for (size_t t = 0; t < wanted->count(wanted); t++) {
            const fj_tensor *w = wanted->at(wanted, t), *g = got->find(got, w->name);
            CHECK(g && g->dtype == w->dtype && g->bytes == w->bytes);
            unsigned char *a = bytes_of(got, g), *b = bytes_of(wanted, w);
            CHECK(!memcmp(a, b, w->bytes));
            free(a);
            free(b);
        }
        got->close(got);
        wanted->close(wanted);
        free(path);
        free(quantize);
        free(folder);
    }
}
