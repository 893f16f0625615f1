/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/map.h"
#include "formats/formats.h"
#include "formats/test_files.h"

#define GET_AGAIN "the download was cut or the file is damaged; get it again"

/* ---- a file to begin with ---------------------------------------------------------------------------------------------------- */

/* One entry of each kind, two tensors of 64 and 36 bytes at an alignment of 64. */
static void put_sample(fj_str *s, uint32_t version)
{
    put_gguf(s, version, 2, 16);
    put_key_text(s, "general.architecture", "toy");
    put_key_u32(s, "general.alignment", 64);
    put_key(s, "u8", FJ_GGUF_U8);
    fj_str_add_char(s, (char)200);
    put_key(s, "i8", FJ_GGUF_I8);
    fj_str_add_char(s, (char)-3);
    put_key(s, "u16", FJ_GGUF_U16);
    fj_str_add(s, "\xff\xff", 2);
    put_key(s, "i16", FJ_GGUF_I16);
    fj_str_add(s, "\xfe\xff", 2);
    put_key(s, "i32", FJ_GGUF_I32);
    put_u32(s, (uint32_t)-7);
    put_key_f32(s, "f32", 0.5f);
    put_key(s, "bool", FJ_GGUF_BOOL);
    fj_str_add_char(s, 1);
    put_key(s, "u64", FJ_GGUF_U64);
    put_u64(s, UINT64_MAX);
    put_key(s, "i64", FJ_GGUF_I64);
    put_u64(s, (uint64_t)-9);
    put_key(s, "f64", FJ_GGUF_F64);
    fj_str_add(s, &(double){ 1e300 }, 8);
    put_key_text(s, "empty", "");
    put_key_array(s, "numbers", FJ_GGUF_I16, 3);
    fj_str_add(s, (const int16_t[]){ 5, -6, 7 }, 6);
    put_key_array(s, "texts", FJ_GGUF_STRING, 3);
    put_text(s, "eins");
    put_text(s, "");
    put_text(s, "tres");
    put_key_array(s, "nothing", FJ_GGUF_STRING, 0);
    put_tensor(s, "b", (uint64_t[8]){ 8, 2 }, 0, 64);
    put_tensor(s, "a", (uint64_t[8]){ 32 }, 8, 0);
    pad_to(s, 64);
    for (int i = 0; i < 128; i++)
        fj_str_add_char(s, (char)i);
}

static fj_source *open_bytes(const fj_str *file)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    CHECK_OK(fj_gguf_open_bytes(file->data, file->len, &s, &err));
    return s;
}

TEST(gguf_lists_tensors_with_dimensions_slowest_first)
{
    for (uint32_t version = 2; version <= 3; version++) {
        fj_str file = { 0 };
        put_sample(&file, version);
        fj_source *s = open_bytes(&file);
        const fj_tensor *a = s->find(s, "a"), *b = s->find(s, "b");
        CHECK(s->count(s) == 2 && s->at(s, 0) == b && s->at(s, 1) == a && s->naming == FJ_NAMING_GGUF);
        CHECK(b->dtype == &fj_f32 && b->shape.rank == 2 && b->shape.dim[0] == 2 && b->shape.dim[1] == 8);
        CHECK(b->bytes == 64 && ((const char *)b->data)[0] == 64);
        CHECK(a->dtype == &fj_q8_0 && a->shape.rank == 1 && a->shape.dim[0] == 32);
        CHECK(a->bytes == 34 && ((const char *)a->data)[33] == 33);
        CHECK(!s->find(s, "c"));
        CHECK_TEXT(fj_json_string(fj_json_get(s->config, "gguf_arch"), ""), "toy");
        CHECK(fj_json_len(s->config) == 1);
        s->close(s);
        fj_str_free(&file);
    }
}

TEST(gguf_answers_metadata_of_every_kind)
{
    fj_str file = { 0 };
    put_sample(&file, 3);
    fj_source *s = open_bytes(&file);
    CHECK(fj_gguf_count(s) == 16 && fj_text_is(fj_gguf_at(s, 7)->key, "f32"));
    static const struct {
        const char *key;
        int64_t integer;
        double real;
    } wanted[] = { { "u8", 200, 200 },      { "i8", -3, -3 },
                   { "u16", 65535, 65535 }, { "i16", -2, -2 },
                   { "i32", -7, -7 },       { "f32", 99, 0.5 },
                   { "bool", 1, 1 },        { "u64", 99, 0x1p64 },
                   { "i64", -9, -9 },       { "f64", 99, 1e300 },
                   { "empty", 99, 99 },     { "numbers", 99, 99 },
                   { "absent", 99, 99 },    { "general.alignment", 64, 64 } };
    for (size_t i = 0; i < FJ_LEN(wanted); i++) {
        const fj_gguf_value *v = fj_gguf_find(s, wanted[i].key);
        CHECK(fj_gguf_int(v, 99) == wanted[i].integer && fj_gguf_real(v, 99) == wanted[i].real);
    }
    CHECK(fj_text_is(fj_gguf_text(fj_gguf_find(s, "general.architecture")), "toy"));
    CHECK(fj_gguf_text(fj_gguf_find(s, "empty")).data && !fj_gguf_text(fj_gguf_find(s, "u8")).data);
    const fj_gguf_value *numbers = fj_gguf_find(s, "numbers"), *texts = fj_gguf_find(s, "texts");
    CHECK(numbers->count == 3 && numbers->element == FJ_GGUF_I16 && numbers->bytes.len == 6);
    CHECK(fj_gguf_number_at(numbers, 1) == -6 && fj_gguf_number_at(numbers, 3) == 0);
    size_t at = 0;
    fj_text t;
    CHECK(fj_gguf_next_string(texts, &at, &t) && fj_text_is(t, "eins"));
    CHECK(fj_gguf_next_string(texts, &at, &t) && t.len == 0);
    CHECK(fj_gguf_next_string(texts, &at, &t) && fj_text_is(t, "tres"));
    CHECK(!fj_gguf_next_string(texts, &at, &t) && fj_gguf_number_at(texts, 0) == 0);
    at = 0;
    CHECK(!fj_gguf_next_string(numbers, &at, &t) && !fj_gguf_next_string(fj_gguf_find(s, "nothing"), &at, &t));
    s->close(s);
    fj_str_free(&file);
}

/* ---- broken files ------------------------------------------------------------------------------------------------------------ */

static void check_broken(const fj_str *file, const char *message, const char *hint)
{
    fj_source *s = NULL;
    fj_err err = { 0 };
    CHECK(fj_gguf_open_bytes(file->data, file->len, &s, &err) == FJ_ERR_FORMAT && !s);
    CHECK(!strncmp(err.message, "(memory): ", 10));
    CHECK_TEXT(err.message + 10, message);
    CHECK_TEXT(err.hint, hint);
}

/* One tensor and its data, in a file that is right but for it. */
typedef struct broken_tensor {
    const char *name;
    uint64_t dims[8];
    uint32_t type;
    uint64_t offset;
    size_t data;
    const char *message, *hint;
} broken_tensor;

static const broken_tensor broken_tensors[] = {
    { "", { 8 }, 0, 0, 32, "the name of tensor 1 is empty", "" },
    { "w", { 1, 1, 1, 1, 1, 1, 2 }, 0, 0, 32, "'w' has 7 dimensions, at most 4 are read", "" },
    { "w", { UINT64_MAX }, 0, 0, 32, "'w' has more values than can be counted", "" },
    { "w", { 1ull << 32, 1ull << 31 }, 0, 0, 32, "'w' has more values than can be counted", "" },
    { "w", { 1ull << 32, (1ull << 31) - 1 }, 28, 0, 32, "'w' has more bytes than can be counted", "" },
    { "w", { 8 }, 4, 0, 32, "'w' is of type 4 (Q4_2, retired in 2023)", "" },
    { "w", { 8 }, 31, 0, 32, "'w' is of type 31 (Q4_0_4_4, retired in 2024)", "" },
    { "w", { 256 }, 40, 0, 256, "'w' is of type 40 (NVFP4, not supported)", "" },
    { "w", { 8 }, 77, 0, 32, "'w' is of type 77 (unknown)", "" },
    { "w", { 33, 32 }, 8, 0, 2000, "'w' has rows of 33 values, Q8_0 comes in blocks of 32", "" },
    { "w", { 128, 2 }, 12, 0, 300, "'w' has rows of 128 values, Q4_K comes in blocks of 256", "" },
    { "w", { 8 }, 0, 16, 64, "'w' lies at 16, no multiple of 32", "" },
    { "w", { 8 }, 0, 64, 64, "'w' needs 32 bytes at 64, the file's data has 64", GET_AGAIN },
    { "w",
      { 8 },
      0,
      UINT64_MAX - 31,
      64,
      "'w' needs 32 bytes at 18446744073709551584, the file's data has 64",
      GET_AGAIN },
    { "w", { 8, 3 }, 0, 0, 95, "'w' needs 96 bytes at 0, the file's data has 95", GET_AGAIN },
    { "first", { 1 }, 0, 32, 64, "'first' is there twice", "" },
    { "w", { 8 }, 0, 0, 64, "'first' and 'w' overlap", "" },
};

TEST(gguf_says_what_is_wrong_with_a_tensor)
{
    for (size_t i = 0; i < FJ_LEN(broken_tensors); i++) {
        const broken_tensor *b = &broken_tensors[i];
        bool is_second = strstr(b->message, "first") != NULL;
        fj_str file = { 0 };
        put_gguf(&file, 3, is_second ? 2 : 1, 0);
        if (is_second)
            put_tensor(&file, "first", (uint64_t[8]){ 8 }, 0, 0);
        put_tensor(&file, b->name, b->dims, b->type, b->offset);
        pad_to(&file, 32);
        put_zeros(&file, b->data);
        check_broken(&file, b->message, b->hint);
        fj_str_free(&file);
    }
    fj_str file = { 0 };
    put_gguf(&file, 3, 1, 0);
    put_text(&file, "w");
    put_u32(&file, 1);
    put_u64(&file, 0); /* the dimension */
    put_u32(&file, 0);
    put_u64(&file, 0);
    check_broken(&file, "'w' has a dimension of 0", "");
    fj_str_clear(&file);
    put_gguf(&file, 3, 1, 0);
    put_u64(&file, 3);
    fj_str_add(&file, "a\0b", 3);
    put_zeros(&file, 30);
    check_broken(&file, "the name of tensor 1 holds a NUL byte", "");
    fj_str_free(&file);
}

TEST(gguf_says_what_is_wrong_with_an_alignment)
{
    static const uint32_t wrong[] = { 0, 3, 48, 1u << 21, UINT32_MAX };
    for (size_t i = 0; i < FJ_LEN(wrong); i++) {
        fj_str file = { 0 };
        put_gguf(&file, 3, 0, 1);
        put_key_u32(&file, "general.alignment", wrong[i]);
        check_broken(&file, "'general.alignment' is no power of 2 up to 1048576", "");
        fj_str_free(&file);
    }
    fj_str file = { 0 };
    put_gguf(&file, 3, 0, 1);
    put_key_text(&file, "general.alignment", "32");
    check_broken(&file, "'general.alignment' is no power of 2 up to 1048576", "");
    fj_str_free(&file);
}

/* Metadata whose last entry is cut or impossible: `put` writes it. */
typedef void put_entry(fj_str *s);

static void long_key(fj_str *s)
{
    put_u64(s, 1000);
    put_zeros(s, 30);
}

static void endless_key(fj_str *s)
{
    put_u64(s, UINT64_MAX);
    put_zeros(s, 30);
}

static void unknown_kind(fj_str *s)
{
    put_key(s, "k", 13);
    put_zeros(s, 30);
}

static void long_text(fj_str *s)
{
    put_key(s, "k", FJ_GGUF_STRING);
    put_u64(s, 31);
    put_zeros(s, 30);
}

static void cut_number(fj_str *s)
{
    put_key(s, "k", FJ_GGUF_F64);
    put_zeros(s, 7);
}

static void nested_array(fj_str *s)
{
    put_key_array(s, "k", FJ_GGUF_ARRAY, 1);
    put_zeros(s, 30);
}

static void unknown_array(fj_str *s)
{
    put_key_array(s, "k", 99, 1);
    put_zeros(s, 30);
}

static void long_array(fj_str *s)
{
    put_key_array(s, "k", FJ_GGUF_I32, 8);
    put_zeros(s, 31);
}

static void endless_array(fj_str *s)
{
    put_key_array(s, "k", FJ_GGUF_I32, 1ull << 62); /* times 4 is 0 */
    put_zeros(s, 30);
}

static void many_texts(fj_str *s)
{
    put_key_array(s, "k", FJ_GGUF_STRING, 1ull << 40);
    put_zeros(s, 30);
}

static void long_text_in_array(fj_str *s)
{
    put_key_array(s, "k", FJ_GGUF_STRING, 2);
    put_text(s, "a");
    put_u64(s, 8);
    put_zeros(s, 7);
}

static void same_key(fj_str *s)
{
    put_key_u32(s, "first", 1);
}

static const struct {
    put_entry *put;
    const char *message, *hint;
} broken_entries[] = {
    { long_key, "key 2 of its metadata has 1000 bytes, the file 30 more", GET_AGAIN },
    { endless_key, "key 2 of its metadata has 18446744073709551615 bytes, the file 30 more", GET_AGAIN },
    { unknown_kind, "'k' is of unknown kind 13", "" },
    { long_text, "'k' is a text of 31, the file has 30 bytes left", GET_AGAIN },
    { cut_number, "'k' is a number of 8, the file has 7 bytes left", GET_AGAIN },
    { nested_array, "'k' is an array of arrays, which is not read (kind 9)", "" },
    { unknown_array, "'k' is an array of an unknown kind (kind 99)", "" },
    { long_array, "'k' is an array of 8, the file has 31 bytes left", GET_AGAIN },
    { endless_array, "'k' is an array of 4611686018427387904, the file has 30 bytes left", GET_AGAIN },
    { many_texts, "'k' is an array of texts of 1099511627776, the file has 30 bytes left", GET_AGAIN },
    { long_text_in_array, "'k' is an array with a text of 8, the file has 7 bytes left", GET_AGAIN },
    { same_key, "'first' is there twice", "" },
};

TEST(gguf_says_what_is_wrong_with_an_entry_of_metadata)
{
    for (size_t i = 0; i < FJ_LEN(broken_entries); i++) {
        fj_str file = { 0 };
        put_gguf(&file, 3, 0, 2);
        put_key_u32(&file, "first", 7);
        broken_entries[i].put(&file);
        check_broken(&file, broken_entries[i].message, broken_entries[i].hint);
        fj_str_free(&file);
    }
}

TEST(gguf_says_what_is_wrong_with_a_header)
{
    static const struct {
        uint32_t version;
        uint64_t tensors, values;
        const char *message, *hint;
    } cases[] = {
        { 1, 0, 0, "GGUF version 1, versions 2 and 3 are read", "convert the model again with a current program" },
        { 4, 0, 0, "GGUF version 4, versions 2 and 3 are read", "convert the model again with a current program" },
        { 0x03000000, 0, 0, "GGUF version 3 for big-endian machines, versions 2 and 3 are read",
          "convert the model again with a current program" },
        { 3, UINT64_MAX, 0, "the file ends in its list of tensors, at 2 of 18446744073709551615", GET_AGAIN },
        { 3, 2, 0, "the file ends in its list of tensors, at 2 of 2", GET_AGAIN },
        { 3, 0, UINT64_MAX, "metadata of 18446744073709551615 entries in a file of 60 bytes", GET_AGAIN },
        { 3, 0, 3, "metadata of 3 entries in a file of 60 bytes", GET_AGAIN },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_str file = { 0 };
        put_gguf(&file, cases[i].version, cases[i].tensors, cases[i].values);
        put_zeros(&file, 36);
        check_broken(&file, cases[i].message, cases[i].hint);
        fj_str_free(&file);
    }
    fj_str file = { 0 };
    put_gguf(&file, 3, 0, 0);
    file.len = 20;
    check_broken(&file, "the file ends in its header, at 20 bytes", GET_AGAIN);
    fj_str_clear(&file);
    fj_str_add_text(&file, "version https://git-lfs.github.com/spec/v1\n");
    check_broken(&file, "not GGUF: a pointer of Git LFS", "fetch the real file: git lfs pull, or download it again");
    fj_str_clear(&file);
    put_safetensors(&file, "{\"x\":{}}", 0);
    check_broken(&file, "not GGUF: a safetensors file", "give the folder that has config.json and the weights");
    fj_str_clear(&file);
    put_gguf(&file, 3, 0, 2);
    put_key_u32(&file, "split.count", 3);
    put_key_u32(&file, "split.no", 1);
    check_broken(&file, "given as part 1 of 1 of a model, it says that it is 2 of 3",
                 "all parts of one model, called NAME-00001-of-00003.gguf, lie in one folder; get them again");
    fj_str_free(&file);
}

TEST(gguf_survives_any_byte_being_another_and_any_cut)
{
    fj_str file = { 0 };
    size_t opened = 0, refused = 0, whole;
    put_sample(&file, 3);
    whole = file.len - 128 + 36; /* what the tensors need: 34 bytes and 64 from 64 on */
    for (size_t i = 0; i < file.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            fj_source *s = NULL;
            fj_err err = { 0 };
            file.data[i] ^= (char)(1 << bit);
            if (fj_gguf_open_bytes(file.data, file.len, &s, &err)) {
                CHECK(err.status == FJ_ERR_FORMAT && !s);
                refused++;
            } else {
                s->close(s);
                opened++;
            }
            file.data[i] ^= (char)(1 << bit);
        }
    for (size_t len = 0; len < whole; len++) {
        fj_source *s = NULL;
        fj_err err = { 0 };
        CHECK(fj_gguf_open_bytes(file.data, len, &s, &err) == FJ_ERR_FORMAT);
    }
    CHECK(opened > 100 && refused > 500);
    fj_str_free(&file);
}

TEST(gguf_opening_a_path_that_is_not_there_is_a_format_error)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    CHECK(fj_gguf_open(test_temporary("absent.gguf"), &s, &err) == FJ_ERR_FORMAT && err.status == FJ_ERR_FORMAT);
    CHECK(strstr(err.message, "absent.gguf: No such file or directory"));
}

/* ---- writing ----------------------------------------------------------------------------------------------------------------- */

static void check_same(const fj_source *a, const fj_source *b)
{
    CHECK(a->count(a) == b->count(b));
    for (size_t i = 0; i < a->count(a); i++) {
        const fj_tensor *x = a->at(a, i), *y = b->at(b, i);
        CHECK_TEXT(x->name, y->name);
        CHECK(x->dtype == y->dtype && fj_shape_equal(&x->shape, &y->shape) && x->bytes == y->bytes);
        CHECK(!memcmp(x->data, y->data, x->bytes));
    }
}

/* Reads, writes and reads again: the same entries, the same tensors. */
static void check_round_trip(const fj_source *s, size_t n_lost)
{
    fj_err err = { 0 };
    fj_source *back = NULL;
    fj_gguf_writer *w = fj_gguf_writer_new();
    fj_tensor *list = calloc(s->count(s) + 1, sizeof *list);
    char *path = strdup(test_temporary("again.gguf"));
    CHECK(w && list && path);
    for (size_t i = 0; i < fj_gguf_count(s); i++)
        fj_gguf_copy(w, fj_gguf_at(s, i));
    for (size_t i = 0; i < s->count(s); i++)
        list[i] = *s->at(s, i);
    CHECK_OK(fj_gguf_create(w, path, list, s->count(s), &err));
    for (size_t i = 0; i < s->count(s); i++) { /* in two pieces */
        size_t half = list[i].bytes / 2;
        CHECK_OK(fj_gguf_add(w, list[i].data, half, &err));
        CHECK_OK(fj_gguf_add(w, (const char *)list[i].data + half, list[i].bytes - half, &err));
    }
    CHECK_OK(fj_gguf_commit(w, &err));
    CHECK_OK(fj_gguf_open(path, &back, &err));
    check_same(s, back);
    CHECK(fj_gguf_count(back) == fj_gguf_count(s) - n_lost);
    for (size_t i = 0; i < fj_gguf_count(back); i++) {
        char key[128];
        const fj_gguf_value *y = fj_gguf_at(back, i);
        (void)snprintf(key, sizeof key, "%.*s", (int)y->key.len, y->key.data);
        const fj_gguf_value *x = fj_gguf_find(s, key);
        CHECK(x && x->kind == y->kind && x->element == y->element && x->count == y->count);
        CHECK(x->bytes.len == y->bytes.len && !memcmp(x->bytes.data, y->bytes.data, y->bytes.len));
    }
    back->close(back);
    free(list);
    free(path);
}

TEST(gguf_reads_back_what_it_writes)
{
    fj_str file = { 0 };
    put_sample(&file, 2);
    fj_source *s = open_bytes(&file);
    check_round_trip(s, 1); /* without general.alignment: the writer's is 32 */
    s->close(s);
    fj_str_free(&file);

    fj_err err = { 0 };
    CHECK_OK(fj_gguf_open(test_golden("gguf/smollm-tied.gguf"), &s, &err));
    CHECK(s->count(s) > 10);
    check_round_trip(s, 0);
    s->give_back(s, s->at(s, 0));
    s->will_need(s, s->at(s, 0));
    check_round_trip(s, 0);
    s->close(s);
}

TEST(gguf_writer_sets_every_kind_and_the_last_set_wins)
{
    fj_err err = { 0 };
    static const float row[32] = { 1, 2, 3 };
    const fj_tensor t = { "w", &fj_f32, fj_shape_2(4, 8), row, sizeof row };
    const fj_text words[] = { { "a", 1 }, { "", 0 }, { "b\0c", 3 } };
    fj_gguf_writer *w = fj_gguf_writer_new();
    fj_gguf_set_u32(w, "u32", 1);
    fj_gguf_set_text(w, "u32", "no longer", 9);
    fj_gguf_set_u32(w, "u32", UINT32_MAX);
    fj_gguf_set_f32(w, "f32", 1e-5f);
    fj_gguf_set_bool(w, "yes", true);
    fj_gguf_set_text(w, "text", "á", 2);
    fj_gguf_set_texts(w, "texts", words, 3);
    fj_gguf_set_f32s(w, "f32s", row, 3);
    fj_gguf_set_i32s(w, "i32s", (const int32_t[]){ -1, INT32_MAX }, 2);
    char *path = strdup(test_temporary("kinds.gguf"));
    CHECK_OK(fj_gguf_create(w, path, &t, 1, &err));
    CHECK_OK(fj_gguf_add(w, row, sizeof row, &err));
    CHECK_OK(fj_gguf_commit(w, &err));

    fj_source *s = NULL;
    fj_str raw = { 0 };
    CHECK_OK(fj_gguf_open(path, &s, &err));
    CHECK(fj_gguf_count(s) == 7 && fj_gguf_int(fj_gguf_find(s, "u32"), 0) == UINT32_MAX);
    CHECK((float)fj_gguf_real(fj_gguf_find(s, "f32"), 0) == 1e-5f && fj_gguf_find(s, "yes")->kind == FJ_GGUF_BOOL);
    CHECK(fj_gguf_int(fj_gguf_find(s, "yes"), 0) == 1 && fj_text_is(fj_gguf_text(fj_gguf_find(s, "text")), "á"));
    CHECK(fj_gguf_number_at(fj_gguf_find(s, "f32s"), 2) == 3 && fj_gguf_find(s, "f32s")->count == 3);
    CHECK(fj_gguf_number_at(fj_gguf_find(s, "i32s"), 0) == -1 && fj_gguf_find(s, "i32s")->element == FJ_GGUF_I32);
    const fj_gguf_value *texts = fj_gguf_find(s, "texts");
    fj_text word;
    size_t at = 0, n = 0;
    for (; fj_gguf_next_string(texts, &at, &word); n++)
        CHECK(word.len == words[n].len && !memcmp(word.data, words[n].data, word.len));
    CHECK(n == 3);
    CHECK_OK(fj_file_read(path, 1 << 20, &raw, &err));
    CHECK(!memcmp(raw.data, "GGUF\3\0\0\0\1\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0", 24));
    CHECK(raw.len % 32 == 0 && !memcmp(raw.data + raw.len - sizeof row, row, sizeof row));
    s->close(s);
    fj_str_free(&raw);
    free(path);
}

static fj_status write_one(const fj_tensor *t, size_t n, size_t bytes, fj_err *err)
{
    static const char zeros[4096];
    fj_gguf_writer *w = fj_gguf_writer_new();
    fj_status st = fj_gguf_create(w, test_temporary("refused.gguf"), t, n, err);
    for (size_t i = 0; !st && i < n; i++)
        st = fj_gguf_add(w, zeros, bytes, err);
    if (!st)
        return fj_gguf_commit(w, err);
    fj_gguf_abort(w);
    return st;
}

TEST(gguf_writer_refuses_what_no_reader_would_take)
{
    fj_err err = { 0 };
    const fj_tensor good[] = { { "a", &fj_q8_0, fj_shape_1(32), NULL, 34 }, { "a", &fj_f32, fj_shape_1(2), NULL, 8 } };
    const fj_tensor type = { "t", &fj_u8, fj_shape_1(4), NULL, 4 },
                    rows = { "r", &fj_q8_0, fj_shape_2(32, 8), NULL, 272 };
    const fj_tensor size = { "s", &fj_f32, fj_shape_1(4), NULL, 15 };
    CHECK_OK(write_one(good, 1, 34, &err));
    CHECK(fj_path_exists(test_temporary("refused.gguf")));
    CHECK(write_one(good, 2, 34, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "'a' is given twice");
    CHECK(write_one(&type, 1, 4, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "GGUF has no type U8 ('t')");
    CHECK(write_one(&rows, 1, 272, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "'r' has rows of 8 values, Q8_0 comes in blocks of 32");
    CHECK(write_one(&size, 1, 15, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "'s' has 15 bytes, its shape and type 16");
    CHECK(write_one(good, 1, 33, &err) == FJ_ERR_ARG);
    CHECK(strstr(err.message, "the bytes of 0 of 1 tensors were given"));
    CHECK(write_one(good, 1, 35, &err) == FJ_ERR_ARG);
    CHECK(strstr(err.message, "more bytes than tensor 1 of 1 has"));
}
