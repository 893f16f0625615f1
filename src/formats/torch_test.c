/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "base/map.h"
#include "formats/test_files.h"

static void check_same(const fj_source *got, const fj_source *wanted)
{
    CHECK(got->count(got) == wanted->count(wanted) && wanted->count(wanted) > 0);
    for (size_t i = 0; i < wanted->count(wanted); i++) {
        const fj_tensor *w = wanted->at(wanted, i), *g = got->find(got, w->name);
        CHECK(g && g->dtype == w->dtype && fj_shape_equal(&g->shape, &w->shape) && g->bytes == w->bytes);
        CHECK(!w->bytes || !memcmp(g->data, w->data, w->bytes));
        got->will_need(got, g);
        got->give_back(got, g);
        CHECK(!w->bytes || !memcmp(g->data, w->data, w->bytes));
    }
}

TEST(torch_files_of_every_form_hold_the_same_bits_as_safetensors)
{
    static const char *const names[][2] = { { "zip", "tensors" },       { "legacy", "tensors" },
                                            { "protocol4", "tensors" }, { "zip64", "tensors" },
                                            { "training", "training" }, { "parameters", "parameters" },
                                            { "unsigned", "unsigned" }, { "ordered", "ordered" } };
    for (size_t i = 0; i < FJ_LEN(names); i++) {
        char path[64];
        fj_err err = { 0 };
        fj_source *got = NULL, *wanted = NULL;
        (void)snprintf(path, sizeof path, "torch/%s.bin", names[i][0]);
        CHECK_OK(fj_torch_open_file(test_golden(path), NULL, &got, &err));
        (void)snprintf(path, sizeof path, "torch/%s.safetensors", names[i][1]);
        CHECK_OK(fj_safetensors_open_file(test_golden(path), NULL, &wanted, &err));
        check_same(got, wanted);
        got->close(got);
        wanted->close(wanted);
    }
}

TEST(torch_tensors_lie_in_the_mapped_file_unless_they_are_strided)
{
    fj_err err = { 0 };
    fj_str file = { 0 };
    fj_source *s = NULL;
    CHECK_OK(fj_file_read(test_golden("torch/zip.bin"), 1 << 20, &file, &err));
    CHECK_OK(fj_torch_open_bytes(file.data, file.len, &s, &err));
    for (size_t i = 0; i < s->count(s); i++) {
        const fj_tensor *t = s->at(s, i);
        const char *data = t->data;
        bool is_view = data >= file.data && data + t->bytes <= file.data + file.len;
        bool is_strided = strstr("turned column every ñ.weight", t->name) != NULL;
        CHECK(!t->bytes || is_view == !is_strided);
    }
    const fj_tensor *rows = s->find(s, "rows"), *again = s->find(s, "again"); /* of one storage */
    CHECK((const char *)rows->data == (const char *)again->data + 2 * 4 * sizeof(float));
    s->close(s);
    fj_str_free(&file);
}

TEST(torch_shards_in_a_folder_are_the_model)
{
    fj_err err = { 0 };
    fj_source *got = NULL, *wanted = NULL;
    char path[512];
    CHECK_OK(fj_weights_open_folder(test_golden("torch/model"), &got, &err));
    CHECK_OK(fj_weights_open_folder(test_golden("decoders/tiny-cohere"), &wanted, &err));
    check_same(got, wanted);
    CHECK_TEXT(fj_json_string(fj_json_get(got->config, "model_type"), ""), "cohere");
    got->close(got);
    wanted->close(wanted);
    (void)snprintf(path, sizeof path, "%s", test_golden("torch/model"));
    CHECK(fj_weights_in_folder(path) && !fj_weights_in_folder(test_golden("torch")));
}

/* ---- broken files ---------------------------------------------------------------------------------------------------------------- */

/* An entry as it stands in the file, and its line in the directory. */
static void put_entry(fj_str *out, fj_str *directory, const char *name, const void *data, size_t n, uint16_t method)
{
    uint32_t at = (uint32_t)out->len, sizes[3] = { 0, (uint32_t)n, (uint32_t)n };
    uint16_t name_len = (uint16_t)strlen(name), zero = 0;
    fj_str_add(out, "PK\3\4\0\0\0\0", 8);
    fj_str_add(out, &method, 2);
    put_zeros(out, 4);
    fj_str_add(out, sizes, sizeof sizes);
    fj_str_add(out, &name_len, 2);
    fj_str_add(out, &zero, 2);
    fj_str_add_text(out, name);
    fj_str_add(out, data, n);
    fj_str_add(directory, "PK\1\2\0\0\0\0\0\0", 10);
    fj_str_add(directory, &method, 2);
    put_zeros(directory, 4);
    fj_str_add(directory, sizes, sizeof sizes);
    fj_str_add(directory, &name_len, 2);
    put_zeros(directory, 12);
    put_u32(directory, at);
    fj_str_add_text(directory, name);
}

static void put_end(fj_str *out, const fj_str *directory, uint16_t n)
{
    uint32_t at = (uint32_t)out->len;
    fj_str_add(out, directory->data, directory->len);
    fj_str_add(out, "PK\5\6\0\0\0\0", 8);
    fj_str_add(out, &n, 2);
    fj_str_add(out, &n, 2);
    put_u32(out, (uint32_t)directory->len);
    put_u32(out, at);
    put_zeros(out, 2);
}

/* An archive of a pickle and a storage "0" of n bytes. */
static void put_archive(fj_str *out, const char *pickle, size_t len, size_t n)
{
    fj_str directory = { 0 };
    char zeros[64] = { 0 };
    put_entry(out, &directory, "m/data.pkl", pickle, len, 0);
    put_entry(out, &directory, "m/data/0", zeros, n, 0);
    put_end(out, &directory, 2);
    fj_str_free(&directory);
}

static void check_refused(const fj_str *file, const char *message)
{
    fj_source *s = NULL;
    fj_err err = { 0 };
    CHECK(fj_torch_open_bytes(file->data, file->len, &s, &err) == FJ_ERR_FORMAT && !s);
    CHECK(!strncmp(err.message, "(memory): ", 10));
    CHECK_TEXT(err.message + 10, message);
}

typedef struct broken {
    const char *pickle;
    size_t len;
    const char *message;
} broken;

#define P(bytes)             (bytes), sizeof(bytes) - 1
#define OPEN                 "\x80\2}X\1\0\0\0x"
#define STORED(type, key, n) "((X\7\0\0\0storage" type "X\1\0\0\0" key "X\3\0\0\0cpu" n "tQ"
#define FLOATS               "ctorch\nFloatStorage\n"
#define MAKE                 "ctorch._utils\n_rebuild_tensor_v2\n"
#define CLOSE \
    "\x89"    \
    "ccollections\nOrderedDict\n)RtRs."
#define FOUR STORED(FLOATS, "0", "K\4")

static const broken all_broken[] = {
    { P("\x80\2cposix\nsystem\nX\2\0\0\0ls\x85R."),
      "refused: the pickle asks for 'posix.system', which no weights need" },
    { P("\x80\4\x8c\10builtins\x8c\4"
        "eval\x93."),
      "refused: the pickle asks for 'builtins.eval', which no weights need" },
    { P("\x80\2}X\5\0\0\0modelctorch.nn.modules.linear\nLinear\n)\x81}bs."),
      "refused: the pickle asks for 'torch.nn.modules.linear.Linear', which no weights need" },
    { P("\x80\2i__builtin__\neval\n."), "refused: instruction 0x69 at byte 2 of the pickle, which no weights need" },
    { P("\x80\2Pid\n."), "refused: instruction 0x50 at byte 2 of the pickle, which no weights need" },
    { P("\x80\6N."), "a pickle of protocol 6; 2 to 5 are read" },
    { P("\x80\2"), "a broken pickle at byte 2: it ends early" },
    { P("\x80\2X\xff\xff\xff\xff"), "a broken pickle at byte 7: it ends early" },
    { P("\x80\2X\1\0\0\0\xff."), "a broken pickle at byte 8: a text that is not UTF-8" },
    { P("\x80\2."), "a broken pickle at byte 3: an empty stack" },
    { P("\x80\2(."), "a broken pickle at byte 4: an empty stack" },
    { P("\x80\2t."), "a broken pickle at byte 3: no mark" },
    { P("\x80\2h\0."), "a broken pickle at byte 4: a value that was never kept" },
    { P("\x80\2Nr\xff\xff\xff\xff."), "a broken pickle at byte 8: too many values" },
    { P("\x80\2K\1K\2\x86K\1s."), "a broken pickle at byte 10: no dict to fill" },
    { P("\x80\2K\1K\2K\3s."), "a broken pickle at byte 9: no dict to fill" },
    { P("\x80\2}(K\1u."), "a broken pickle at byte 7: no dict to fill" },
    { P("\x80\2}Na."), "a broken pickle at byte 5: no list to fill" },
    { P("\x80\2NNR."), "a broken pickle at byte 5: a call of what is no name, or without a tuple of arguments" },
    { P("\x80\2NNb."), "a broken pickle at byte 5: a state of what has none" },
    { P("\x80\2ctorch"), "a broken pickle at byte 3: a name without an end" },
    { P("\x80\2K\1K\2\x86."), "the file holds a tuple, not a state dict" },
    { P("\x80\2}."), "no tensors in it, nor in its 'state_dict', 'model_state_dict', 'model' or 'module'" },
    { P("\x80\2}X\5\0\0\0epochK\3s."),
      "no tensors in it, nor in its 'state_dict', 'model_state_dict', 'model' or 'module'" },
    { P(OPEN "NQs."), "a persistent id that names no storage" },
    { P(OPEN MAKE STORED("N", "0", "K\4") "K\0K\4\x85K\1\x85" CLOSE), "a persistent id that names no storage" },
    { P(OPEN MAKE STORED(FLOATS, "0", "J\xff\xff\xff\xff") "K\0K\4\x85K\1\x85" CLOSE),
      "a persistent id that names no storage" },
    { P(OPEN MAKE STORED(FLOATS, "0", "\x8a\10\0\0\0\0\0\0\0\x40") "K\0K\4\x85K\1\x85" CLOSE),
      "storage '0' has more bytes than can be counted" },
    { P(OPEN MAKE STORED(FLOATS, "1", "K\4") "K\0K\4\x85K\1\x85" CLOSE), "storage '1' is not in the archive" },
    { P(OPEN MAKE STORED(FLOATS, "0", "K\5") "K\0K\4\x85K\1\x85" CLOSE),
      "storage '0' has 16 bytes, 5 values of type F32 have 20" },
    { P("\x80\2(" FOUR "1" OPEN MAKE STORED("ctorch\nIntStorage\n", "0", "K\4") "K\0K\4\x85K\1\x85" CLOSE),
      "storage '0' is 16 bytes of type F32, and elsewhere 16 of type I32" },
    { P(OPEN MAKE "(NK\0K\4\x85K\1\x85" CLOSE), "'x' has no storage, or no type that is read" },
    { P(OPEN MAKE FOUR "K\0K\5\x85K\1\x85" CLOSE), "'x' goes beyond the 4 values of its storage" },
    { P(OPEN MAKE FOUR "K\1K\4\x85K\1\x85" CLOSE), "'x' goes beyond the 4 values of its storage" },
    { P(OPEN MAKE FOUR "K\0K\2K\2\x86K\3K\1\x86" CLOSE), "'x' goes beyond the 4 values of its storage" },
    { P(OPEN MAKE FOUR "K\0K\2\x85\x8a\10\0\0\0\0\0\0\0\x7f\x85" CLOSE),
      "'x' goes beyond the 4 values of its storage" },
    { P(OPEN MAKE FOUR "K\0K\7\x85K\0\x85" CLOSE), "'x' repeats values of its storage" },
    { P(OPEN MAKE FOUR "K\0\x8a\10\0\0\0\0\0\0\0\x7f\x85K\0\x85" CLOSE), "'x' has more bytes than can be counted" },
    { P(OPEN MAKE FOUR "K\0\x8a\10\0\0\0\0\0\0\0\x7fK\4\x86K\0K\0\x86" CLOSE),
      "'x' has more values than can be counted" },
    { P(OPEN MAKE FOUR "J\xff\xff\xff\xffK\4\x85K\1\x85" CLOSE), "'x' has no offset, sizes and strides" },
    { P(OPEN MAKE FOUR "K\0K\4\x85)" CLOSE), "'x' has no offset, sizes and strides" },
    { P(OPEN MAKE FOUR "K\0J\xff\xff\xff\xff\x85K\1\x85" CLOSE), "'x' has no offset, sizes and strides" },
    { P(OPEN MAKE FOUR "K\0(K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1t" CLOSE), "'x' has 5 dimensions, at most 4 are read" },
    { P("\x80\2}K\1" MAKE FOUR "K\0K\4\x85K\1\x85" CLOSE), "a tensor whose name is no text" },
};

TEST(torch_says_what_is_wrong_with_a_broken_pickle)
{
    for (size_t i = 0; i < FJ_LEN(all_broken); i++) {
        fj_str file = { 0 };
        put_archive(&file, all_broken[i].pickle, all_broken[i].len, 16);
        check_refused(&file,
                      all_broken[i].message ? all_broken[i].message : "a broken pickle at byte 344: no dict to fill");
        fj_str_free(&file);
    }
}

TEST(torch_refuses_a_tensor_that_is_there_twice)
{
    static const char pickle[] = "\x80\2}(X\1\0\0\0x" MAKE FOUR "K\0K\4\x85K\1\x85\x89NtR"
                                 "X\1\0\0\0x" MAKE FOUR "K\0K\4\x85K\1\x85\x89NtRu.";
    fj_str file = { 0 };
    put_archive(&file, P(pickle), 16);
    check_refused(&file, "'x' is there twice");
    fj_str_free(&file);
}

TEST(torch_says_what_is_wrong_with_an_archive)
{
    static const char pickle[] = OPEN MAKE FOUR "K\0K\4\x85K\1\x85" CLOSE;
    fj_str file = { 0 }, directory = { 0 };
    put_archive(&file, P(pickle), 16);
    file.data[file.len - 6] ^= 1; /* where the directory begins */
    check_refused(&file, "a zip archive whose directory is not whole");
    file.data[file.len - 6] ^= 1;
    file.data[file.len - 12] ^= 1; /* how many entries it has, here and in all */
    check_refused(&file, "a zip archive of several volumes");
    file.data[file.len - 12] ^= 1;
    file.data[0] = 'X';
    check_refused(&file, "not PyTorch's");
    file.data[0] = 'P';
    size_t len = file.len;
    file.len = 60;
    check_refused(&file, "a zip archive without its directory");
    file.len = len;
    char *local = memmem(file.data + 4, file.len - 4, "PK\3\4", 4);
    local[0] = 'Q';
    check_refused(&file, "'m/data/0' does not lie in the archive");
    fj_str_clear(&file);
    put_entry(&file, &directory, "m/data.pkl", pickle, sizeof pickle - 1, 8);
    put_end(&file, &directory, 1);
    check_refused(&file, "it is compressed; PyTorch stores, save the model with it again");
    fj_str_clear(&file);
    fj_str_clear(&directory);
    put_entry(&file, &directory, "m/data.pkl", pickle, sizeof pickle - 1, 0);
    put_entry(&file, &directory, "m/data.pkl", pickle, sizeof pickle - 1, 0);
    put_end(&file, &directory, 2);
    check_refused(&file, "'m/data.pkl' is there twice");
    fj_str_clear(&file);
    fj_str_clear(&directory);
    put_entry(&file, &directory, "m/version", "3\n", 2, 0);
    put_end(&file, &directory, 1);
    check_refused(&file, "a zip archive without data.pkl, so none of PyTorch's models");
    fj_str_clear(&file);
    fj_str_clear(&directory);
    put_entry(&file, &directory, "m/data.pkl", pickle, sizeof pickle - 1, 0);
    put_entry(&file, &directory, "m/byteorder", "big", 3, 0);
    put_end(&file, &directory, 2);
    check_refused(&file, "its numbers are big-endian; save the model again on a usual machine");
    fj_str_free(&directory);
    fj_str_free(&file);
}

TEST(torch_refuses_compressed_storages)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    CHECK(fj_torch_open_file(test_golden("torch/compressed.bin"), NULL, &s, &err) == FJ_ERR_FORMAT && !s);
    CHECK(
        strstr(err.message, "compressed.bin: storage '0' is compressed; PyTorch stores, save the model with it again"));
}

TEST(torch_says_what_is_wrong_with_a_file_of_the_old_form)
{
    fj_err err = { 0 };
    fj_str file = { 0 };
    CHECK_OK(fj_file_read(test_golden("torch/legacy.bin"), 1 << 20, &file, &err));
    file.len -= 1;
    char *version = memmem(file.data, 40, "M\xe9\3", 3);
    CHECK(version);
    version[1]++;
    check_refused(&file, "a version of PyTorch's old form that is not known");
    version[1]--;
    char *little = memmem(file.data, file.len, "little_endian", 13), *flag = memchr(little, '\x88', 32);
    CHECK(flag);
    *flag = '\x89';
    check_refused(&file, "its numbers are big-endian; save the model again on a usual machine");
    *flag = '\x88';
    check_refused(&file, "it ends within its storages: the download was cut");
    file.len -= 1000;
    check_refused(&file, "a broken pickle at byte 1578: it ends early");
    fj_str_free(&file);
}

/* Every bit of the headers turned over, and every length: an error or tensors, no crash (the sanitizers look on). */
TEST(torch_survives_any_byte_being_another)
{
    static const char *const names[] = { "torch/ordered.bin", "torch/legacy.bin" };
    size_t opened = 0, refused = 0;
    for (size_t k = 0; k < FJ_LEN(names); k++) {
        fj_err err = { 0 };
        fj_str file = { 0 };
        CHECK_OK(fj_file_read(test_golden(names[k]), 1 << 20, &file, &err));
        for (size_t i = 0; i < 8 * file.len; i++) {
            fj_source *s = NULL;
            file.data[i / 8] ^= (char)(1 << i % 8);
            fj_status st = fj_torch_open_bytes(file.data, file.len, &s, &err);
            CHECK(!st == !!s && (!st || st == FJ_ERR_FORMAT));
            opened += !st;
            refused += !!st;
            if (s)
                s->close(s);
            file.data[i / 8] ^= (char)(1 << i % 8);
        }
        for (size_t len = 0; len < file.len; len++) {
            fj_source *s = NULL;
            CHECK(fj_torch_open_bytes(file.data, len, &s, &err) == FJ_ERR_FORMAT && !s);
        }
        fj_str_free(&file);
    }
    CHECK(opened > 1000 && refused > 5000);
}
