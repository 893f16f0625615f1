/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/cursor.h"
#include "base/map.h"
#include "formats/test_files.h"

/* The golden checkpoint's files in a folder; the caller frees its path. But for `without`, of which `bytes` are written, if any. */
static char *unpack(const char *name, size_t without, const fj_str *bytes)
{
    fj_err err = { 0 };
    fj_str file = { 0 };
    char *folder = strdup(test_temporary(name)), inner[512], path[600];
    CHECK(folder);
    (void)snprintf(inner, sizeof inner, "%s/ckpt-0", folder);
    CHECK_OK(fj_remove_tree(folder, &err));
    CHECK_OK(fj_make_dirs(inner, &err));
    CHECK_OK(fj_file_read(test_golden("grok/ckpt.bin"), 1 << 20, &file, &err));
    fj_cursor c = fj_cursor_over(file.data, file.len);
    for (size_t i = 0; fj_cursor_left(&c); i++) {
        fj_text one = fj_cursor_take(&c, fj_cursor_u32(&c));
        (void)snprintf(path, sizeof path, "%s/tensor%05zu_000", inner, i);
        if (i != without)
            CHECK_OK(fj_file_write(path, one.data, one.len, &err));
        else if (bytes)
            CHECK_OK(fj_file_write(path, bytes->data, bytes->len, &err));
    }
    fj_str_free(&file);
    return folder;
}

TEST(grok_checkpoint_holds_the_same_bits_as_its_conversion)
{
    fj_err err = { 0 };
    fj_source *got = NULL, *wanted = NULL;
    char *folder = unpack("grok", SIZE_MAX, NULL);
    CHECK(fj_weights_in_folder(folder));
    CHECK_OK(fj_weights_open_folder(folder, &got, &err));
    CHECK_OK(fj_weights_open_folder(test_golden("grok"), &wanted, &err));
    CHECK(got->count(got) == wanted->count(wanted));
    CHECK(!got->find(got, "transformer.decoder_layer.10.moe.1.linear.weight")->data); /* made when it is asked for */
    for (size_t i = 0; i < wanted->count(wanted); i++) {
        const fj_tensor *w = wanted->at(wanted, i), *g = got->find(got, w->name);
        CHECK(g && g->dtype == w->dtype && fj_shape_equal(&g->shape, &w->shape) && g->bytes == w->bytes);
        unsigned char *bytes = bytes_of(got, g);
        CHECK(!memcmp(bytes, w->data, w->bytes));
        free(bytes);
    }
    /* a configuration of the sizes (heads are of 128 values, as in the release) */
    CHECK_TEXT(fj_json_string(fj_json_get(got->config, "model_type"), ""), "grok");
    CHECK(fj_json_int(fj_json_get(got->config, "num_hidden_layers"), 0) == 11);
    CHECK(fj_json_int(fj_json_get(got->config, "intermediate_size"), 0) == 16);
    got->close(got);
    wanted->close(wanted);
    free(folder);
}

#define P(bytes) (bytes), sizeof(bytes) - 1
#define DTYPE(name, order) \
    "cnumpy\ndtype\nU\2" name "\x89\x88\x87R(K\3U\1" order "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
#define ARRAY(shape, dtype, fortran, bytes)                          \
    "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" \
    "C\1b\x87R(K\1" shape dtype fortran bytes "tb"
#define QUANTIZED(weight, scales) \
    "\x80\4c__main__\nQuantizedWeight8bit\n)\x81}(X\6\0\0\0weight" weight "X\6\0\0\0scales" scales "ub."
#define I8_22 ARRAY("K\2K\2\x86", DTYPE("i1", "|"), "\x89", "C\4\1\2\3\4")

TEST(grok_says_what_is_wrong_with_a_file)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *message;
    } cases[] = {
        { P("\x80\4cposix\nsystem\nU\2ls\x85R."),
          "refused: the pickle asks for 'posix.system', which no weights need" },
        { P("\x80\4}."), "not an array of numpy, nor a QuantizedWeight8bit of two" },
        { P("\x80\4" I8_22 "."), "int8 weights without scales" },
        { P("\x80\4" ARRAY("K\1\x85", DTYPE("f4", "<"), "\x88", "C\4\1\2\3\4") "."), "an array in Fortran's order" },
        { P("\x80\4" ARRAY("K\1\x85", DTYPE("f4", ">"), "\x89", "C\4\1\2\3\4") "."),
          "an array of a type that is not read" },
        { P("\x80\4" ARRAY("K\1\x85", DTYPE("c8", "<"), "\x89", "C\4\1\2\3\4") "."),
          "an array of a type that is not read" },
        { P("\x80\4" ARRAY("K\2\x85", DTYPE("f4", "<"), "\x89", "C\4\1\2\3\4") "."),
          "an array of 4 bytes, its shape and type have more or fewer" },
        { P("\x80\4" ARRAY("J\xff\xff\xff\xff\x85", DTYPE("f4", "<"), "\x89", "C\4\1\2\3\4") "."),
          "an array whose shape is not one of whole numbers from 1" },
        { P("\x80\4" ARRAY("\x8a\10\0\0\0\0\0\0\0\x7fK\4\x86", DTYPE("f4", "<"), "\x89", "C\4\1\2\3\4") "."),
          "an array whose shape is not one of whole numbers from 1" },
        { P(QUANTIZED(I8_22, "N")), "not an array of numpy, nor a QuantizedWeight8bit of two" },
        { P(QUANTIZED(I8_22, ARRAY("K\1\x85", DTYPE("f4", "<"), "\x89", "C\4\1\2\3\4"))),
          "its scales do not divide its weight into blocks" },
        { P(QUANTIZED(I8_22, I8_22)), "I8 weights with scales of type I8, wanted I8 with BF16 or F32" },
        { P("\x80\4" ARRAY("K\1\x85", DTYPE("f4", "<"), "\x89", "C\4\1\2\3\4") "."),
          "an array of 1 dimensions, the tensor at this place has 2" },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_source *s = NULL;
        fj_str bytes = { 0 };
        fj_str_add(&bytes, cases[i].bytes, cases[i].len);
        char *folder = unpack("grok-broken", 6, &bytes);
        CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT && !s);
        const char *at = strstr(err.message, "/ckpt-0/tensor00006_000: ");
        CHECK(at && !strncmp(err.message, folder, strlen(folder)));
        CHECK_TEXT(at + strlen("/ckpt-0/tensor00006_000: "), cases[i].message);
        fj_str_free(&bytes);
        free(folder);
    }
}

TEST(grok_counts_its_files)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    char *folder = unpack("grok-cut", 100, NULL);
    CHECK(fj_weights_open_folder(folder, &s, &err) == FJ_ERR_FORMAT && !s);
    CHECK_TEXT(err.message + strlen(folder), "/ckpt-0: 100 tensors; Grok-1 has 2, and 12 for each layer");
    free(folder);
}
