/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/map.h"
#include "formats/formats.h"
#include "formats/test_files.h"

static fj_source *open_bytes(const fj_str *file)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    CHECK_OK(fj_safetensors_open_bytes(file->data, file->len, &s, &err));
    return s;
}

static void write_file(const char *path, const void *data, size_t len)
{
    fj_err err = { 0 };
    CHECK_OK(fj_file_write(path, data, len, &err));
}

static char *kept(const char *path)
{
    char *copy = strdup(path);
    CHECK(copy);
    return copy;
}

TEST(safetensors_lists_tensors_as_views_of_the_file)
{
    fj_str file = { 0 };
    put_safetensors(&file,
                    "{\"__metadata__\":{\"format\":\"pt\"},"
                    "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[2,26]},"
                    "\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
                    "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[26,26]}}  ",
                    26);
    fj_source *s = open_bytes(&file);
    CHECK(s->count(s) == 3 && s->naming == FJ_NAMING_HF && fj_json_is_object(s->config));
    const fj_tensor *b = s->find(s, "b"), *a = s->find(s, "a"), *none = s->find(s, "none");
    CHECK(s->at(s, 0) == b && s->at(s, 1) == a && s->at(s, 2) == none);
    CHECK(b->dtype == &fj_f32 && b->shape.rank == 2 && b->shape.dim[0] == 2 && b->shape.dim[1] == 3 && b->bytes == 24);
    CHECK(((const unsigned char *)b->data)[0] == 2 && ((const unsigned char *)b->data)[23] == 25);
    CHECK(a->dtype == &fj_bf16 && a->shape.rank == 0 && a->bytes == 2 && ((const unsigned char *)a->data)[0] == 0);
    CHECK(none->bytes == 0 && none->shape.dim[1] == 7);
    CHECK(!s->find(s, "c") && !s->find(s, "__metadata__") && !s->find(s, ""));
    s->close(s);
    fj_str_free(&file);
}

TEST(safetensors_reads_every_plain_type)
{
    static const char *const names[] = { "BOOL", "U8",  "I8",  "U16", "I16", "F16", "BF16",
                                         "U32",  "I32", "F32", "U64", "I64", "F64" };
    for (size_t i = 0; i < FJ_LEN(names); i++) {
        char header[128];
        size_t bytes = i < 3 ? 1 : i < 7 ? 2 : i < 10 ? 4 : 8;
        fj_str file = { 0 };
        (void)snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%zu]}}",
                       names[i], 3 * bytes);
        put_safetensors(&file, header, 3 * bytes);
        fj_source *s = open_bytes(&file);
        CHECK_TEXT(s->at(s, 0)->dtype->name, names[i]);
        s->close(s);
        fj_str_free(&file);
    }
}

/* What is wrong with a file, and what is said of it. The message begins with the file's name, which is "(memory)" here. */
typedef struct broken {
    const char *header;
    size_t data;
    const char *message, *hint;
} broken;

#define GET_AGAIN "the download was cut or the file is damaged; get it again"
#define X(fields) "{\"x\":{" fields "}}"

static const broken all_broken[] = {
    { "", 0, "not safetensors: the header does not begin with '{'", "" },
    { " {}", 0, "not safetensors: the header does not begin with '{'", "" },
    { "[1]", 0, "not safetensors: the header does not begin with '{'", "" },
    { "{\"x\":", 0, "not JSON: line 1, column 5: unexpected token near end of file", "" },
    { "{\"__metadata__\":1}", 0, "__metadata__ is not an object", "" },
    { "{\"x\":3}", 0, "'x' has no dtype", "" },
    { X("\"dtype\":\"F32\",\"shape\":[1]"), 4, "'x' has no data_offsets of two numbers", "" },
    { X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]"), 4, "'x' has no data_offsets of two numbers", "" },
    { X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4.0]"), 4, "'x' lies at bytes 0 to -1 of 4", "" },
    { X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), 4, "'x' lies at bytes 4 to 0 of 4", "" },
    { X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]"), 4,
      "not JSON: line 1, column 70: too big integer near '99999999999999999999'", "" },
    { X("\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]"), 4, "'x' is of type 'F8_E4M3', which is not read",
      "" },
    { X("\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "'x' is of type 'f32', which is not read", "" },
    { X("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "'x' has no shape", "" },
    { X("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]"), 4,
      "'x' has 5 dimensions, at most 4 are read", "" },
    { X("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"), 4, "dimension 0 of 'x' is no whole number from 0",
      "" },
    { X("\"dtype\":\"F32\",\"shape\":[1,1.0],\"data_offsets\":[0,4]"), 4,
      "dimension 1 of 'x' is no whole number from 0", "" },
    { X("\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]"), 4,
      "dimension 0 of 'x' is no whole number from 0", "" },
    { X("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]"), 4,
      "'x' has more values than can be counted", "" },
    { X("\"dtype\":\"F64\",\"shape\":[2147483648,4294967295],\"data_offsets\":[0,4]"), 4,
      "'x' has more bytes than can be counted", "" },
    { X("\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,20]"), 20, "'x' has 20 bytes, 2x3 of type F32 has 24",
      "" },
    { X("\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]"), 3,
      "the header speaks of 8 bytes of tensors, the file has 3: 5 missing", GET_AGAIN },
    { X("\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]"), 9, "1 bytes behind the last tensor", "" },
    { "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
      "offsets\":[3,5]}}",
      5, "'y' begins at byte 3, what lies before it ends at 4: they overlap", "" },
    { "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"U8\",\"shape\":[4],\"data_"
      "offsets\":[0,4]}}",
      4, NULL, "" }, /* the order of equals is the sort's: either name */
    { "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
      "offsets\":[6,8]}}",
      8, "'y' begins at byte 6, what lies before it ends at 4: a hole", "" },
    { "{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_"
      "offsets\":[0,4]}}",
      4, "the header has 2 entries of 1 names: a tensor is there twice", "" },
};

TEST(safetensors_says_what_is_wrong_with_a_broken_file)
{
    for (size_t i = 0; i < FJ_LEN(all_broken); i++) {
        const broken *b = &all_broken[i];
        fj_str file = { 0 };
        fj_source *s = NULL;
        fj_err err = { 0 };
        put_safetensors(&file, b->header, b->data);
        CHECK(fj_safetensors_open_bytes(file.data, file.len, &s, &err) == FJ_ERR_FORMAT && !s);
        CHECK(!strncmp(err.message, "(memory): ", 10));
        if (b->message)
            CHECK_TEXT(err.message + 10, b->message);
        CHECK_TEXT(err.hint, b->hint);
        fj_str_free(&file);
    }
}

TEST(safetensors_counts_names_that_hold_brackets_and_quotes)
{
    fj_str file = { 0 };
    put_safetensors(&file,
                    "{\"a\\\"}{[:\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                    "\"\\\\\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
                    2);
    fj_source *s = open_bytes(&file);
    CHECK(s->find(s, "a\"}{[:") && s->find(s, "\\"));
    s->close(s);
    fj_str_free(&file);
}

static void check_bytes(const char *bytes, size_t len, const char *message, const char *hint)
{
    fj_source *s = NULL;
    fj_err err = { 0 };
    CHECK(fj_safetensors_open_bytes(bytes, len, &s, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, message);
    CHECK_TEXT(err.hint, hint);
}

TEST(safetensors_says_what_a_file_is_that_is_none)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    check_bytes(pointer, sizeof pointer - 1, "(memory): not safetensors: a pointer of Git LFS",
                "fetch the real file: git lfs pull, or download it again");
    check_bytes("<!DOCTYPE html><p>", 18, "(memory): not safetensors: a web page",
                "the download went wrong; get the file again");
    check_bytes("GGUF\3\0\0\0\0\0\0\0\0\0\0\0", 16, "(memory): not safetensors: a GGUF file",
                "give the file itself as MODEL");
    check_bytes("", 0, "(memory): not safetensors: the file is empty", "");
    check_bytes("\5\0\0", 3, "(memory): not safetensors", "");
    check_bytes("\x63\0\0\0\0\0\0\0{\"a", 11, "(memory): a header of 99 bytes in a file of 11", GET_AGAIN);
    check_bytes("\1\xe1\xf5\5\0\0\0\0{\"a", 11, "(memory): not safetensors: a safetensors file",
                "give the folder that has config.json and the weights");
}

TEST(safetensors_gives_pages_back_and_reads_them_again)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    size_t n = 5 * 4096 + 100;
    unsigned char *bytes = malloc(n);
    CHECK(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    fj_tensor t = { "x", &fj_u8, fj_shape_1((int64_t)n), bytes, n };
    char *path = kept(test_temporary("give-back.safetensors"));
    CHECK_OK(fj_safetensors_write(path, &t, 1, NULL, &err));
    CHECK_OK(fj_safetensors_open_file(path, NULL, &s, &err));
    const fj_tensor *back = s->find(s, "x");
    CHECK(back && back->bytes == n && !memcmp(back->data, bytes, n));
    s->give_back(s, back);
    s->will_need(s, back);
    CHECK(!memcmp(back->data, bytes, n));
    s->close(s);
    free(bytes);
    free(path);
}

/* ---- folders --------------------------------------------------------------------------------------------------------------------- */

static void in_folder(const char *folder, const char *name, const void *data, size_t len)
{
    fj_err err = { 0 };
    CHECK_OK(fj_make_dirs(folder, &err));
    char *path = fj_path_join(folder, name);
    CHECK(path);
    write_file(path, data, len);
    free(path);
}

static void shard_in_folder(const char *folder, const char *name, const char *tensor)
{
    char header[256];
    fj_str file = { 0 };
    (void)snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", tensor);
    put_safetensors(&file, header, 4);
    in_folder(folder, name, file.data, file.len);
    fj_str_free(&file);
}

/* A folder with two shards, "a" in the first, "b" in the second, and an index. */
static void make_shards(const char *folder, const char *index)
{
    in_folder(folder, "config.json", "{\"model_type\": \"x\"}", 19);
    in_folder(folder, "model.safetensors.index.json", index, strlen(index));
    shard_in_folder(folder, "model-1.safetensors", "a");
    shard_in_folder(folder, "model-2.safetensors", "b");
    in_folder(folder, "consolidated.safetensors", "broken", 6);
}

TEST(safetensors_opens_a_folder_of_shards_and_nothing_but_them)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    char *folder = kept(test_temporary("shards"));
    make_shards(folder, "{\"metadata\":{\"total_size\":8},"
                        "\"weight_map\":{\"b\":\"model-2.safetensors\",\"a\":\"model-1.safetensors\"}}");
    CHECK_OK(fj_weights_open_folder(folder, &s, &err));
    CHECK(s->count(s) == 2 && s->find(s, "a") && s->find(s, "b"));
    CHECK_TEXT(fj_json_string(fj_json_get(s->config, "model_type"), ""), "x");
    s->will_need(s, s->find(s, "a"));
    s->give_back(s, s->find(s, "b"));
    CHECK(((const char *)s->find(s, "b")->data)[3] == 3);
    s->close(s);
    free(folder);
}

TEST(safetensors_says_what_is_wrong_with_an_index)
{
    static const char *const cases[][2] = {
        { "{}", "no weight_map" },
        { "{\"weight_map\":[\"a\"]}", "no weight_map" },
        { "{\"weight_map\":{}}", "no weight_map" },
        { "{\"weight_map\":{\"a\":7}}", "'a' lies in '', which is no plain .safetensors name" },
        { "{\"weight_map\":{\"a\":\"../model-1.safetensors\"}}",
          "'a' lies in '../model-1.safetensors', which is no plain .safetensors name" },
        { "{\"weight_map\":{\"a\":\"/tmp/x.safetensors\"}}",
          "'a' lies in '/tmp/x.safetensors', which is no plain .safetensors name" },
        { "{\"weight_map\":{\"a\":\".safetensors\"}}",
          "'a' lies in '.safetensors', which is no plain .safetensors name" },
        { "{\"weight_map\":{\"a\":\"config.json\"}}",
          "'a' lies in 'config.json', which is no plain .safetensors name" },
        { "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"c\":\"model-3.safetensors\"}}",
          "names 'model-3.safetensors', file 2 of 2, which is not there" },
        { "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"c\":\"model-2.safetensors\"}}",
          "'c' should lie in 'model-2.safetensors', which does not have it" },
        { "{\"weight_map\":{\"a\":\"model-2.safetensors\",\"b\":\"model-1.safetensors\"}}",
          "'a' should lie in 'model-2.safetensors', which does not have it" },
    };
    char *folder = kept(test_temporary("bad-index"));
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_source *s = NULL;
        make_shards(folder, cases[i][0]);
        CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT && !s);
        const char *at = strstr(err.message, ".index.json: ");
        CHECK(at && !strncmp(err.message, folder, strlen(folder)));
        CHECK_TEXT(at + strlen(".index.json: "), cases[i][1]);
    }
    free(folder);
}

TEST(safetensors_refuses_a_tensor_that_two_shards_have)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    char *folder = kept(test_temporary("twice"));
    make_shards(folder, "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\"}}");
    shard_in_folder(folder, "model-2.safetensors", "a");
    CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT && !s);
    CHECK(strstr(err.message, "model-2.safetensors: 'a' is in another file of the model too"));
    free(folder);
}

TEST(safetensors_says_what_a_folder_lacks)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    char *folder = kept(test_temporary("lacking"));
    CHECK_OK(fj_make_dirs(folder, &err));
    CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT);
    CHECK(strstr(err.message, "lacking: no config.json"));
    in_folder(folder, "config.json", "[]", 2);
    CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT);
    CHECK(strstr(err.message, "config.json: not an object"));
    in_folder(folder, "config.json", "{}", 2);
    CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT);
    CHECK(strstr(err.message, "lacking: no model.safetensors, no pytorch_model.bin and no index of either"));
    CHECK_TEXT(err.hint, "a model folder has config.json and its weights as safetensors or pytorch_model.bin");
    in_folder(folder, "consolidated.00.pth", "", 0);
    CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.hint, "consolidated.00.pth is Meta's own form; get the same model in Hugging Face's");
    in_folder(folder, "pytorch_model.bin", "", 0);
    CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT);
    CHECK(strstr(err.message, "pytorch_model.bin: not PyTorch's: the file is empty"));
    free(folder);
}

/* ---- writing --------------------------------------------------------------------------------------------------------------------- */

TEST(safetensors_reads_back_what_it_writes_in_pieces)
{
    fj_err err = { 0 };
    static const float x[6] = { 1, -2, 3.5f, 0, 1e-30f, -0.0f };
    static const uint16_t y[3] = { 1, 2, 0xffff };
    const fj_tensor list[] = { { "layer.0.x", &fj_f32, fj_shape_2(2, 3), x, sizeof x },
                               { "ñ\"\\", &fj_bf16, fj_shape_1(3), y, sizeof y },
                               { "empty", &fj_i64, fj_shape_2(0, 4), NULL, 0 } };
    char *path = kept(test_temporary("written.safetensors"));
    fj_json *metadata = fj_json_new_object();
    CHECK(fj_json_set(metadata, "step", fj_json_new_text("7", 1)));
    fj_safetensors_writer *w = NULL;
    CHECK_OK(fj_safetensors_create(path, list, 3, metadata, &w, &err));
    CHECK(!fj_path_exists(path)); /* nothing before the commit */
    CHECK_OK(fj_safetensors_add(w, x, 10, &err));
    CHECK_OK(fj_safetensors_add(w, (const char *)x + 10, sizeof x - 10, &err));
    CHECK_OK(fj_safetensors_add(w, y, sizeof y, &err));
    CHECK_OK(fj_safetensors_commit(w, &err));

    fj_source *s = NULL;
    fj_str raw = { 0 };
    CHECK_OK(fj_safetensors_open_file(path, metadata, &s, &err));
    CHECK(s->count(s) == 3 && s->config == metadata);
    for (size_t i = 0; i < 3; i++) {
        const fj_tensor *t = s->at(s, i);
        CHECK_TEXT(t->name, list[i].name);
        CHECK(t->dtype == list[i].dtype && fj_shape_equal(&t->shape, &list[i].shape) && t->bytes == list[i].bytes);
        CHECK(!t->bytes || !memcmp(t->data, list[i].data, t->bytes));
    }
    CHECK_OK(fj_file_read(path, 1 << 20, &raw, &err));
    uint64_t header;
    memcpy(&header, raw.data, sizeof header);
    CHECK(header % 8 == 0 && raw.len == 8 + header + sizeof x + sizeof y);
    CHECK(strstr(raw.data + 8, "{\"__metadata__\": {\"step\": \"7\"}"));
    s->close(s);
    fj_str_free(&raw);
    fj_json_free(metadata);
    free(path);
}

TEST(safetensors_writer_leaves_the_old_file_when_bytes_are_missing_or_too_many)
{
    fj_err err = { 0 };
    static const char bytes[8] = "abcdefg";
    const fj_tensor t = { "x", &fj_u8, fj_shape_1(8), bytes, 8 };
    char *path = kept(test_temporary("kept.safetensors"));
    fj_safetensors_writer *w = NULL;
    write_file(path, "old", 3);
    CHECK_OK(fj_safetensors_create(path, &t, 1, NULL, &w, &err));
    CHECK_OK(fj_safetensors_add(w, bytes, 7, &err));
    CHECK(fj_safetensors_add(w, bytes, 2, &err) == FJ_ERR_ARG);
    CHECK(strstr(err.message, "more bytes than the 8 of its tensors"));
    CHECK(fj_safetensors_commit(w, &err) == FJ_ERR_ARG);
    CHECK(strstr(err.message, "7 bytes of tensors were given, 1 are missing"));
    fj_str raw = { 0 };
    CHECK_OK(fj_file_read(path, 100, &raw, &err));
    CHECK_TEXT(raw.data, "old");
    fj_str_free(&raw);
    free(path);
}

TEST(safetensors_writer_refuses_lists_that_no_reader_would_take)
{
    fj_err err = { 0 };
    const fj_tensor quantized = { "q", &fj_q8_0, fj_shape_1(32), NULL, 34 },
                    other = { "x", &fj_u8, fj_shape_1(4), NULL, 5 };
    const fj_tensor twice[2] = { { "x", &fj_u8, fj_shape_1(1), "a", 1 }, { "x", &fj_u8, fj_shape_1(1), "b", 1 } };
    const fj_tensor name = { "\xff", &fj_u8, fj_shape_1(1), "a", 1 };
    char *path = kept(test_temporary("refused.safetensors"));
    CHECK(fj_safetensors_write(path, &quantized, 1, NULL, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "safetensors has no type Q8_0 ('q')");
    CHECK(fj_safetensors_write(path, &other, 1, NULL, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "'x' has 5 bytes, its shape and type 4");
    CHECK(fj_safetensors_write(path, twice, 2, NULL, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "'x' is a name that was given before or is not UTF-8");
    CHECK(fj_safetensors_write(path, &name, 1, NULL, &err) == FJ_ERR_ARG);
    CHECK(!fj_path_exists(path));
    free(path);
}

TEST(safetensors_survives_any_byte_being_another)
{
    fj_str file = { 0 };
    put_safetensors(
        &file,
        "{\"__metadata__\":{\"format\":\"pt\"},\"x\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
        "\"y\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]}}",
        11);
    size_t opened = 0, refused = 0;
    for (size_t i = 0; i < file.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            fj_source *s = NULL;
            fj_err err = { 0 };
            file.data[i] ^= (char)(1 << bit);
            if (fj_safetensors_open_bytes(file.data, file.len, &s, &err)) {
                CHECK(err.status == FJ_ERR_FORMAT && !s);
                refused++;
            } else {
                s->close(s);
                opened++;
            }
            file.data[i] ^= (char)(1 << bit);
        }
    for (size_t len = 0; len < file.len; len++) { /* and any cut */
        fj_source *s = NULL;
        fj_err err = { 0 };
        CHECK(fj_safetensors_open_bytes(file.data, len, &s, &err) == FJ_ERR_FORMAT);
    }
    CHECK(opened > 100 && refused > 500); /* names and data may be anything, the rest may not */
    fj_str_free(&file);
}
